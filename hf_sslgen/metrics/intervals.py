"""Closed-form 95% intervals over samples, for numbers that are means of per-sample values.

They speak of samples like these, not of other models, seeds or targets. How often they cover the truth is measured by
`benchmarks/estimator_quality.py`. Whether one is given depends on the number of samples alone: a rule that looks at
the values lets lucky samples through, whose intervals miss.
"""

import numpy as np
import scipy

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

LEVEL = 0.95
MIN_SAMPLES = 100
"""Samples from which `skewed_mean_interval` covers 92% or more where a few in a hundred lie far off; with 50 it covers
87%, because many samples of 50 hold none of these, and nothing in them says so."""


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
    half_width = float(scipy.special.stdtrit(n - 1, (1.0 + LEVEL) / 2.0) * defined.std(ddof=1) / np.sqrt(n))
    return Interval(mean - half_width, mean + half_width)


def skewed_mean_interval(values: FloatArray) -> Interval:
    """Interval of a mean whose values are skewed, as scores with few but large errors are; none where none varies.

    Student's t after the transformation of Hall (1992) that removes the skewness of the studentised mean: with
    a = skewness / sqrt(n), g(t) = t + a t^2 / 3 + a^2 t^3 / 27 + a / 6 is close to normal, and inverts in closed form.
    Without skewness both are the same.

    Args:
        values: shape (N,), without NaN.
    """
    deviations = values - values.mean()
    variance = float(np.square(deviations).mean())
    if len(values) < 2 or np.ptp(values) == 0.0 or variance == 0.0:
        return NO_INTERVAL
    n = len(values)
    a = float((deviations**3).mean()) / variance**1.5 / np.sqrt(n)
    standard_error = float(values.std(ddof=1)) / np.sqrt(n)
    quantile = float(scipy.special.stdtrit(n - 1, (1.0 + LEVEL) / 2.0))

    def inverse(g: float) -> float:  # 3 / a * (cbrt(1 + a (g - a / 6)) - 1), without the division by zero
        root = float(np.cbrt(1.0 + a * (g - a / 6.0)))
        return 3.0 * (g - a / 6.0) / (root**2 + root + 1.0)

    mean = float(values.mean())
    return Interval(mean - standard_error * inverse(quantile), mean - standard_error * inverse(-quantile))
