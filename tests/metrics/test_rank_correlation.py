"""Rank correlations over backbones and targets, against SciPy, the jackknife written out, and simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.metrics.rank_correlation import MIN_BACKBONES, RankCorrelation, mean_rank_correlation


def table(
    generator: np.random.Generator, targets: int, backbones: int, correlation: float, shared: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers by target and backbone, (T, B): correlated, and to a share the same on all targets."""
    common, own = generator.normal(size=(2, 1, backbones)), generator.normal(size=(2, targets, backbones))
    mixed = np.sqrt(shared) * common + np.sqrt(1.0 - shared) * own
    return mixed[0], correlation * mixed[0] + math.sqrt(1.0 - correlation**2) * mixed[1]


def true_mean(correlation: float) -> float:
    """Spearman's correlation of two normal numbers (Pearson 1907)."""
    return 6.0 / math.pi * math.asin(correlation / 2.0)


def test_the_mean_is_over_spearman_of_each_target_with_ties() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 6, (2, 5, 9)).astype(float)
    found = mean_rank_correlation(a, b)
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert found.by_target == pytest.approx(expected)
    assert found.value == pytest.approx(np.mean(expected)) and found.num_backbones == 9


def test_the_interval_is_that_of_the_jackknife_written_out() -> None:
    targets, backbones = 4, 9
    a, b = table(np.random.default_rng(1), targets, backbones, 0.6, 0.8)
    a = np.round(a)  # with ties
    b[0] = -b[0]  # targets differ

    def correlations(keep: list[int]) -> np.ndarray:
        return np.array([stats.spearmanr(a[t, keep], b[t, keep]).statistic for t in range(targets)])

    everything = list(range(backbones))
    full = correlations(everything)
    without = np.array([correlations([j for j in everything if j != k]) for k in everything])
    mean = full.mean()
    centre = backbones * np.arctanh(mean) - (backbones - 1) * np.arctanh(without.mean(axis=1)).mean()
    pseudo = (backbones * full - (backbones - 1) * without) / (1.0 - mean**2)  # (B, T)
    of_backbones = pseudo.mean(axis=1).var(ddof=1) / backbones
    of_targets = pseudo.mean(axis=0).var(ddof=1) / targets
    residual = pseudo - pseudo.mean(axis=1, keepdims=True) - pseudo.mean(axis=0) + pseudo.mean()
    of_both = (residual**2).sum() / ((backbones - 1) * (targets - 1)) / (backbones * targets)
    assert of_backbones > of_both
    over_targets = stats.sem(full) / (1.0 - mean**2)
    alone = (1.0 - (1.0 - 1.0 / (targets - 1)) * of_both / of_targets) * over_targets**2
    assert alone > 0.05 * of_backbones
    both = of_backbones + alone
    freedom = both**2 / (of_backbones**2 / (backbones - 1) + alone**2 / (targets - 1))
    squared = [stats.t.ppf(0.975, each) ** 2 for each in (backbones - 1, targets - 1, freedom)]
    half = math.sqrt(0.4 * (squared[0] * of_backbones + squared[1] * alone) + 0.6 * squared[2] * both)
    found = mean_rank_correlation(a, b)
    assert (found.low, found.high) == pytest.approx((math.tanh(centre - half), math.tanh(centre + half)))
    assert (found.p_value < 0.05) == (found.low > 0.0 or found.high < 0.0)


def test_order_and_scale_of_the_numbers_do_not_matter() -> None:
    a, b = table(np.random.default_rng(2), 4, 10, 0.5, 0.5)
    found = mean_rank_correlation(a, b)
    order = np.random.default_rng(3).permutation(10)
    for other in (mean_rank_correlation(np.exp(a), 3.0 * b - 1.0), mean_rank_correlation(a[:, order], b[:, order])):
        assert (other.value, other.low, other.high) == pytest.approx((found.value, found.low, found.high))
    swapped, turned = mean_rank_correlation(b, a), mean_rank_correlation(a, -b)
    assert swapped.p_value == pytest.approx(found.p_value) == pytest.approx(turned.p_value)
    assert (-turned.high, -turned.low) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize(
    ("targets", "backbones", "reason"),
    [
        (4, MIN_BACKBONES - 1, "7 backbones; 8 are needed"),
        (2, MIN_BACKBONES, "2 domains; 3 are needed"),
        (1, MIN_BACKBONES, "1 domain; 3 are needed"),
    ],
)
def test_too_few_have_a_correlation_without_an_interval(targets: int, backbones: int, reason: str) -> None:
    found = mean_rank_correlation(*table(np.random.default_rng(4), targets, backbones, 0.5, 0.5))
    assert found.reason == reason and not math.isnan(found.value)
    assert all(map(math.isnan, (found.low, found.high, found.p_value)))


def test_what_does_not_vary_has_a_reason() -> None:
    numbers = np.arange(32.0).reshape(4, 8) % 7
    constant, nearly = np.ones((4, 8)), np.eye(8)[:4]
    assert "same for all backbones on a target" in mean_rank_correlation(numbers, constant).reason
    assert "all backbones but one" in mean_rank_correlation(numbers, nearly).reason
    same = mean_rank_correlation(numbers, numbers)
    assert same.value == pytest.approx(1.0) and "agree completely" in same.reason and math.isnan(same.low)


def test_one_swap_from_complete_agreement_is_decided() -> None:
    a = np.tile(np.arange(8.0), (4, 1))
    b = a.copy()
    b[0, [2, 3]] = b[0, [3, 2]]
    found = mean_rank_correlation(a, b)
    assert found.low > 0.5 and found.high <= 1.0 and found.p_value < 0.05


@pytest.mark.parametrize("shapes", [((3, 8), (3, 9)), ((3, 1), (3, 1))])
def test_shapes_that_do_not_fit_are_refused(shapes: tuple[tuple[int, int], tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="one shape"):
        mean_rank_correlation(np.ones(shapes[0]), np.ones(shapes[1]))


def simulated(
    targets: int, backbones: int, correlation: float, shared: float, repetitions: int
) -> list[RankCorrelation]:
    generator = np.random.default_rng([targets, backbones, int(100 * correlation), int(100 * shared)])
    return [
        mean_rank_correlation(*table(generator, targets, backbones, correlation, shared)) for _ in range(repetitions)
    ]


def test_backbones_shared_by_all_targets_do_not_make_false_correlations() -> None:
    """300 repetitions: an error rate of 5.5% comes out above 10% once in a thousand times, while Student's t over
    these targets alone errs in half of the cases."""
    found = simulated(targets=8, backbones=8, correlation=0.0, shared=0.8, repetitions=300)
    assert np.mean([each.p_value < 0.05 for each in found]) < 0.1
    alone = [stats.ttest_1samp(each.by_target, 0.0).pvalue < 0.05 for each in found]
    assert np.mean(alone) > 0.4


@pytest.mark.slow
@pytest.mark.parametrize(("targets", "backbones"), [(3, 8), (4, 12), (12, 8), (12, 20)])
@pytest.mark.parametrize(("correlation", "shared"), [(0.0, 0.9), (0.6, 0.5), (0.85, 0.9)])
def test_intervals_cover(targets: int, backbones: int, correlation: float, shared: float) -> None:
    """1,000 repetitions: a coverage of 92% comes out below 89.1% once in a thousand times."""
    found = simulated(targets, backbones, correlation, shared, repetitions=1000)
    truth = true_mean(correlation)
    assert 0.891 < np.mean([each.low <= truth <= each.high for each in found]) < 0.99
