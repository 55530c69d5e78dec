"""Rank correlation of two numbers over backbones, averaged over targets, with an interval over both.

All targets share the backbones, which are therefore crossed with them, as training runs are: a correlation found on
many targets with the same few backbones says little about other backbones. The variance over backbones comes from
jackknife pseudo-values (Tukey 1958), one per target and backbone, in which `hf_sslgen.metrics.run_variance` separates
backbones, targets and their interaction. The interval is on Fisher's scale (arctanh), where the
jackknife also removes most of the bias that few backbones cause.

Simulated with 8, 10, 12 and 20 backbones on 3, 4, 8 and 12 targets (numbers shared between targets wholly, in part,
or not at all, correlations the same or different on each target, of 0 to 0.95), intervals cover 92 to 99%, and 91%
where a correlation of 0.95 comes from backbones alone. They err in 1 to 6% of cases without a correlation; at a level
of 0.5%, as an adjustment for many tests needs, in at most 1.8%. With five or six backbones coverage falls to 88%, so
there is no interval. `benchmarks/claims.py` repeats this.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.inputs import FloatArray, float_array
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult
from hf_sslgen.metrics.run_variance import crossed_variance, interval_p_value, widened_interval

MIN_BACKBONES = 8
MIN_TARGETS = 3


@dataclass(frozen=True)
class RankCorrelation(MetricResult):
    """Spearman's correlation over backbones, averaged over targets; undefined numbers are NaN, with a `reason`.

    Attributes:
        value: mean over targets.
        low, high: 95% interval for other backbones and targets.
        p_value: two-sided, of no correlation; below 0.05 if and only if the interval excludes zero.
        by_target: the correlation on each target.
        num_backbones: on every target.
    """

    value: float
    low: float
    high: float
    p_value: float
    by_target: tuple[float, ...]
    num_backbones: int
    reason: str = ""


def mean_rank_correlation(a: npt.ArrayLike, b: npt.ArrayLike) -> RankCorrelation:
    """Correlate the ranks of two numbers over backbones, and average over targets.

    Args:
        a, b: the two numbers by target and backbone, both of shape (T, B).

    Raises:
        ValueError: the shapes differ, or there are fewer than two backbones.
    """
    x, y = float_array(a, "a", ("T", "B")), float_array(b, "b", ("T", "B"))
    if x.shape != y.shape or x.shape[1] < 2:
        raise ValueError(f"a and b must have one shape with at least two backbones, got {x.shape} and {y.shape}")
    targets, backbones = x.shape
    ranks_a, ranks_b = (scipy.stats.rankdata(each, axis=1) for each in (x, y))  # ties have their mean rank
    by_target = _correlation(ranks_a, ranks_b)
    mean = float(by_target.mean())
    reason, interval, p_value = _too_few(targets, backbones), NO_INTERVAL, float("nan")
    if np.isnan(mean):
        reason = "a number is the same for all backbones on a target"
    elif not reason:
        without = _correlation(_without_each(ranks_a), _without_each(ranks_b))
        if np.isnan(without).any():
            reason = "a number is the same for all backbones but one on a target"
        elif np.ptp(without) == 0.0:
            reason = "the ranks of the two numbers agree completely, so nothing tells how their correlation varies"
        else:
            interval, p_value = _over_both(by_target, without)
    return RankCorrelation(mean, *interval, p_value, tuple(by_target.tolist()), backbones, reason)


def _over_both(by_target: FloatArray, without: FloatArray) -> tuple[Interval, float]:
    """Compute the interval and the p-value from the correlations, (T,), and those without each backbone, (T, B)."""
    targets, backbones = without.shape
    mean = by_target.mean()
    largest = 1.0 - 6.0 / (backbones**3 - backbones)  # half a step of one target's correlation below one
    slope = 1.0 / (1.0 - min(abs(mean), largest) ** 2)
    full, left_out = (np.arctanh(np.clip(each, -largest, largest)) for each in (mean, without.mean(axis=0)))
    estimate = float(backbones * full - (backbones - 1) * left_out.mean())
    pseudo_values = backbones * by_target[:, None] - (backbones - 1) * without
    variance = crossed_variance(slope * pseudo_values)
    error = slope * float(by_target.std(ddof=1)) / np.sqrt(targets)
    half = float(scipy.special.stdtrit(targets - 1, 0.975)) * error
    over_targets = Interval(estimate - half, estimate + half)
    low, high = np.tanh(widened_interval(estimate, over_targets, variance, targets - 1))
    return Interval(float(low), float(high)), interval_p_value(estimate, over_targets, variance, targets - 1)


def _without_each(ranks: FloatArray) -> FloatArray:
    """Return the ranks within each row, (T, B), without each of its columns in turn, (T, B, B - 1): those above the
    one left out move down by one, and its ties by half."""
    left_out, others = ranks[:, :, None], ranks[:, None, :]
    moved: FloatArray = others - (others > left_out) - 0.5 * (others == left_out)
    targets, backbones = ranks.shape
    return moved[:, ~np.eye(backbones, dtype=bool)].reshape(targets, backbones, backbones - 1)


def _correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    """Compute Pearson's correlation over the last axis; NaN where one of the two does not vary."""
    a, b = (each - each.mean(axis=-1, keepdims=True) for each in (a, b))
    size = np.sqrt(np.square(a).sum(axis=-1) * np.square(b).sum(axis=-1))
    found = np.full(size.shape, np.nan)
    np.divide((a * b).sum(axis=-1), size, out=found, where=size > 0.0)
    return found


def _too_few(targets: int, backbones: int) -> str:
    """Return what is missing for an interval; empty if nothing is."""
    if backbones < MIN_BACKBONES:
        return f"{backbones} backbones; {MIN_BACKBONES} are needed"
    if targets < MIN_TARGETS:
        return f"{'1 domain' if targets == 1 else f'{targets} domains'}; {MIN_TARGETS} are needed"
    return ""
