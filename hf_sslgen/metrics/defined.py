"""Per-sample values of which some are NaN because the number is undefined there: placing, averaging, intervals."""

import numpy as np

from hf_sslgen.metrics.inputs import BoolArray, FloatArray
from hf_sslgen.metrics.intervals import MIN_SAMPLES, skewed_mean_interval
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
    """Interval of that mean; none with fewer than 100 values, or where they don't vary beyond rounding."""
    defined = values[~np.isnan(values)]
    if len(defined) < MIN_SAMPLES or np.ptp(defined) <= ROUNDING * np.abs(defined).max():
        return NO_INTERVAL
    return skewed_mean_interval(defined)


def spread_to_all(values: FloatArray) -> FloatArray:
    """What each of all N samples adds to the mean of the defined ones, by N times its share; shape (N,).

    The mean of these is that mean, and a sample that is undefined does not move it. Arrays of different definedness
    can be averaged or subtracted sample by sample. All NaN where nothing is defined.
    """
    is_defined = ~np.isnan(values)
    mean = mean_of_defined(values)
    scale = len(values) / max(1, int(is_defined.sum()))
    spread: FloatArray = mean + np.where(is_defined, (values - mean) * scale, 0.0)
    return spread
