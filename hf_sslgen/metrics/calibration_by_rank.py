"""Calibration errors based on the ranks of confidences instead of bins of equal width."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import FloatArray, IntArray, confidences_and_correct, positive_integer
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class AdaptiveCalibrationResult(MetricResult):
    """Equal-mass calibration error with its table of M bins; an empty bin has NaN for everything but its count.

    Attributes:
        adaptive_calibration_error: l1.
        n, num_bins: N and M.
        bin_low, bin_high: (M,), smallest and largest confidence in the bin.
        bin_counts, bin_confidence, bin_accuracy: (M,), samples, and their means of p and y.
    """

    adaptive_calibration_error: float
    n: int
    num_bins: int
    bin_low: FloatArray
    bin_high: FloatArray
    bin_counts: IntArray
    bin_confidence: FloatArray
    bin_accuracy: FloatArray


@dataclass(frozen=True, eq=False)
class KSCalibrationResult(MetricResult):
    """Kolmogorov-Smirnov calibration error, which needs no bins."""

    ks_calibration_error: float
    n: int


def adaptive_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 15
) -> AdaptiveCalibrationResult:
    """Compute the l1 calibration error over bins of equal mass (Nguyen and O'Connor 2015; Nixon et al. 2019).

    Sorted by p, the sample of rank i = 0 ... N-1 falls into bin floor(i M / N). Samples with equal p stay together in
    the bin of the first of them, so bins after a large group may be empty.

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.
        num_bins: M.

    >>> result = adaptive_calibration_error([0.6, 0.7, 0.7, 0.9], [1, 1, 0, 1], num_bins=2)
    >>> result.bin_counts.tolist(), round(result.adaptive_calibration_error, 3)
    ([3, 1], 0.025)
    """
    num_bins = positive_integer(num_bins, "num_bins")
    p, y = confidences_and_correct(confidences, correct)
    n = len(p)
    bins = equal_mass_bins(p, num_bins)
    counts = np.bincount(bins, minlength=num_bins)
    sum_p = np.bincount(bins, weights=p, minlength=num_bins)
    sum_y = np.bincount(bins, weights=y, minlength=num_bins)

    low, high = np.full(num_bins, np.inf), np.full(num_bins, -np.inf)
    np.minimum.at(low, bins, p)
    np.maximum.at(high, bins, p)
    low[counts == 0] = high[counts == 0] = np.nan
    sizes_or_nan = np.where(counts > 0, counts, np.nan)
    return AdaptiveCalibrationResult(
        adaptive_calibration_error=float(np.abs(sum_y - sum_p).sum() / n),
        n=n,
        num_bins=num_bins,
        bin_low=low,
        bin_high=high,
        bin_counts=counts,
        bin_confidence=sum_p / sizes_or_nan,
        bin_accuracy=sum_y / sizes_or_nan,
    )


def equal_mass_bins(p: FloatArray, num_bins: int) -> IntArray:
    """Return the bin of each confidence, (N,): floor(i M / N) for rank i, with ties in the bin of their first."""
    _, group, sizes = np.unique(p, return_inverse=True, return_counts=True)
    first_rank = np.cumsum(sizes) - sizes
    bins: IntArray = (first_rank * num_bins // len(p))[group]
    return bins


def ks_calibration_error(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> KSCalibrationResult:
    """Compute the Kolmogorov-Smirnov calibration error (Gupta et al. 2021): the largest gap of cumulated y and p.

        max over ends k of groups of equal p of |sum_{i <= k} (y_(i) - p_(i))| / N,    sorted by p

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.

    >>> round(ks_calibration_error([0.5, 0.5, 0.9], [1, 0, 0]).ks_calibration_error, 3)
    0.3
    """
    p, y = confidences_and_correct(confidences, correct)
    _, group = np.unique(p, return_inverse=True)
    cumulated = np.cumsum(np.bincount(group, weights=y - p))
    return KSCalibrationResult(float(np.abs(cumulated).max() / len(p)), len(p))
