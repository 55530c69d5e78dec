"""The bulk bootstrap of the simulations gives the very bounds that the toolkit prints."""

import numpy as np
import pytest
from simulated.resampling import (
    Resampled,
    percentile_intervals,
    resampled_average,
    resampled_difference,
    resampled_invariance,
    resampled_mean,
    resampled_per_class,
    resampling_weights,
)

from hf_sslgen.metrics import (
    Statistic,
    average_statistic,
    bootstrap_interval,
    difference_statistic,
    invariance,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
)

N = 40
GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.normal(size=(2, N))
WITH_GAPS = np.where(np.arange(N) % 3 == 0, np.nan, X)
NEARLY_ALL_GAPS = np.where(np.arange(N) < 4, X, np.nan)
CORRECT = GENERATOR.random(N) < 0.7
LABELS = np.where(np.arange(N) < 2, 2, np.arange(N) % 2)  # class 2 is absent from some resamples
FEATURES = GENERATOR.normal(0.3, 1.0, size=(N, 5))
PAIRS = invariance(FEATURES, FEATURES + GENERATOR.normal(size=(N, 5)))

NUMBERS: dict[str, tuple[Resampled, Statistic]] = {
    "mean": (resampled_mean(X), mean_statistic(X)),
    "mean of the defined": (resampled_mean(WITH_GAPS), mean_statistic(WITH_GAPS)),
    "undefined in too many resamples": (resampled_mean(NEARLY_ALL_GAPS), mean_statistic(NEARLY_ALL_GAPS)),
    "accuracy per class": (resampled_per_class(CORRECT, LABELS, 4), mean_per_class_statistic(CORRECT, LABELS)),
    "invariance": (
        resampled_invariance(PAIRS),
        invariance_statistic(
            PAIRS.per_sample_cosine, PAIRS.per_sample_chance_cosine, PAIRS.per_sample_candidate_chance_cosine
        ),
    ),
    "difference": (
        resampled_difference(resampled_mean(X), resampled_per_class(CORRECT, LABELS, 4)),
        difference_statistic(mean_statistic(X), mean_per_class_statistic(CORRECT, LABELS)),
    ),
    "average": (
        resampled_average(resampled_mean(X), resampled_mean(Y)),
        average_statistic([mean_statistic(X), mean_statistic(Y)]),
    ),
}


@pytest.fixture(scope="module")
def intervals() -> dict[str, tuple[float, float]]:
    found = percentile_intervals([resampled for resampled, _ in NUMBERS.values()], resampling_weights(N))
    return dict(zip(NUMBERS, found, strict=True))


@pytest.mark.parametrize("name", NUMBERS)
def test_value_and_bounds_are_those_of_the_bootstrap(intervals: dict[str, tuple[float, float]], name: str) -> None:
    resampled, statistic = NUMBERS[name]
    expected = bootstrap_interval(statistic, N)
    assert resampled.value() == pytest.approx(expected.value, abs=1e-12)
    assert intervals[name] == pytest.approx((expected.low, expected.high), abs=1e-12, nan_ok=True)


def test_one_of_them_has_no_interval(intervals: dict[str, tuple[float, float]]) -> None:
    assert [name for name, (low, _) in intervals.items() if np.isnan(low)] == ["undefined in too many resamples"]


def test_weights_are_counts_of_draws() -> None:
    weights = resampling_weights(7)
    assert weights.shape == (2000, 7)
    assert (weights.sum(axis=1) == 7).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.1)
