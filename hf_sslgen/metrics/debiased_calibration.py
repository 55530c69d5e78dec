"""Debiased calibration error: the one calibration error here whose average is its true value."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

from hf_sslgen.metrics.calibration import assign_bins
from hf_sslgen.metrics.inputs import FloatArray, confidences_and_correct, positive_integer
from hf_sslgen.metrics.intervals import LEVEL, MIN_OUTCOMES
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult


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
    intervals: Mapping[str, Interval] = field(default_factory=dict)


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
    value, reason, interval = float("nan"), "no bin holds two samples", NO_INTERVAL
    if n_kept:
        weights = sizes / n_kept
        accuracy = np.bincount(index, weights=y, minlength=num_bins)[kept] / sizes
        excess = np.bincount(index, weights=y - p, minlength=num_bins)[kept] / sizes
        variance = accuracy * (1.0 - accuracy) / (sizes - 1)
        expected_variance = np.bincount(index, weights=p * (1.0 - p), minlength=num_bins)[kept] / sizes**2
        terms = excess**2 - variance
        value, reason = float(np.dot(weights, terms)), ""
        if min(np.count_nonzero(y), np.count_nonzero(~y)) >= MIN_OUTCOMES:
            interval = _score_interval(value, weights, terms, variance, np.maximum(variance, expected_variance))
    return DebiasedCalibrationResult(
        debiased_squared_calibration_error=value,
        n=len(p),
        num_bins=num_bins,
        n_excluded_bins=int((~kept).sum()),
        n_excluded_samples=len(p) - n_kept,
        reason=reason,
        intervals={"debiased_squared_calibration_error": interval},
    )


def _score_interval(
    value: float, weights: FloatArray, terms: FloatArray, variance: FloatArray, null_variance: FloatArray
) -> Interval:
    """The true errors x from which `value` is less than 1.96 standard deviations away, as Wilson's for a share.

    A bin whose residuals average d with variance v has Var(d^2) = 4 E[d]^2 v + 2 v^2, so the variance of the sum is
    linear in the true error, V(x) = V0 + 4 c x: V0 = 2 sum w^2 v^2 is all there is for a calibrated model, and
    c = sum w^2 v d^2 / sum w d^2, with the debiased d^2, weighs bins by their share in the error. (value - x)^2 =
    1.96^2 V(x) is quadratic in x. An interval with the estimated variance at its centre covers 30% to 99.9%.

    In V0 a bin that has only right answers, and so no variance to see, takes the one that its confidences expect.
    """
    positive = np.maximum(terms, 0.0)
    error = float(np.dot(weights, positive))
    slope = float(np.dot(weights**2 * variance, positive)) / error if error > 0.0 else 0.0
    z2 = float(special.ndtri((1.0 + LEVEL) / 2.0)) ** 2
    null = 2.0 * float(np.square(weights * null_variance).sum())
    half = value + 2.0 * z2 * slope
    discriminant = half**2 - value**2 + z2 * null
    if null == 0.0 or discriminant < 0.0:
        return NO_INTERVAL
    return Interval(half - float(np.sqrt(discriminant)), half + float(np.sqrt(discriminant)))
