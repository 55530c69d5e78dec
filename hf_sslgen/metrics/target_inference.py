"""Inference over targets, from differences measured on several datasets to other datasets of their kind.

The unit is one difference per target, already averaged over seeds. Targets are few, so intervals are Student's t: a
percentile bootstrap over four targets covers 79% instead of 95%. If differences are strongly skewed, t covers 82 to
90%, which can't be detected from a few targets. All functions take plain arrays of differences.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.inputs import FloatArray, float_array, open_unit_level
from hf_sslgen.metrics.results import MetricResult

SIGNIFICANCE = 0.05
MAX_EXACT_TARGETS = 1000  # beyond this the exact distribution holds numbers that float64 can't


@dataclass(frozen=True)
class TargetMean(MetricResult):
    """The mean difference over targets with its Student t interval; undefined numbers are NaN, with a `reason`.

    Attributes:
        value, low, high: mean and interval, in the units of the differences.
        n: number of targets.
        standard_deviation: over targets, with n - 1 in the denominator.
        effect_size: Hedges' g_z, the mean in standard deviations (Cohen's d_z) times the exact small-sample factor.
        probability_of_improvement: share of targets whose difference is positive; a difference of zero counts half.
    """

    value: float
    low: float
    high: float
    n: int
    standard_deviation: float
    effect_size: float
    probability_of_improvement: float
    reason: str = ""


@dataclass(frozen=True)
class SignedRankResult(MetricResult):
    """A Wilcoxon signed-rank test within a family of tests.

    Attributes:
        p_value: exact, two-sided.
        adjusted_p_value: Holm-adjusted over the family; NaN, with a `reason`, if no member of the family could reach
            0.05.
        floor: the smallest p-value possible with this number of differences.
        n: number of nonzero differences; the test leaves out the others.
    """

    p_value: float
    adjusted_p_value: float
    floor: float
    n: int
    reason: str = ""


@dataclass(frozen=True)
class InteractionResult(MetricResult):
    """Mean of `a` minus mean of `b` with Welch's t interval: `a` and `b` are differences on two kinds of targets."""

    value: float
    low: float
    high: float
    degrees_of_freedom: float
    n_a: int
    n_b: int
    reason: str = ""


def target_mean(differences: npt.ArrayLike, level: float = 0.95) -> TargetMean:
    """Compute the mean over targets, its Student t interval, and effect sizes.

    Args:
        differences: one per target, shape (T,).
        level: coverage of the interval.
    """
    x = float_array(differences, "differences", ("T",))
    level = open_unit_level(level, "level")
    n, mean = len(x), float(np.mean(x))
    improvement = probability_of_improvement(x)
    if n < 2:
        return TargetMean(
            mean, math.nan, math.nan, n, math.nan, math.nan, improvement, "one target says nothing about others"
        )
    deviation = _deviation(x)
    half = float(scipy.stats.t.ppf((1.0 + level) / 2.0, n - 1) * deviation / np.sqrt(n))
    effect, reason = hedges_g(x), ""
    if deviation == 0.0:
        reason = "all targets differ by the same amount, so the effect size is not defined"
    return TargetMean(mean, mean - half, mean + half, n, deviation, effect, improvement, reason)


def hedges_g(differences: npt.ArrayLike) -> float:
    """Compute Hedges' g_z: Cohen's d_z (mean / SD) times Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)), m = T - 1.

    The factor makes it unbiased for normal differences (Hedges 1981). It is NaN below three targets, where it would
    not be finite, and if the differences do not vary.

    Args:
        differences: shape (T,).
    """
    x = float_array(differences, "differences", ("T",))
    freedom = len(x) - 1
    deviation = _deviation(x) if freedom >= 2 else 0.0
    if deviation == 0.0:
        return math.nan
    log_ratio = scipy.special.gammaln(freedom / 2) - scipy.special.gammaln((freedom - 1) / 2)
    factor = np.exp(log_ratio) / np.sqrt(freedom / 2)
    return float(np.mean(x) / deviation * factor)


def probability_of_improvement(differences: npt.ArrayLike) -> float:
    """Compute the share of differences, shape (T,), that are positive; zero counts half."""
    x = float_array(differences, "differences", ("T",))
    return float(np.mean((x > 0) + 0.5 * (x == 0)))


def signed_rank_p_value(differences: npt.ArrayLike) -> float:
    """Compute the exact two-sided p-value of the Wilcoxon signed-rank test.

    Zero differences are left out, as in Wilcoxon (1945). Ties share their mean rank, and the distribution over all 2^n
    signs uses these ranks, so it stays exact with ties. The p-value is 1.0 if every difference is zero.

    Args:
        differences: shape (T,).
    """
    x = float_array(differences, "differences", ("T",))
    x = x[x != 0]
    if len(x) == 0:
        return 1.0
    if len(x) > MAX_EXACT_TARGETS:
        raise ValueError(f"differences must hold at most {MAX_EXACT_TARGETS} targets that differ, got {len(x)}")
    doubled = np.rint(2 * scipy.stats.rankdata(np.abs(x))).astype(np.int64)  # ranks of ties are whole or half numbers
    probabilities = np.zeros(doubled.sum() + 1)
    probabilities[0] = 1.0
    for rank in doubled:  # each rank is in the positive sum with probability one half
        shifted = np.concatenate([np.zeros(rank), probabilities[:-rank]])
        probabilities = (probabilities + shifted) / 2
    positive = int(doubled[x > 0].sum())
    tail = min(probabilities[: positive + 1].sum(), probabilities[positive:].sum())
    return float(min(1.0, 2.0 * tail))


def holm(p_values: npt.ArrayLike) -> FloatArray:
    """Adjust p-values of shape (M,) by Holm (1979), so that the family has the error level of one test."""
    p = float_array(p_values, "p_values", ("M",))
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must lie in [0, 1], got {p}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def signed_rank_family(family: Sequence[npt.ArrayLike]) -> list[SignedRankResult]:
    """Apply a Wilcoxon signed-rank test to each member, adjusted together by Holm.

    With n differences the two-sided p-value is at least 2^(1 - n): 0.125 for four targets, 0.031 for six. If even that
    bound, times the number of tests, exceeds 0.05 for every member, no adjusted p-value is given, because it could not
    reject anything.

    Args:
        family: for each test, the differences of its targets, each of shape (T,).
    """
    arrays = [float_array(member, f"family[{index}]", ("T",)) for index, member in enumerate(family)]
    if not arrays:
        return []
    counts = [int(np.count_nonzero(x)) for x in arrays]
    floors = [min(1.0, 2.0 ** (1 - n)) for n in counts]
    p_values = [signed_rank_p_value(x) for x in arrays]
    best = len(arrays) * min(floors)
    if best > SIGNIFICANCE:
        needed = 1 + math.ceil(math.log2(len(arrays) / SIGNIFICANCE))  # M 2^(1 - n) <= 0.05
        targets = "1 target allows" if max(counts) == 1 else f"{max(counts)} targets allow"
        tests = "1 test" if len(arrays) == 1 else f"{len(arrays)} tests together"
        reason = (
            f"{targets} no p-value below {min(floors):.3g}, and {tests} none below "
            f"{min(1.0, best):.3g}: 0.05 is out of reach with fewer than {needed} targets"
        )
        return [
            SignedRankResult(p, math.nan, floor, n, reason)
            for p, floor, n in zip(p_values, floors, counts, strict=True)
        ]
    adjusted = holm(p_values)
    return [
        SignedRankResult(p, float(q), floor, n)
        for p, q, floor, n in zip(p_values, adjusted, floors, counts, strict=True)
    ]


def interaction(a: npt.ArrayLike, b: npt.ArrayLike, level: float = 0.95) -> InteractionResult:
    """Compute the difference of differences between two kinds of targets: mean(a) - mean(b) with Welch's t interval.

    Args:
        a, b: differences, shapes (T_a,) and (T_b,); each kind needs two targets for an interval.
        level: coverage of the interval.
    """
    x, y = float_array(a, "a", ("T_a",)), float_array(b, "b", ("T_b",))
    level = open_unit_level(level, "level")
    value = float(np.mean(x) - np.mean(y))
    if min(len(x), len(y)) < 2:
        reason = f"each kind needs two targets, and there are {len(x)} and {len(y)}"
        return InteractionResult(value, math.nan, math.nan, math.nan, len(x), len(y), reason)
    parts = np.array([_deviation(x) ** 2 / len(x), _deviation(y) ** 2 / len(y)])
    if parts.sum() == 0.0:
        reason = "the differences do not vary within either kind"
        return InteractionResult(value, math.nan, math.nan, math.nan, len(x), len(y), reason)
    shares = parts / parts.sum()  # shares first: squares of tiny variances would vanish
    freedom = float(1.0 / (shares[0] ** 2 / (len(x) - 1) + shares[1] ** 2 / (len(y) - 1)))
    half = float(scipy.stats.t.ppf((1.0 + level) / 2.0, freedom) * np.sqrt(parts.sum()))
    return InteractionResult(value, value - half, value + half, freedom, len(x), len(y))


def _deviation(x: FloatArray) -> float:
    """Compute the standard deviation with n - 1; exactly zero for equal entries, however their mean rounds."""
    return 0.0 if np.ptp(x) == 0.0 else float(np.std(x, ddof=1))
