"""Place, average and bound per-sample values that are NaN where the number is undefined."""

import numpy as np

from hf_sslgen.metrics.inputs import BoolArray, FloatArray
from hf_sslgen.metrics.intervals import MIN_SAMPLES, skewed_mean_interval
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

ROUNDING = 1e-12  # relative to the values; smaller variation counts as none


def per_sample(values: FloatArray, defined: BoolArray) -> FloatArray:
    """Put the values of defined samples at their positions among all N, with NaN elsewhere."""
    spread_out = np.full(len(defined), np.nan)
    spread_out[defined] = values
    return spread_out


def mean_of_defined(values: FloatArray) -> float:
    """Compute the mean of the entries that are not NaN; NaN if there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def interval_of_defined(values: FloatArray) -> Interval:
    """Compute the interval of that mean; none with fewer than 100 values, or if they vary only by rounding."""
    defined = values[~np.isnan(values)]
    if len(defined) < MIN_SAMPLES or np.ptp(defined) <= ROUNDING * np.abs(defined).max():
        return NO_INTERVAL
    return skewed_mean_interval(defined)


def spread_to_all(values: FloatArray) -> FloatArray:
    """Compute per-sample contributions, shape (N,), whose mean over all N samples is the mean of the defined ones.

    An undefined sample does not move that mean. Arrays with different undefined samples can thus be averaged or
    subtracted sample by sample. All entries are NaN if no sample is defined.
    """
    is_defined = ~np.isnan(values)
    mean = mean_of_defined(values)
    scale = len(values) / max(1, int(is_defined.sum()))
    spread: FloatArray = mean + np.where(is_defined, (values - mean) * scale, 0.0)
    return spread
