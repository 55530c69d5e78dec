"""Closed-form 95% intervals over samples, for numbers that are means of per-sample values.

They speak of samples like these, not of other models, seeds or targets. How often they cover the truth is measured by
`benchmarks/estimator_quality.py`; numbers whose intervals don't have none.
"""

import numpy as np
from scipy import special

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

LEVEL = 0.95


def mean_interval(values: FloatArray) -> Interval:
    """Student t interval of the mean of the entries that are not NaN; none with fewer than two of them.

    Args:
        values: shape (N,).
    """
    defined = values[~np.isnan(values)]
    n = len(defined)
    if n < 2:
        return NO_INTERVAL
    mean = float(defined.mean())
    half_width = float(special.stdtrit(n - 1, (1.0 + LEVEL) / 2.0) * defined.std(ddof=1) / np.sqrt(n))
    return Interval(mean - half_width, mean + half_width)


def proportion_interval(successes: int, n: int) -> Interval:
    """Score interval of a share (Wilson 1927), which keeps a width where all or none of the n samples succeed."""
    z = float(special.ndtri((1.0 + LEVEL) / 2.0))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1.0 + z**2 / n)
    half_width = z / (1.0 + z**2 / n) * np.sqrt(share * (1.0 - share) / n + z**2 / (4 * n**2))
    return Interval(float(max(0.0, centre - half_width)), float(min(1.0, centre + half_width)))
