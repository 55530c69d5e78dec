"""95% intervals where images come in groups, such as patients or photographs cut into patches.

Images of one group resemble each other, so groups, not images, are the independent units. A mean over N images in K
groups is a ratio of sums over groups; to first order, group k adds to its error the sum u_k of its images' deviations
from the mean, divided by N (Liang and Zeger 1986). `cluster_contributions` turns these sums into K values to which
any interval of a mean of independent values applies.

The squared sums are too small on average if groups differ in size, and vary more than K of equal size would. Both are
corrected as by Bell and McCaffrey (2002), for groups whose images are all alike: the sums are scaled so that their
variance is unbiased, and by the ratio of Student t quantiles with Satterthwaite's and with K - 1 degrees of freedom.
Groups of equal size need no correction.
"""

from typing import NamedTuple

import numpy as np
import scipy

from hf_sslgen.metrics.inputs import BoolArray, FloatArray, IntArray
from hf_sslgen.metrics.intervals import LEVEL, mean_interval, skewed_mean_interval
from hf_sslgen.metrics.results import NO_INTERVAL, Interval
from hf_sslgen.metrics.shares import effective_share_interval, per_class_values
from hf_sslgen.metrics.two_groups import MIN_OUTCOMES, two_group_interval

GROUP = "group_id"
"""Column of records with the number of each image's group; it says nothing else about the group."""

MIN_GROUPS = 10
"""Minimum number of groups for an interval, and of groups that contain what decides it."""

MIN_EFFECTIVE_GROUPS = 5.0
"""Minimum number of groups of equal size that would tell as much, N^2 / sum of n_k^2 (Kish 1965)."""

MIN_GROUPS_OF_FEW = 20
"""Minimum number of groups for the interval of a mean that a few images dominate; with 10, those that pass the further
condition that 10 groups have such images are lucky samples, whose intervals cover in 85 to 92% of cases."""

MIN_OUTCOME_GROUPS = 5
"""Minimum number of groups with a success, and of groups with a failure, for the interval of a share."""


class GroupedInterval(NamedTuple):
    """An interval over groups, or the reason why there is none."""

    interval: Interval
    reason: str = ""


def cluster_contributions(values: FloatArray, groups: IntArray) -> FloatArray:
    """Compute contributions of groups, (K,) in ascending order of group, whose mean is the mean of the values.

    They are linear in the values. Their Student t interval has the width that it should have for the groups' sizes.

    Args:
        values: of images, shape (N,), without NaN.
        groups: numbers of the groups, shape (N,).
    """
    _, index, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    n, k, mean = len(values), len(sizes), float(values.mean())
    sums = np.bincount(index, values - mean)
    return np.asarray(mean + (_width(sizes) * k / n) * sums, dtype=np.float64)


def _width(sizes: IntArray) -> float:
    """Compute the factor by which sums over groups of these sizes are scaled."""
    k = len(sizes)
    if k < 2:
        return 1.0
    h = sizes / sizes.sum()
    w = np.square(h)  # the variances of the sums, if the images of a group are all alike
    total, cross = float(w.sum()), float(h @ w)
    squares = total - 2.0 * cross + total**2  # expected sum of squared deviations, over the variance of one image
    # Trace of the squared covariance matrix of the deviations, diag(w) - h w' - w h' + h h' sum(w).
    of_square = (
        float(w @ w - 4.0 * h @ w**2 + 2.0 * total * h**2 @ w)
        + 2.0 * total * float(w @ w)
        + 2.0 * cross**2
        + total**4
        - 4.0 * total**2 * cross
    )
    degrees = max(1.0, squares**2 / of_square)
    quantiles = scipy.special.stdtrit([degrees, k - 1], (1.0 + LEVEL) / 2.0)
    return float(quantiles[0] / quantiles[1] * np.sqrt(total / squares * (k - 1) / k))


def too_few_groups(groups: IntArray, minimum: int = MIN_GROUPS) -> str:
    """Return why groups, shape (N,), are too few or too unequal for an interval; empty if they are not."""
    sizes = np.unique(groups, return_counts=True)[1]
    if len(sizes) < minimum:
        return f"only {len(sizes)} groups of images; an interval needs {minimum}"
    effective = float(sizes.sum() ** 2 / np.square(sizes).sum())
    if effective < MIN_EFFECTIVE_GROUPS:
        return (
            f"the {len(sizes)} groups of images are so unequal that they count as {effective:.1f} of equal size; an "
            f"interval needs {MIN_EFFECTIVE_GROUPS:.0f}"
        )
    return ""


def grouped_mean_interval(values: FloatArray, groups: IntArray) -> GroupedInterval:
    """Compute the interval of a mean of values that may be skewed, shape (N,); NaN entries are left out."""
    values, groups = _defined(values, groups)
    if reason := too_few_groups(groups):
        return GroupedInterval(NO_INTERVAL, reason)
    interval = skewed_mean_interval(cluster_contributions(values, groups))
    return GroupedInterval(interval, "all groups are alike" if np.isnan(interval.low) else "")


def grouped_few_interval(values: FloatArray, few: BoolArray, groups: IntArray, what: str) -> GroupedInterval:
    """Compute the interval of a mean that a few images dominate, shape (N,), such as those predicted wrongly.

    Groups that have such images and the others take the place of few and other images in `two_group_interval`.

    Args:
        few: shape (N,), whether an image is among the few.
        what: what they have in common, such as "are predicted wrongly", for the reason.
    """
    if reason := too_few_groups(groups, MIN_GROUPS_OF_FEW):
        return GroupedInterval(NO_INTERVAL, reason)
    with_few = np.isin(np.unique(groups), groups[few])
    if with_few.sum() < MIN_OUTCOMES:
        reason = f"only {with_few.sum()} groups have images that {what}; an interval needs {MIN_OUTCOMES}"
        return GroupedInterval(NO_INTERVAL, reason)
    interval = two_group_interval(cluster_contributions(values, groups), with_few, len(with_few))
    return GroupedInterval(interval, "all groups are alike" if np.isnan(interval.low) else "")


def grouped_share_interval(credits: FloatArray, groups: IntArray, values: FloatArray | None = None) -> GroupedInterval:
    """Compute the interval of a mean of credits in [0, 1] (Korn and Graubard 1998): that of as many independent images
    as have its variance, with fewer the fewer groups there are to tell the variance from.

    Args:
        credits: shape (N,); NaN entries are left out.
        values: whose mean is the share, if it is not that of the credits, shape (N,), without NaN.
    """
    values = credits if values is None else values
    values, defined_groups = _defined(values, groups)
    credits, _ = _defined(credits, groups)
    if reason := too_few_groups(defined_groups):
        return GroupedInterval(NO_INTERVAL, reason)
    outcomes = [len(np.unique(defined_groups[found])) for found in (credits > 0.0, credits < 1.0)]
    if min(outcomes) < MIN_OUTCOME_GROUPS:
        what = "successes" if outcomes[0] < outcomes[1] else "failures"
        reason = f"only {min(outcomes)} groups have {what}; an interval needs {MIN_OUTCOME_GROUPS}"
        return GroupedInterval(NO_INTERVAL, reason)
    contributions = cluster_contributions(values, defined_groups)
    share, k, n = float(values.mean()), len(contributions), len(values)
    variance = float(contributions.var(ddof=1)) / k
    quantiles = scipy.special.stdtrit([n - 1, k - 1], (1.0 + LEVEL) / 2.0)
    effective = share * (1.0 - share) * float(quantiles[0] / quantiles[1]) ** 2
    effective = min(float(n), effective / variance) if variance > 0.0 else float(k)
    return GroupedInterval(effective_share_interval(share, share * (1.0 - share), effective))


def grouped_class_share_interval(correct: FloatArray, references: IntArray, groups: IntArray) -> GroupedInterval:
    """Compute the interval of class-averaged accuracy from correctness and true labels, shape (N,)."""
    reason = too_few_groups(groups) or few_groups_of_a_class(references, groups)
    if reason:
        return GroupedInterval(NO_INTERVAL, reason)
    return grouped_share_interval(correct, groups, per_class_values(correct, references))


def grouped_difference_interval(
    differences: FloatArray, groups: IntArray, values: FloatArray | None = None
) -> GroupedInterval:
    """Compute the interval of a mean of credit differences in [-1, 1], such as right against wrong.

    Args:
        differences: shape (N,), without NaN.
        values: whose mean is the difference, if it is not that of the differences, shape (N,).
    """
    if reason := too_few_groups(groups):
        return GroupedInterval(NO_INTERVAL, reason)
    found = len(np.unique(groups[differences != 0.0]))
    if found < MIN_GROUPS:
        reason = f"only {found} groups have images on which the two differ; an interval needs {MIN_GROUPS}"
        return GroupedInterval(NO_INTERVAL, reason)
    contributions = cluster_contributions(differences if values is None else values, groups)
    return GroupedInterval(mean_interval(contributions))


def grouped_class_difference_interval(
    differences: FloatArray, references: IntArray, groups: IntArray
) -> GroupedInterval:
    """Compute the interval of a mean over classes of credit differences, with true labels, shape (N,)."""
    reason = too_few_groups(groups) or few_groups_of_a_class(references, groups)
    if reason:
        return GroupedInterval(NO_INTERVAL, reason)
    return grouped_difference_interval(differences, groups, per_class_values(differences, references))


def few_groups_of_a_class(references: IntArray, groups: IntArray) -> str:
    """Return why classes have images of too few groups for the interval of a mean over classes; empty if none has."""
    pairs = np.unique(np.stack([references, groups]), axis=1)
    fewest = int(np.unique(pairs[0], return_counts=True)[1].min())
    if fewest >= MIN_GROUPS:
        return ""
    return f"a class has images of only {fewest} groups; an interval needs {MIN_GROUPS}"


def _defined(values: FloatArray, groups: IntArray) -> tuple[FloatArray, IntArray]:
    defined = ~np.isnan(values)
    return values[defined].astype(np.float64), groups[defined]
