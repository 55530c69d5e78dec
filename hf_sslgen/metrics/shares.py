"""95% intervals of shares, and of differences of shares measured on the same images.

All are exact if few images count, and none collapses if none or all do. Limits of a share are quantiles of beta
distributions, like those of Clopper and Pearson (1934), with the effective number of events implied by its variance
(Korn and Graubard 1998). An upper limit allows for one more event of the largest weight (Fay and Feuer 1997), so that
events not seen in the sample do not count as impossible.
"""

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.inputs import FloatArray, IntArray
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

LOW_TAIL, HIGH_TAIL = 0.025, 0.975
ROUNDING = 1e-15
MIN_CLASS_SIZE = 10
"""Minimum number of images in every class for an interval of the mean per-class accuracy."""


def share_interval(successes: int, n: int) -> Interval:
    """Compute the exact interval of a share (Clopper and Pearson 1934), which covers 95% or more for any share."""
    return credit_interval(np.arange(n) < successes)


def credit_interval(credits: npt.NDArray[np.float64] | npt.NDArray[np.bool_]) -> Interval:
    """Compute the interval of a mean of credits in [0, 1], without NaN; `share_interval` if all are 0 or 1.

    Args:
        credits: shape (N,).
    """
    x = np.asarray(credits, dtype=np.float64)
    x = x[~np.isnan(x)]
    if len(x) == 0:
        return NO_INTERVAL
    return effective_share_interval(float(x.mean()), float(x.var()), len(x))


def mean_per_class_interval(correct: npt.NDArray[np.bool_], references: IntArray) -> Interval:
    """Compute the interval of class-averaged accuracy; none if a class that occurs has fewer than ten images.

    Args:
        correct: shape (N,).
        references: true labels, shape (N,).
    """
    if smallest_class(references) < MIN_CLASS_SIZE:
        return NO_INTERVAL
    weights = class_weights(references)
    high, missed = (_weighted_limits(np.asarray(x, np.float64), weights)[1] for x in (correct, ~correct))
    return Interval(1.0 - missed, high)


def paired_share_interval(differences: FloatArray, weights: FloatArray | None = None) -> Interval:
    """Compute the interval of a mean of credit differences in [-1, 1], such as right against wrong on the same images.

    The shares of differences above and below zero each have mid-p limits, combined by Newcombe's square-and-add method
    (1998; Zou and Donner 2008) with the correlation of two shares of one sample. If McNemar's exact test does not
    reject equality, the interval is enlarged to include zero: four against none (p = .125) is undecided.

    Args:
        differences: one per image, averaged over pairs of models if there are several, shape (N,).
        weights: image weights, shape (N,), summing to 1; equal by default.
    """
    n = len(differences)
    above, below = np.maximum(differences, 0.0), np.maximum(-differences, 0.0)
    if weights is None:
        sides = [_credit_limits(x) for x in (above, below)]
        weights = np.full(n, 1.0 / n)
    else:
        sides = [_weighted_limits(x, weights, mid_p=True) for x in (above, below)]
    p, q = float(weights @ above), float(weights @ below)
    (p_low, p_high), (q_low, q_high) = sides
    correlation = -float(np.sqrt(p * q / ((1.0 - p) * (1.0 - q)))) if max(p, q) < 1.0 else 0.0

    def distance(of_p: float, of_q: float) -> float:
        return float(np.sqrt(of_p**2 + of_q**2 - 2.0 * correlation * of_p * of_q))

    low = max(-1.0, p - q - distance(p - p_low, q_high - q))
    high = min(1.0, p - q + distance(p_high - p, q - q_low))
    if _mcnemar(weights * above, weights * below) > 2.0 * LOW_TAIL:
        low, high = min(low, 0.0), max(high, 0.0)
    return Interval(low, high)


def class_weights(references: IntArray) -> FloatArray:
    """Return image weights (N,), summing to 1, for a mean over the classes that occur."""
    _, index, sizes = np.unique(references, return_inverse=True, return_counts=True)
    return 1.0 / (len(sizes) * sizes[index])


def per_class_values(values: FloatArray, references: IntArray) -> FloatArray:
    """Compute values (N,) whose mean is the mean over classes of the mean within each; classes are fixed.

    Args:
        values, references: values and true labels, shape (N,).
    """
    weights = class_weights(references)
    _, classes, sizes = np.unique(references, return_inverse=True, return_counts=True)
    within = np.bincount(classes, values) / sizes
    spread: FloatArray = float(weights @ values) + len(values) * weights * (values - within[classes])
    return spread


def smallest_class(references: IntArray) -> int:
    """Count the images of the rarest class in the references, shape (N,), to compare with `MIN_CLASS_SIZE`."""
    return int(np.unique(references, return_counts=True)[1].min())


def effective_share_interval(share: float, variance: float, n: float) -> Interval:
    """Compute the interval of a share of n samples with this variance instead of share (1 - share)."""
    # The low limit is one minus the high limit of failures, so that unseen failures count as unseen successes do.
    return Interval(1.0 - _effective_limits(1.0 - share, variance, n)[1], _effective_limits(share, variance, n)[1])


def _effective_limits(share: float, variance: float, n: float, mid_p: bool = False) -> tuple[float, float]:
    if variance <= ROUNDING:  # all equal, which does not reveal how others vary
        variance = share * (1.0 - share)
    return _limits(share, variance / (n * (1.0 - share)) if share < 1.0 else 1.0 / n, 1.0 / n, mid_p)


def _credit_limits(x: FloatArray) -> tuple[float, float]:
    return _effective_limits(float(x.mean()), float(x.var()), len(x), mid_p=True)


def _weighted_limits(x: FloatArray, weights: FloatArray, mid_p: bool = False) -> tuple[float, float]:
    return _limits(float(weights @ x), float(np.square(weights) @ np.square(x)), float(weights.max()), mid_p)


def _limits(share: float, event: float, largest: float, mid_p: bool) -> tuple[float, float]:
    """Compute limits of a share made up of `share**2 / event` effective events, each weighing at most `largest`.

    k of n means share = k / n, event = k / n^2 and largest = 1 / n; the beta distributions are then (k, n - k + 1) and
    (k + 1, n - k), as in Clopper and Pearson. Mid-p limits are where the mean of both has the tail's probability.
    """
    seen = share**2 / event if share > 0.0 else 0.0
    one_more = (share + largest) ** 2 / (event + largest**2)
    of_seen = (seen, seen * (1.0 + largest - share) / share) if share > 0.0 else (0.0, 1.0)
    of_more = (one_more, one_more * (1.0 - share) / (share + largest))
    if not mid_p:
        low = float(scipy.special.betaincinv(*of_seen, LOW_TAIL)) if share > 0.0 else 0.0
        return low, float(scipy.special.betaincinv(*of_more, HIGH_TAIL)) if share < 1.0 else 1.0

    def tail(x: float) -> float:
        first = scipy.special.betainc(*of_seen, x) if share > 0.0 else 1.0
        second = scipy.special.betainc(*of_more, x) if share < 1.0 else 0.0
        return float(first + second) / 2.0

    low = scipy.optimize.brentq(lambda x: tail(x) - LOW_TAIL, 0.0, 1.0) if share > 0.0 else 0.0
    return float(low), float(scipy.optimize.brentq(lambda x: tail(x) - HIGH_TAIL, 0.0, 1.0)) if share < 1.0 else 1.0


def _mcnemar(above: FloatArray, below: FloatArray) -> float:
    """Compute the two-sided exact p-value of McNemar's test, on effective counts if image weights differ."""
    total = float(above.sum() + below.sum())
    if total == 0.0:
        return 1.0
    unit = float(np.square(above).sum() + np.square(below).sum()) / total
    fewer, more = sorted((float(above.sum()) / unit, float(below.sum()) / unit))
    return min(1.0, 2.0 * float(scipy.special.betainc(more, fewer + 1.0, 0.5)))
