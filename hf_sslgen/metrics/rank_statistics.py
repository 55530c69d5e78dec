"""Ranks of many methods: which can be told apart, how they rank over domains, and which no other one dominates."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.inputs import FloatArray, float_array, open_unit_level
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult
from hf_sslgen.metrics.run_variance import MIN_RUNS, RunVariance, crossed_variance
from hf_sslgen.metrics.target_inference import SIGNIFICANCE, target_mean

MIN_METHODS = MIN_RUNS
"""Minimum number of methods on each side for a comparison of groups of methods."""


@dataclass(frozen=True, eq=False)
class AverageRanks(MetricResult):
    """Ranks of methods averaged over domains; 1 is the highest value, and ties share their mean rank.

    Attributes:
        ranks: average rank of each method, shape (K,).
        low, high: Student t intervals over domains, shape (K,), within [1, K]; NaN where ranks do not vary.
        p_value: of Friedman's test that all methods rank alike; NaN for two methods.
    """

    ranks: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: float = math.nan


def average_ranks(values: npt.ArrayLike, level: float = 0.95) -> AverageRanks:
    """Rank methods on each domain and average over domains, with Friedman's test (1937), corrected for ties.

    Args:
        values: by domain and method, shape (T, K), at least two of each; higher is better.
        level: coverage of the intervals.
    """
    x = float_array(values, "values", ("T", "K"))
    level = open_unit_level(level, "level")
    if min(x.shape) < 2:
        raise ValueError(f"values must have two domains and two methods at least, got shape {x.shape}")
    ranks = scipy.stats.rankdata(-x, axis=1)
    found = [target_mean(ranks[:, method], level) for method in range(x.shape[1])]
    varies = np.array([each.standard_deviation > 0.0 for each in found])
    bounds = np.array([(each.low, each.high) for each in found])
    low, high = np.where(varies[:, None], np.clip(bounds, 1.0, x.shape[1]), np.nan).T
    differ = np.ptp(ranks, axis=1).any()
    p_value = float(scipy.stats.friedmanchisquare(*x.T).pvalue) if x.shape[1] > 2 and differ else math.nan
    return AverageRanks(ranks.mean(axis=0), low, high, p_value)


def adjust_all_pairs(p_values: npt.ArrayLike, num_methods: int) -> FloatArray:
    """Adjust the p-values of all pairs of methods by Shaffer's step-down procedure (1986), at 5% for the family.

    Equality is transitive, so that once some pairs differ, not any number of the others can be equal. Each p-value is
    multiplied by the largest number of pairs that can be, which is at most Holm's factor.

    Args:
        p_values: of every pair, shape (K (K - 1) / 2,), in any order.
        num_methods: K.
    """
    p = float_array(p_values, "p_values", ("P",))
    pairs = num_methods * (num_methods - 1) // 2
    if len(p) != pairs or ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must be {pairs} numbers in [0, 1] for {num_methods} methods, got {p}")
    possible = np.array(sorted(_numbers_of_equal_pairs(num_methods)))
    left = np.arange(pairs, 0, -1)
    factors = possible[np.searchsorted(possible, left, side="right") - 1]
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def _numbers_of_equal_pairs(num_methods: int) -> set[int]:
    """How many pairs can be equal, for every way to divide the methods into sets of equal ones."""
    possible: list[set[int]] = [{0}]
    for count in range(1, num_methods + 1):
        found = {size * (size - 1) // 2 + others for size in range(1, count + 1) for others in possible[count - size]}
        possible.append(found)
    return possible[num_methods]


def tiers(values: npt.ArrayLike, adjusted_p_values: npt.ArrayLike) -> list[int]:
    """Divide methods into tiers, from the best downwards.

    A tier is opened by the highest method that has none yet, its best, and holds every method without a tier that is
    not told apart from this best. Not being told apart is not transitive: members of a tier may be told apart from
    each other, and members of different tiers may not.

    Args:
        values: of each method, shape (K,); higher is better.
        adjusted_p_values: of each pair, symmetric, shape (K, K); NaN where a pair was not tested.

    Returns:
        The tier of each method, from 1.
    """
    x, p = float_array(values, "values", ("K",)), float_array(adjusted_p_values, "p", ("K", "K"), allow_nan=True)
    told_apart = p < SIGNIFICANCE
    tier_of = [0] * len(x)
    for best in np.argsort(-x, kind="stable"):
        if not tier_of[best]:
            tier = max(tier_of) + 1
            for method in range(len(x)):
                if not tier_of[method] and (method == best or not told_apart[best, method]):
                    tier_of[method] = tier
    return tier_of


def pareto_front(criteria: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Return which methods are dominated by none: no other is as good by every criterion and better by one.

    Args:
        criteria: by method and criterion, shape (K, Q); higher is better.
    """
    x = float_array(criteria, "criteria", ("K", "Q"))
    as_good = (x[:, None, :] >= x[None, :, :]).all(axis=2)
    better = (x[:, None, :] > x[None, :, :]).any(axis=2)
    return np.logical_not((as_good & better).any(axis=0))


@dataclass(frozen=True)
class MethodGroups:
    """The mean of one group of methods minus that of another, over domains.

    Attributes:
        value: the difference.
        over_domains: its 95% Student t interval for these methods on other domains; none below two domains.
        methods: how it varies between methods, of which each group holds a sample.
    """

    value: float
    over_domains: Interval
    methods: RunVariance


def compare_method_groups(first: npt.ArrayLike, second: npt.ArrayLike) -> MethodGroups:
    """Compare two groups of methods, both samples of their kind, measured on the same domains.

    The method is the unit: the variances of the two groups are added, with Welch's degrees of freedom, rounded down.

    Args:
        first, second: by domain and method, shapes (T, K_first) and (T, K_second).
    """
    a, b = (float_array(values, name, ("T", "K")) for values, name in ((first, "first"), (second, "second")))
    if len(a) != len(b):
        raise ValueError(f"first and second must have the same domains, got {len(a)} and {len(b)}")
    of_domains = target_mean(a.mean(axis=1) - b.mean(axis=1))
    over_domains = Interval(of_domains.low, of_domains.high) if len(a) > 1 else NO_INTERVAL
    if len(a) < 2 or min(a.shape[1], b.shape[1]) < 2:
        return MethodGroups(of_domains.value, over_domains, RunVariance(math.nan, 0, math.nan, math.nan))
    parts = [crossed_variance(values) for values in (a, b)]
    row = float(np.square(of_domains.standard_deviation)) / len(a)
    freedom = _welch_degrees_of_freedom([part.column for part in parts], [part.degrees_of_freedom for part in parts])
    variance = RunVariance(sum(p.column for p in parts), freedom, sum(p.interaction for p in parts), row)
    return MethodGroups(of_domains.value, over_domains, variance)


def _welch_degrees_of_freedom(variances: Sequence[float], degrees_of_freedom: Sequence[int]) -> int:
    total = sum(variances)
    if total == 0.0:
        return min(degrees_of_freedom)
    return int(1.0 / sum((v / total) ** 2 / f for v, f in zip(variances, degrees_of_freedom, strict=True)))
