"""Closed-form 95% intervals over samples, for numbers that are means of per-sample values.

They apply to samples like these, not to other models, seeds or targets. `benchmarks/estimator_quality.py` measures how
often they cover the truth. Whether an interval is given depends only on the number of samples: a rule based on the
values would select lucky samples, whose intervals miss.
"""

import numpy as np
import scipy

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

LEVEL = 0.95
MIN_SAMPLES = 100
"""Minimum number of samples at which `skewed_mean_interval` covers 92% or more if a few percent are outliers. With 50
it covers 87%, because many sets of 50 happen to contain no outlier and give no sign of it."""


def mean_interval(values: FloatArray) -> Interval:
    """Compute the Student t interval of the mean of the non-NaN entries; none with fewer than two of them.

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
    """Compute the interval of a mean of skewed values, such as scores with few but large errors; none if none varies.

    It is Student's t after Hall's transformation (1992), which removes the skewness of the studentised mean: with
    a = skewness / sqrt(n), g(t) = t + a t^2 / 3 + a^2 t^3 / 27 + a / 6 is close to normal and inverts in closed form.
    Without skewness it equals the Student t interval.

    Args:
        values: shape (N,), without NaN.
    """
    deviations = values - values.mean()
    squares = np.square(deviations)
    variance = float(squares.mean())
    if len(values) < 2 or np.ptp(values) == 0.0 or variance == 0.0:
        return NO_INTERVAL
    n = len(values)
    a = float((squares * deviations).mean()) / variance**1.5 / np.sqrt(n)
    standard_error = float(values.std(ddof=1)) / np.sqrt(n)
    quantile = float(scipy.special.stdtrit(n - 1, (1.0 + LEVEL) / 2.0))

    def inverse(g: float) -> float:  # 3 / a * (cbrt(1 + a (g - a / 6)) - 1), without the division by zero
        root = float(np.cbrt(1.0 + a * (g - a / 6.0)))
        return 3.0 * (g - a / 6.0) / (root**2 + root + 1.0)

    mean = float(values.mean())
    return Interval(mean - standard_error * inverse(quantile), mean - standard_error * inverse(-quantile))
