import numpy as np
import pytest
from confidence_samples import columns, samples, simulated
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import debiased_calibration_error

pytestmark = pytest.mark.filterwarnings("error")


def value(p, y, num_bins=15):
    return debiased_calibration_error(p, y, num_bins).debiased_squared_calibration_error


@settings(max_examples=60, deadline=None)
@given(samples, st.integers(1, 12), st.randoms(use_true_random=False))
def test_agrees_with_a_loop_over_bins_in_any_order(pairs, num_bins, random):
    p, y = columns(pairs)
    bins = np.clip(np.ceil(np.round(p * num_bins, 9)).astype(int) - 1, 0, None)
    terms, sizes, left_out = [], [], 0
    for b in range(num_bins):
        of_bin = y[bins == b]
        if len(of_bin) < 2:
            left_out += len(of_bin)
            continue
        squared = (of_bin.mean() - p[bins == b].mean()) ** 2
        terms.append(squared - of_bin.var(ddof=1) / len(of_bin))
        sizes.append(len(of_bin))
    random.shuffle(pairs)
    result = debiased_calibration_error(*columns(pairs), num_bins)
    expected = np.average(terms, weights=sizes) if sizes else np.nan
    assert result.debiased_squared_calibration_error == pytest.approx(expected, nan_ok=True, abs=1e-12)
    assert (result.n_excluded_samples, result.n_excluded_bins) == (left_out, num_bins - len(sizes))
    assert result.reason == ("" if sizes else "no bin holds two samples")


def test_average_over_repeated_samples_is_the_true_error_where_the_plain_square_is_not():
    # one bin: 50 samples at p = .8, right with probability .7
    generator = np.random.default_rng(0)
    outcomes = generator.random((4000, 50)) < 0.7
    estimates = [value([0.8] * 50, y, 10) for y in outcomes]
    assert np.mean(estimates) == pytest.approx(0.01, abs=4 * np.std(estimates) / np.sqrt(4000))
    assert np.mean((outcomes.mean(axis=1) - 0.8) ** 2) > 0.013


def test_one_sample_and_lone_samples_are_nan_with_their_count():
    result = debiased_calibration_error([0.05, 0.5, 0.95], [1, 0, 1])
    assert np.isnan(result.debiased_squared_calibration_error)
    assert np.isnan(result.intervals["debiased_squared_calibration_error"]).all()
    assert (result.n, result.n_excluded_samples, result.n_excluded_bins) == (3, 3, 15)
    assert result.reason == "no bin holds two samples"


def test_interval_holds_the_errors_that_are_within_their_own_deviation():
    # one bin, so that the variance 2 v0^2 + 4 v x is written down at once; v0 is the larger of the two variances
    p, y = np.full(100, 0.75), np.arange(100) < 60
    v, expected = 0.6 * 0.4 / 99, 0.75 * 0.25 / 100
    low, high = debiased_calibration_error(p, y, 10).intervals["debiased_squared_calibration_error"]
    for x in (low, high):
        deviation = np.sqrt(2 * max(v, expected) ** 2 + 4 * v * x)
        assert abs(value(p, y, 10) - x) / deviation == pytest.approx(1.959964, abs=1e-6)
    assert low < value(p, y, 10) < high


@pytest.mark.parametrize("sharpness", [1.0, 1.6])
def test_interval_covers(sharpness):
    truth = value(*simulated(2_000_000, sharpness, seed=1)) if sharpness != 1.0 else 0.0
    results = [debiased_calibration_error(*simulated(500, sharpness, seed=seed)) for seed in range(2, 602)]
    intervals = [result.intervals["debiased_squared_calibration_error"] for result in results]
    assert 0.92 <= np.mean([low <= truth <= high for low, high in intervals]) <= 0.98
