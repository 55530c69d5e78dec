"""Debiased calibration error, the only calibration error here that is unbiased."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.calibration_by_rank import equal_mass_bins
from hf_sslgen.metrics.inputs import FloatArray, IntArray, confidences_and_correct, positive_integer
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class DebiasedCalibrationResult(MetricResult):
    """Debiased squared calibration error, which is signed: a calibrated model averages 0 and is often negative.

    It has no interval: none covers if few predictions are wrong, and a rule based on their number would select samples
    with more of them than usual.

    Attributes:
        debiased_squared_calibration_error: NaN, with a `reason`, for a single sample.
        n: N.
        num_bins: number of non-empty bins, each with at least two samples; at most M and at most N / 2.
    """

    debiased_squared_calibration_error: float
    n: int
    num_bins: int
    reason: str = ""


def debiased_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 15
) -> DebiasedCalibrationResult:
    """Compute the unbiased squared calibration error over bins of equal mass (Kumar, Liang and Ma 2019).

        sum_b n_b / N * mean over pairs i != j in b of (y_i - p_i) (y_j - p_j)

    The square of a bin's mean residual also contains the pairs i = j, whose mean is the residuals' variance; that bias
    (Broecker 2012; Ferro and Fricker 2012) is absent here. Bins are those of `adaptive_calibration_error`, which
    depend only on confidences; a bin with a single sample, and therefore no pair, is merged with its neighbour, so
    that no sample is left out and the expected value refers to the same bins. Equal widths would put most samples of
    an accurate network into one bin and leave the others alone in theirs.

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.
        num_bins: M; reduced if bins would hold fewer than two samples.

    >>> result = debiased_calibration_error([0.75] * 4, [1, 1, 1, 0], num_bins=10)
    >>> result.debiased_squared_calibration_error, result.num_bins
    (-0.0625, 1)
    """
    num_bins = positive_integer(num_bins, "num_bins")
    p, y = confidences_and_correct(confidences, correct)
    n = len(p)
    if n < 2:
        return DebiasedCalibrationResult(float("nan"), n, 1, "one sample has no variation to subtract")
    bins = paired_bins(p, num_bins)
    residual = y - p
    sizes = np.bincount(bins)
    sums, own = (np.bincount(bins, weights=values) for values in (residual, np.square(residual)))
    return DebiasedCalibrationResult(float(((np.square(sums) - own) / (sizes - 1)).sum() / n), n, len(sizes))


def paired_bins(p: FloatArray, num_bins: int) -> IntArray:
    """Assign N > 1 confidences to at most `num_bins` bins of equal mass, each with at least two samples."""
    bins = np.unique(equal_mass_bins(p, min(num_bins, len(p) // 2)), return_inverse=True)[1]
    sizes = np.bincount(bins)
    joins = sizes < 2
    joins[0] = False
    if sizes[0] < 2 and len(sizes) > 1:
        joins[1] = True
    joined: IntArray = (np.cumsum(~joins) - 1)[bins]
    return joined
