import json
import tracemalloc

import numpy as np
import pytest
from scipy.stats import norm

from hf_sslgen.metrics import (
    Estimate,
    accuracy,
    average_statistic,
    bootstrap_interval,
    difference_statistic,
    invariance,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
)

pytestmark = pytest.mark.filterwarnings("error")


def repeated(array, weights):
    return np.repeat(array, weights.astype(int))


@pytest.fixture
def weights():
    return np.random.default_rng(5).multinomial(30, [1 / 30] * 30, size=20).astype(float)


# --- statistics: weighting a sample is the same as repeating it ---


def test_mean_leaves_nan_out(weights):
    values = np.random.default_rng(0).normal(size=30)
    values[::4] = np.nan
    expected = [np.nanmean(repeated(values, row)) for row in weights]
    np.testing.assert_allclose(mean_statistic(values)(weights), expected)


def test_mean_is_nan_where_a_resample_drew_nothing_defined():
    statistic = mean_statistic([1.0, np.nan])
    np.testing.assert_array_equal(statistic(np.array([[0.0, 2.0], [1.0, 1.0]])), [np.nan, 1.0])


def test_mean_per_class_agrees_with_accuracy_of_the_repeated_sample(weights):
    generator = np.random.default_rng(0)
    references, predictions = generator.integers(0, 12, 30), generator.integers(0, 12, 30)
    predictions = np.where(generator.random(30) < 0.6, references, predictions)
    statistic = mean_per_class_statistic(predictions == references, references)
    expected = [
        accuracy(repeated(predictions, row), repeated(references, row)).mean_per_class_accuracy for row in weights
    ]
    np.testing.assert_allclose(statistic(weights), expected)
    whole = accuracy(predictions, references).mean_per_class_accuracy
    np.testing.assert_allclose(statistic(np.ones((1, 30))), whole)


def test_invariance_statistic_agrees_with_invariance(weights):
    generator = np.random.default_rng(0)
    z = generator.normal(size=(30, 4))
    z_t = z + generator.normal(size=(30, 4))
    result = invariance(z, z_t, unchanged=np.arange(30) == 4)
    similarities = (
        result.per_sample_cosine,
        result.per_sample_chance_cosine,
        result.per_sample_candidate_chance_cosine,
    )
    statistic = invariance_statistic(*similarities)
    np.testing.assert_allclose(statistic(np.ones((1, 30))), [result.invariance])
    far = 1 - result.chance_cosine
    moved, query, candidate = (1 - np.nanmean(repeated(values, weights[0])) for values in similarities)
    ratio = (1 - result.cosine) / far
    expected = ratio + (moved - ratio * far) / far - ratio / far * (query + candidate - 2 * far)
    np.testing.assert_allclose(statistic(weights)[0], 1 - expected)


def test_invariance_statistic_is_nan_where_all_features_point_one_way():
    assert np.isnan(invariance_statistic([1.0, 1.0], [1.0, 1.0 - 1e-8], [1.0, 1.0 - 1e-8])(np.ones((1, 2)))).all()


def test_average_and_difference(weights):
    a, b = mean_statistic(np.arange(30.0)), mean_statistic(np.arange(30.0) ** 2)
    np.testing.assert_allclose(average_statistic([a, b])(weights), (a(weights) + b(weights)) / 2)
    np.testing.assert_allclose(difference_statistic(a, b)(weights), a(weights) - b(weights))


def test_average_with_an_undefined_member_is_undefined():
    average = average_statistic([mean_statistic([1.0, 2.0]), mean_statistic([np.nan, np.nan])])
    assert np.isnan(average(np.ones((1, 2)))).all()


# --- intervals ---


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_interval_of_a_mean_agrees_with_the_normal_approximation(level):
    values = np.random.default_rng(0).exponential(size=1000)
    estimate = bootstrap_interval(mean_statistic(values), 1000, num_resamples=4000, level=level)
    half = norm.ppf((1 + level) / 2) * values.std() / np.sqrt(1000)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert (estimate.n, estimate.reason) == (1000, "")


def test_interval_of_a_mean_covers_the_truth():
    generator = np.random.default_rng(0)
    covered = 0
    for repetition in range(1000):
        values = generator.normal(3.0, 1.0, 100)
        estimate = bootstrap_interval(mean_statistic(values), 100, num_resamples=300, seed=repetition)
        covered += estimate.low <= 3.0 <= estimate.high
    assert 0.92 <= covered / 1000 <= 0.97


def test_differences_are_paired():
    generator = np.random.default_rng(0)
    base = generator.normal(size=200)
    a, b = mean_statistic(base + 0.05), mean_statistic(base)
    difference = bootstrap_interval(difference_statistic(a, b), 200)
    assert difference.low == pytest.approx(0.05)
    assert difference.high == pytest.approx(0.05)
    assert difference.decided
    assert not bootstrap_interval(b, 200).decided

    # the difference of two bootstraps with one seed is the bootstrap of the difference
    noisy = mean_statistic(base + generator.normal(size=200))
    recorded = {}

    def record(name, statistic):
        def recording(weights):
            recorded.setdefault(name, []).append(statistic(weights))
            return recorded[name][-1]

        return recording

    bootstrap_interval(record("a", a), 200, seed=4)
    bootstrap_interval(record("noisy", noisy), 200, seed=4)
    bootstrap_interval(record("difference", difference_statistic(a, noisy)), 200, seed=4)
    a_values, noisy_values, differences = (np.concatenate(recorded[name]) for name in ("a", "noisy", "difference"))
    np.testing.assert_allclose(differences, a_values - noisy_values, atol=1e-12)


def test_deterministic_by_seed_whatever_the_chunks(monkeypatch):
    statistic = mean_statistic(np.random.default_rng(0).normal(size=40))
    first = bootstrap_interval(statistic, 40, seed=1)
    assert bootstrap_interval(statistic, 40, seed=2) != first
    monkeypatch.setattr("hf_sslgen.metrics.comparison.CHUNK_ENTRIES", 40 * 7)
    again = bootstrap_interval(statistic, 40, seed=1)
    assert [again.low, again.high] == pytest.approx([first.low, first.high], abs=1e-12)


def test_every_resample_draws_n_images_with_replacement():
    seen = []

    def statistic(weights):
        seen.append(weights)
        return weights[:, 0]

    bootstrap_interval(statistic, 25, num_resamples=3000)
    resamples = np.concatenate(seen[1:])
    assert resamples.shape == (3000, 25)
    assert (resamples.sum(axis=1) == 25).all()
    assert (resamples == resamples.round()).all()
    np.testing.assert_allclose(resamples.mean(axis=0), 1.0, atol=0.08)
    np.testing.assert_allclose(resamples.var(axis=0), 1 - 1 / 25, atol=0.12)


def test_memory_stays_bounded():
    generator = np.random.default_rng(0)
    references = generator.integers(0, 50, 20_000)
    statistic = difference_statistic(
        mean_per_class_statistic(generator.integers(0, 2, 20_000), references), mean_statistic(references / 50)
    )
    tracemalloc.start()
    bootstrap_interval(statistic, 20_000, num_resamples=400)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 50e6


# --- undefined differences ---


def test_undefined_value_has_no_interval():
    estimate = bootstrap_interval(mean_statistic([np.nan, np.nan]), 2)
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()
    assert estimate.reason == "the statistic is undefined on the sample"
    assert not estimate.decided


def test_one_image_has_no_interval():
    estimate = bootstrap_interval(mean_statistic([2.0]), 1)
    assert estimate.value == 2.0
    assert np.isnan([estimate.low, estimate.high]).all()
    assert estimate.reason == "one image has no variation to resample"
    assert not estimate.decided


def test_resamples_without_a_defined_image():
    few = bootstrap_interval(mean_statistic([1.0, 2.0] + [np.nan] * 18), 20)
    assert few.value == 1.5
    assert np.isnan([few.low, few.high]).all()
    assert few.reason.startswith("undefined in ")
    some = bootstrap_interval(mean_statistic([1.0, 2.0, 3.0, 4.0, 5.0] + [np.nan] * 15), 20)
    assert not np.isnan([some.low, some.high]).any()
    assert some.reason.endswith("of 2000 resamples, left out")


@pytest.mark.parametrize(
    ("low", "high", "decided"),
    [(0.1, 0.3, True), (-0.3, -0.1, True), (-0.1, 0.1, False), (0.0, 0.1, False), (-0.1, 0.0, False)],
)
def test_decided_is_an_interval_that_excludes_zero(low, high, decided):
    assert Estimate(value=0.0, low=low, high=high, n=10).decided is decided


def test_estimate_is_json_able_and_readable():
    estimate = Estimate(value=0.25, low=0.125, high=0.5, n=10)
    assert json.loads(json.dumps(estimate.to_dict())) == {
        "value": 0.25,
        "low": 0.125,
        "high": 0.5,
        "n": 10,
        "reason": "",
    }
    assert str(estimate) == "Estimate: value = 0.25, low = 0.125, high = 0.5, n = 10"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_statistic([np.inf]), r"values must be finite or NaN, but values\[0\] is inf"),
        (lambda: mean_statistic([]), "values must not be empty"),
        (lambda: mean_per_class_statistic([1], [0, 1]), "correct and references must have the same length"),
        (lambda: mean_per_class_statistic([2], [0]), r"correct must be boolean, .*\[0\] is 2"),
        (lambda: average_statistic([]), "statistics must hold at least one statistic"),
        (lambda: mean_statistic([1.0, 2.0])(np.ones((1, 3))), r"weights must have shape \(R, 2\) .* got \(1, 3\)"),
        (lambda: bootstrap_interval(mean_statistic([1.0]), 2), r"weights must have shape \(R, 1\)"),
        (lambda: bootstrap_interval(lambda w: w, 2), r"statistic must return shape \(1,\) .*, got \(1, 2\)"),
        (lambda: bootstrap_interval(mean_statistic([1.0]), 0), "n must be an integer of at least 1, got 0"),
        (lambda: bootstrap_interval(mean_statistic([1.0]), 1, level=1.0), "level must lie strictly between 0 and 1"),
        (lambda: bootstrap_interval(mean_statistic([1.0]), 1, 1), "num_resamples must be an integer of at least 2"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
