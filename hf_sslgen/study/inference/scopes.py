"""What a difference speaks of: these weights, these backbones trained again, or these objectives pretrained again.

Each interval holds what its scope lets vary: images; images and training seeds (split, order, initial head); images,
training seeds and pretraining runs. A scope with too few runs has no interval and so no verdict.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from hf_sslgen.metrics.detectable import minimum_detectable_difference
from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.run_variance import (
    MIN_RUNS,
    RunVariance,
    crossed_variance,
    interval_p_value,
    nested_variance,
    widened_error,
    widened_interval,
)

WEIGHTS = "weights"
TRAINING = "training"
PRETRAINING = "pretraining"

Runs = Sequence[Sequence[NDArray[np.float64]]]


@dataclass(frozen=True)
class RunVariances:
    """How a difference varies when backbones are trained again, and when they are pretrained again."""

    training: RunVariance
    pretraining: RunVariance


_UNKNOWN = RunVariance(math.nan, 0, math.nan, math.nan)
ONE_RUN = RunVariances(_UNKNOWN, _UNKNOWN)
"""Of a difference of one pair of cells."""


@dataclass(frozen=True)
class ScopedInterval:
    """A difference's 95% interval in one scope.

    Attributes:
        scope: `weights`, `training` or `pretraining`.
        low, high: NaN where the scope is not testable, for the `reason`.
        p_value: two-sided, of no difference; below 0.05 where the interval excludes zero.
        minimum_detectable_difference: that a design like this one finds with probability 0.8.
    """

    scope: str
    low: float
    high: float
    p_value: float
    minimum_detectable_difference: float
    reason: str = ""


def run_variances(runs: Runs) -> RunVariances:
    """How a difference varies between runs.

    Args:
        runs: by pretraining run and training seed what each image adds to the difference, (N,): the mean of an array
            is the difference of that pair of cells.
    """
    first = runs[0][0]
    if len(runs) == len(runs[0]) == 1 or len(first) < 2 or any(np.isnan(pair).any() for run in runs for pair in run):
        return ONE_RUN
    of_seeds = [np.stack(run, axis=1) for run in runs]
    of_runs = np.stack([seeds.mean(axis=1) for seeds in of_seeds], axis=1)
    return RunVariances(nested_variance(of_seeds), crossed_variance(of_runs) if len(runs) > 1 else _UNKNOWN)


def scoped_intervals(
    value: float,
    over_rows: Interval,
    variances: RunVariances,
    row_degrees_of_freedom: float = np.inf,
) -> tuple[ScopedInterval, ...]:
    """The interval of a difference in each scope, the narrowest scope first.

    Args:
        value: the difference.
        over_rows: its interval over images, or over domains.
        variances: what training and pretraining again add.
        row_degrees_of_freedom: one less than there are domains; infinite for images.
    """
    intervals = [_scoped(WEIGHTS, value, over_rows, None, row_degrees_of_freedom)]
    for scope, variance in ((TRAINING, variances.training), (PRETRAINING, variances.pretraining)):
        intervals.append(_scoped(scope, value, over_rows, variance, row_degrees_of_freedom))
    return tuple(intervals)


def widest_scope(intervals: Sequence[ScopedInterval]) -> ScopedInterval:
    """The interval of the widest scope that has one; the narrowest scope's where none has."""
    return next((each for each in reversed(intervals) if not np.isnan(each.low)), intervals[0])


def _scoped(
    scope: str, value: float, over_rows: Interval, variance: RunVariance | None, row_degrees_of_freedom: float
) -> ScopedInterval:
    if variance is not None and not variance.is_testable:
        return ScopedInterval(scope, math.nan, math.nan, math.nan, math.nan, _too_few(variance.degrees_of_freedom))
    interval = over_rows if variance is None else widened_interval(value, over_rows, variance)
    if np.isnan(interval.low):
        return ScopedInterval(scope, math.nan, math.nan, math.nan, math.nan, "no interval over images")
    error = (over_rows.high - over_rows.low) / 2.0 / float(special.stdtrit(row_degrees_of_freedom, 0.975))
    if variance is not None:
        error = widened_error(error, variance)
    return ScopedInterval(
        scope,
        *interval,
        interval_p_value(value, over_rows, variance, row_degrees_of_freedom),
        minimum_detectable_difference((interval.high - interval.low) / 2.0, error),
    )


def _too_few(degrees_of_freedom: int) -> str:
    runs = "one run" if degrees_of_freedom == 0 else f"{degrees_of_freedom + 1} runs"
    return f"not testable: {runs}; {MIN_RUNS} would do"
