"""95% intervals of means that are dominated by a few images: those predicted wrongly or with low confidence.

A mean over these few images and the others is

    mean = mean_others + share (mean_few - mean_others)

A plain interval of it covers poorly if there are few, and worse among the samples that happen to have enough of them
to print one. Here the share and the means of both groups have separate intervals, combined by square-and-add (Zou and
Donner 2008). The interval of the share is conditional on the required number of images, so that among the samples that
get an interval it covers the truth at its nominal rate.
"""

from functools import lru_cache

import numpy as np
import scipy

from hf_sslgen.metrics.inputs import BoolArray, FloatArray
from hf_sslgen.metrics.intervals import skewed_mean_interval
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

MIN_OUTCOMES = 10
"""Minimum number of the few images for an interval to be given."""
SURE = 0.95
"""Confidence above which an image reveals little about how confidences vary."""
TAIL = 0.025


def outcome_interval(values: FloatArray, correct: BoolArray) -> Interval:
    """Compute the interval of a mean of values that depend on correctness, such as a proper score.

    There is none with fewer than ten right or ten wrong predictions.

    Args:
        values: shape (N,), without NaN.
        correct: shape (N,).
    """
    if np.count_nonzero(correct) < MIN_OUTCOMES:
        return NO_INTERVAL
    return two_group_interval(values, ~correct, len(correct) - MIN_OUTCOMES)


def confidence_interval(values: FloatArray, confidences: FloatArray) -> Interval:
    """Compute the interval of a mean of values that vary with confidence; none with fewer than ten unsure images.

    Args:
        values: shape (N,), without NaN.
        confidences: shape (N,); the smallest if there are several models.
    """
    return two_group_interval(values, confidences <= SURE, len(values))


def two_group_interval(values: FloatArray, few: BoolArray, most: int) -> Interval:
    """Compute the interval of the mean, conditional on between `MIN_OUTCOMES` and `most` images being among the few.

    There is none if fewer are. If fewer than `MIN_OUTCOMES` are among the others, all images form one group.

    Args:
        values: shape (N,), without NaN.
        few: shape (N,), whether an image is among the few.
        most: largest number of them for which the caller would still print an interval.
    """
    n, k = len(values), int(np.count_nonzero(few))
    if k < MIN_OUTCOMES or k > most:
        return NO_INTERVAL
    if n - k < MIN_OUTCOMES:
        return skewed_mean_interval(values)
    share = k / n
    share_low, share_high = selected_share_interval(k, n, MIN_OUTCOMES, most)
    (mean, low, high), (other, other_low, other_high) = (_mean_and_limits(values[group]) for group in (few, ~few))
    apart = mean - other
    down, up = (share - share_low, share_high - share) if apart > 0.0 else (share_high - share, share - share_low)
    to_low = np.sqrt((apart * down) ** 2 + (share * (mean - low)) ** 2 + ((1.0 - share) * (other - other_low)) ** 2)
    to_high = np.sqrt((apart * up) ** 2 + (share * (high - mean)) ** 2 + ((1.0 - share) * (other_high - other)) ** 2)
    average = float(values.mean())
    return Interval(average - float(to_low), average + float(to_high))


@lru_cache(maxsize=4096)
def selected_share_interval(k: int, n: int, least: int, most: int) -> Interval:
    """Compute the mid-p interval of the share behind k of n, given that least <= k <= most.

    With least = 0 and most = n it is the mid-p interval of Lancaster (1961). At k = least every smaller share would
    have given the same, so the low limit is 0; at k = most the high limit is 1.
    """
    if not least <= k <= most:
        raise ValueError(f"k must lie between least = {least} and most = {most}, got {k}")

    def at_least(j: int, share: float) -> float:
        if j <= 0:
            return 1.0
        return float(scipy.special.betainc(j, n - j + 1, share)) if j <= n else 0.0

    def tail(share: float) -> float:  # P(more than k) + P(k) / 2, conditional on that range
        beyond = at_least(most + 1, share)
        looked_at = at_least(least, share) - beyond
        if looked_at <= 0.0:  # too small for float64
            return 0.0 if share < k / n else 1.0
        return ((at_least(k, share) + at_least(k + 1, share)) / 2.0 - beyond) / looked_at

    low = 0.0 if k == least else float(scipy.optimize.brentq(lambda x: tail(x) - TAIL, 0.0, k / n))
    high = 1.0 if k == most else float(scipy.optimize.brentq(lambda x: tail(x) - (1.0 - TAIL), k / n, 1.0))
    return Interval(low, high)


def _mean_and_limits(values: FloatArray) -> tuple[float, float, float]:
    """Compute the mean and its interval, of zero width if the values do not vary."""
    mean = float(values.mean())
    low, high = skewed_mean_interval(values)
    return (mean, mean, mean) if np.isnan(low) else (mean, low, high)
