"""Debiased calibration error: the one calibration error here whose average is its true value."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.calibration import assign_bins
from hf_sslgen.metrics.inputs import confidences_and_correct, positive_integer
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class DebiasedCalibrationResult(MetricResult):
    """Debiased squared calibration error, which is signed: a calibrated model has 0 on average, hence often less.

    Attributes:
        debiased_squared_calibration_error: NaN with a `reason` where no bin holds two samples.
        n, num_bins: N and M.
        n_excluded_bins: bins with fewer than two samples, empty ones among them.
        n_excluded_samples: samples in them.
    """

    debiased_squared_calibration_error: float
    n: int
    num_bins: int
    n_excluded_bins: int
    n_excluded_samples: int
    reason: str = ""


def debiased_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 15
) -> DebiasedCalibrationResult:
    """Squared calibration error over equal-width bins less its bias (Broecker 2012; Ferro and Fricker 2012).

        sum over bins with n_b >= 2 of w_b [(acc_b - conf_b)^2 - acc_b (1 - acc_b) / (n_b - 1)]

    with w_b = n_b over the number of samples in these bins; Kumar, Liang and Ma (2019) take the root of the same. A
    bin's accuracy varies around the truth, and the square of that variation is what the second term removes.

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.
        num_bins: M.

    >>> result = debiased_calibration_error([0.75] * 4, [1, 1, 1, 0], num_bins=10)
    >>> result.debiased_squared_calibration_error, result.n_excluded_bins
    (-0.0625, 9)
    """
    num_bins = positive_integer(num_bins, "num_bins")
    p, y = confidences_and_correct(confidences, correct)
    _, index = assign_bins(p, num_bins)
    counts = np.bincount(index, minlength=num_bins)
    kept = counts >= 2
    sizes = counts[kept]
    n_kept = int(sizes.sum())
    value, reason = float("nan"), "no bin holds two samples"
    if n_kept:
        accuracy = np.bincount(index, weights=y, minlength=num_bins)[kept] / sizes
        excess = np.bincount(index, weights=y - p, minlength=num_bins)[kept] / sizes
        terms = excess**2 - accuracy * (1.0 - accuracy) / (sizes - 1)
        value, reason = float(np.dot(sizes, terms) / n_kept), ""
    return DebiasedCalibrationResult(
        debiased_squared_calibration_error=value,
        n=len(p),
        num_bins=num_bins,
        n_excluded_bins=int((~kept).sum()),
        n_excluded_samples=len(p) - n_kept,
        reason=reason,
    )
