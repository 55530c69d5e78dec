"""A difference estimated on the same images: its value and, if one has the right coverage, its interval.

Several pairs of cells, such as one per fine-tuning seed, are averaged image by image. Intervals are those of
`hf_sslgen.metrics` for a single number, applied to the per-image differences. Where images come in groups (numbers of
the groups, (N,)), intervals are over groups.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.clusters import (
    cluster_contributions,
    grouped_class_difference_interval,
    grouped_difference_interval,
    grouped_few_interval,
    grouped_mean_interval,
)
from hf_sslgen.metrics.defined import interval_of_defined, spread_to_all
from hf_sslgen.metrics.episodes import episode_estimate
from hf_sslgen.metrics.intervals import MIN_SAMPLES
from hf_sslgen.metrics.results import NO_INTERVAL, Interval
from hf_sslgen.metrics.shares import (
    MIN_CLASS_SIZE,
    class_weights,
    paired_share_interval,
    per_class_values,
    smallest_class,
)
from hf_sslgen.metrics.two_groups import MIN_OUTCOMES, SURE, two_group_interval

Runs = Sequence[Sequence[NDArray[np.float64]]]
"""Differences (N,) per run and pair of cells, for all images in the same order; NaN where undefined."""

Groups = NDArray[np.int64] | None
"""Number of each image's group, (N,); None where images do not come in groups."""

UNDEFINED = "the number is undefined on all images of a pair"


def spread_to_images(runs: Runs) -> list[list[NDArray[np.float64]]]:
    """Return by run and pair what each image adds, (N,), also where it is undefined."""
    return [[spread_to_all(pair) for pair in run] for run in runs]


def mean_over_variants(variants: Sequence[Runs]) -> list[list[NDArray[np.float64]]]:
    """Return by run and pair the mean over variants of a transform, (N,)."""
    return [[np.mean(pairs, axis=0) for pairs in zip(*of_run, strict=True)] for of_run in zip(*variants, strict=True)]


def by_group(runs: Runs, groups: Groups) -> Runs:
    """Return by run and pair what varies independently: contributions of groups if there are any, else of images."""
    if groups is None:
        return runs
    return [[cluster_contributions(pair, groups) for pair in run] for run in runs]


def per_image(runs: Runs) -> NDArray[np.float64]:
    """Return each image's contribution (N,), averaged over pairs and then runs; their mean is the difference.

    All values are NaN if the number is undefined for all images of a pair.
    """
    return np.mean([np.mean([spread_to_all(pair) for pair in run], axis=0) for run in runs], axis=0)


def contributions(runs: Runs, groups: Groups = None) -> Runs:
    """Return by run and pair what each image or group adds to that pair's difference, (N,), which is their mean.

    Images undefined throughout are left out.
    """
    anywhere = ~np.all([np.isnan(pair) for run in runs for pair in run], axis=0)
    added = [[spread_to_all(pair[anywhere]) for pair in run] for run in runs]
    return by_group(added, None if groups is None else groups[anywhere])


def per_class_contributions(runs: Runs, references: NDArray[np.int64], groups: Groups = None) -> Runs:
    """Return the same for accuracy averaged over classes: images vary within a class, and classes are fixed."""
    return by_group([[per_class_values(pair, references) for pair in run] for run in runs], groups)


def share_difference(runs: Runs, groups: Groups = None) -> Estimate:
    """Estimate a mean of credits in [0, 1], such as a share of images. Images undefined in all pairs are left out."""
    anywhere = ~np.all([np.isnan(pair) for run in runs for pair in run], axis=0)
    found = [[pair[anywhere] for pair in run] for run in runs]
    if not all((~np.isnan(pair)).any() for run in found for pair in run):
        return _estimate(math.nan, NO_INTERVAL, UNDEFINED, int(anywhere.sum()))
    credits = np.mean([np.mean([_scaled(pair) for pair in run], axis=0) for run in found], axis=0)
    value = float(credits.mean())
    if groups is not None:
        return _estimate(value, *grouped_difference_interval(credits, groups[anywhere]), n=len(credits))
    return _estimate(value, paired_share_interval(credits), n=len(credits))


def per_class_difference(runs: Runs, references: NDArray[np.int64], groups: Groups = None) -> Estimate:
    """Estimate accuracy averaged over classes from differences in correctness. References have shape (N,)."""
    differences = per_image(runs)
    weights = class_weights(references)
    value, smallest = float(weights @ differences), smallest_class(references)
    if groups is not None:
        found = grouped_class_difference_interval(differences, references, groups)
        return _estimate(value, *found, n=len(differences))
    if smallest < MIN_CLASS_SIZE:
        reason = f"a class has only {smallest} images; an interval needs {MIN_CLASS_SIZE}"
        return _estimate(value, NO_INTERVAL, reason, len(differences))
    return _estimate(value, paired_share_interval(differences, weights), n=len(differences))


def outcome_difference(runs: Runs, wrong: NDArray[np.bool_], groups: Groups = None) -> Estimate:
    """Estimate a mean that depends on right and wrong; `wrong` (N,) is true where any of the models is wrong."""
    return _of_few(runs, wrong, "are predicted wrongly by either", groups)


def confidence_difference(runs: Runs, confidences: NDArray[np.float64], groups: Groups = None) -> Estimate:
    """Estimate a mean that varies with confidence; `confidences` (N,) are the smallest of all the models."""
    return _of_few(runs, confidences <= SURE, f"have a confidence of at most {SURE} in either", groups)


def mean_difference(runs: Runs, groups: Groups = None) -> Estimate:
    """Estimate any other mean."""
    differences = per_image(runs)
    defined = int(np.all([~np.isnan(pair) for run in runs for pair in run], axis=0).sum())
    value = float(differences.mean())
    if math.isnan(value):
        return _estimate(value, NO_INTERVAL, UNDEFINED, len(differences))
    if defined < MIN_SAMPLES:
        reason = f"the number is defined for only {defined} images; an interval needs {MIN_SAMPLES}"
        return _estimate(value, NO_INTERVAL, reason, len(differences))
    if groups is not None:
        return _estimate(value, *grouped_mean_interval(differences, groups), n=len(differences))
    interval = interval_of_defined(differences)
    reason = "all images differ by the same amount" if math.isnan(interval.low) else ""
    return _estimate(value, interval, reason, len(differences))


def episode_difference(runs: Runs, effects: Runs | None, shares: Sequence[float]) -> Estimate:
    """Estimate a difference in the accuracy of few-shot episodes.

    Args:
        runs: differences of episodes.
        effects: differences of the images' effects, (M,) per run and pair; None if a cell does not have them.
        shares: the accuracy of each cell.
    """
    return episode_estimate(per_image(runs), None if effects is None else per_image(effects), shares)


def _of_few(runs: Runs, few: NDArray[np.bool_], what: str, groups: Groups) -> Estimate:
    differences = per_image(runs)
    value = float(differences.mean())
    if math.isnan(value):
        return _estimate(value, NO_INTERVAL, UNDEFINED, len(differences))
    if groups is not None:
        return _estimate(value, *grouped_few_interval(differences, few, groups, what), n=len(differences))
    interval = two_group_interval(differences, few, len(few))
    reason = ""
    if few.sum() < MIN_OUTCOMES:
        reason = f"only {few.sum()} images {what}; an interval needs {MIN_OUTCOMES}"
    elif math.isnan(interval.low):
        reason = "all images differ by the same amount"
    return _estimate(value, interval, reason, len(differences))


def _scaled(pair: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale the defined differences and set the others to zero, so that the mean over all images is that of the
    defined ones."""
    defined = ~np.isnan(pair)
    scaled: NDArray[np.float64] = np.where(defined, pair, 0.0) * (len(pair) / defined.sum())
    return scaled


def _estimate(value: float, interval: Interval, reason: str = "", n: int = 0) -> Estimate:
    return Estimate(value, interval.low, interval.high, n, reason)
