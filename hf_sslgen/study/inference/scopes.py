"""The scope of a difference: these weights, these backbones trained again, or these objectives pretrained again.

An interval includes what its scope lets vary: images; images and training seeds (split, order, initial head); images,
training seeds and pretraining runs. A scope with too few runs has no interval and hence no verdict.

Over domains, the narrowest scope is that of backbones trained again, because every domain trains networks of its own,
so the spread over domains contains the variation between trainings. Pretraining runs are shared by all domains: they
are crossed with them and must be accounted for separately.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """How a difference varies if backbones are trained again, and if they are pretrained again."""

    training: RunVariance
    pretraining: RunVariance


UNKNOWN = RunVariance(math.nan, 0, math.nan, math.nan)
"""Of a difference of one run."""
ONE_RUN = RunVariances(UNKNOWN, UNKNOWN)
"""Of a difference of one pair of cells."""


@dataclass(frozen=True)
class ScopedInterval:
    """The 95% interval of a difference in one scope.

    Attributes:
        scope: `weights`, `training` or `pretraining`.
        low, high: NaN if the scope is not testable, with a `reason`.
        p_value: two-sided, of no difference; below 0.05 if and only if the interval excludes zero.
        minimum_detectable_difference: the true difference for which a design like this one reaches a verdict with
            probability 0.8.
    """

    scope: str
    low: float
    high: float
    p_value: float
    minimum_detectable_difference: float
    reason: str = ""


def run_variances(runs: Runs) -> RunVariances:
    """Estimate how a difference varies between runs.

    Args:
        runs: by pretraining run and training seed, each image's contribution to the difference, (N,): the mean of an
            array is the difference of that pair of cells.
    """
    first = runs[0][0]
    if len(runs) == len(runs[0]) == 1 or len(first) < 2 or any(np.isnan(pair).any() for run in runs for pair in run):
        return ONE_RUN
    of_seeds = [np.stack(run).T for run in runs]
    of_runs = np.stack([seeds.mean(axis=1) for seeds in of_seeds]).T
    return RunVariances(nested_variance(of_seeds), crossed_variance(of_runs) if len(runs) > 1 else UNKNOWN)


def scoped_intervals(
    value: float, over_images: Interval, variances: RunVariances, degrees_of_freedom: float = math.inf
) -> tuple[ScopedInterval, ...]:
    """Return the interval of a difference on one domain in each scope, the narrowest scope first.

    Args:
        value: the difference.
        over_images: its interval over images, or over groups of images.
        variances: how it varies between runs.
        degrees_of_freedom: of the interval over groups of images.
    """
    return _nested(
        _scoped(WEIGHTS, value, over_images, None, degrees_of_freedom),
        _scoped(TRAINING, value, over_images, variances.training, degrees_of_freedom),
        _scoped(PRETRAINING, value, over_images, variances.pretraining, degrees_of_freedom),
    )


def scoped_domain_intervals(
    value: float,
    over_domains: Interval,
    pretraining: RunVariance,
    degrees_of_freedom: float,
    reason: str = "",
    reason_of_runs: str = "",
) -> tuple[ScopedInterval, ...]:
    """Return the interval of a difference over domains in each scope, the narrowest scope first.

    Args:
        value: the difference.
        over_domains: its interval over domains.
        pretraining: how it varies between pretraining runs, which are crossed with domains.
        degrees_of_freedom: of the interval over domains.
        reason: why there is no interval over domains, if there is none.
        reason_of_runs: why pretraining runs are not crossed with domains, if it is not that they are too few.
    """
    if np.isnan(over_domains.low):
        return without_intervals((TRAINING, PRETRAINING), reason)
    wider = (
        _without_interval(PRETRAINING, reason_of_runs)
        if reason_of_runs
        else _scoped(PRETRAINING, value, over_domains, pretraining, degrees_of_freedom)
    )
    return _nested(_scoped(TRAINING, value, over_domains, None, degrees_of_freedom), wider)


def widest_scope(intervals: Sequence[ScopedInterval]) -> ScopedInterval:
    """Return the interval of the widest scope that has one, or that of the narrowest scope if none has."""
    return next((each for each in reversed(intervals) if not np.isnan(each.low)), intervals[0])


def without_intervals(scopes: Sequence[str], reason: str) -> tuple[ScopedInterval, ...]:
    """Return scopes that can't be tested, all for one reason."""
    return tuple(_without_interval(scope, reason) for scope in scopes)


def _scoped(
    scope: str, value: float, over_rows: Interval, variance: RunVariance | None, row_degrees_of_freedom: float = np.inf
) -> ScopedInterval:
    if variance is not None and not variance.is_testable:
        return _without_interval(scope, _too_few(variance.degrees_of_freedom))
    interval = over_rows if variance is None else widened_interval(value, over_rows, variance, row_degrees_of_freedom)
    if np.isnan(interval.low) or np.isnan(value):
        return _without_interval(scope, "no interval over images")
    error = (over_rows.high - over_rows.low) / 2.0 / float(special.stdtrit(row_degrees_of_freedom, 0.975))
    if variance is not None:
        error = widened_error(error, variance, row_degrees_of_freedom)
    return ScopedInterval(
        scope,
        *interval,
        interval_p_value(value, over_rows, variance, row_degrees_of_freedom),
        minimum_detectable_difference((interval.high - interval.low) / 2.0, error),
    )


def _nested(*intervals: ScopedInterval) -> tuple[ScopedInterval, ...]:
    """Widen each interval to contain those of the narrower scopes.

    What varies in a narrower scope varies in a wider one too. The few runs of a wider scope can be alike by chance;
    alone, it would then claim more than a narrower one.
    """
    found: list[ScopedInterval] = []
    for each in intervals:
        narrower = next((other for other in reversed(found) if not np.isnan(other.low)), None)
        if narrower is None or np.isnan(each.low):
            found.append(each)
            continue
        found.append(
            replace(
                each,
                low=min(each.low, narrower.low),
                high=max(each.high, narrower.high),
                p_value=max(each.p_value, narrower.p_value),
                minimum_detectable_difference=max(
                    each.minimum_detectable_difference, narrower.minimum_detectable_difference
                ),
            )
        )
    return tuple(found)


def _without_interval(scope: str, reason: str) -> ScopedInterval:
    return ScopedInterval(scope, math.nan, math.nan, math.nan, math.nan, reason)


def _too_few(degrees_of_freedom: int) -> str:
    runs = "one run" if degrees_of_freedom == 0 else f"{degrees_of_freedom + 1} runs"
    return f"not testable: {runs}; {MIN_RUNS} are needed"
