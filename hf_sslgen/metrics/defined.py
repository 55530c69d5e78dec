"""Per-sample values of which some are NaN because the number is undefined there: placing, averaging, intervals."""

import numpy as np

from hf_sslgen.metrics.inputs import BoolArray, FloatArray
from hf_sslgen.metrics.intervals import MIN_OUTCOMES, skewed_mean_interval
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

ROUNDING = 1e-12  # relative to the values: what varies by no more does not vary


def per_sample(values: FloatArray, defined: BoolArray) -> FloatArray:
    """Values of the defined samples at their places among all N, NaN elsewhere."""
    spread_out = np.full(len(defined), np.nan)
    spread_out[defined] = values
    return spread_out


def mean_of_defined(values: FloatArray) -> float:
    """Mean of the entries that are not NaN; NaN where there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def interval_of_defined(values: FloatArray) -> Interval:
    """Interval of that mean, for values that may be skewed; none where they don't vary beyond rounding."""
    defined = values[~np.isnan(values)]
    if len(defined) < 2 or np.ptp(defined) <= ROUNDING * np.abs(defined).max():
        return NO_INTERVAL
    return skewed_mean_interval(defined)


def share_interval(credits: FloatArray) -> Interval:
    """Interval of a mean of credits in [0, 1], NaN left out; none with fewer than 10 successes or 10 failures.

    Where fewer count, as for a retrieval that nearly always succeeds, the misses are all on one side.
    """
    successes = np.nansum(credits)
    failures = np.nansum(1.0 - credits)
    return interval_of_defined(credits) if min(successes, failures) >= MIN_OUTCOMES else NO_INTERVAL
