"""The difference in one number between records of the same images, with the interval for numbers of its kind."""

import math
from dataclasses import replace

import numpy as np
from scipy import special

from hf_sslgen.analysis.few_shot_records import EFFECT, IMAGE
from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.catalogue.metric import Metric, Paired
from hf_sslgen.study.inference import paired
from hf_sslgen.study.inference.replicates import Replicates, Values
from hf_sslgen.study.inference.scopes import RunVariances, run_variances


def unit_of(rows: Replicates) -> str:
    """Return what a row is: an image, or an episode, which has no true class but an accuracy."""
    return "images" if rows.have(["reference"]) else "episodes"


def compare_number(metric: Metric, kind: Paired, rows: Replicates, moved: Replicates) -> tuple[Estimate, RunVariances]:
    """Estimate a difference between untransformed images, and how it varies between runs.

    Args:
        kind: how the number is compared.
        rows: records of the same images, or episodes, in the same order.
        moved: the other records of the same cells.
    """
    differences = rows.differences(metric.values)
    variances = run_variances(contributions(kind, rows, differences))
    if unit_of(rows) == "images":
        return estimate_difference(kind, rows, differences), variances
    estimate = paired.episode_difference(differences, _effects(moved), _means_of(rows, metric.values))
    return estimate, _with_images(variances, estimate)


def contributions(kind: Paired, rows: Replicates, values: paired.Runs) -> paired.Runs:
    """Return by run and pair what each image, group of images or episode adds to the mean of these values."""
    if kind is Paired.CLASS_SHARE and unit_of(rows) == "images":
        return paired.per_class_contributions(values, rows.sides[0]["reference"].to_numpy(np.int64), rows.groups)
    return paired.contributions(values, rows.groups)


def degrees_of_freedom(groups: paired.Groups) -> float:
    """Return those of an interval over images, or over the groups that they come in."""
    return math.inf if groups is None else len(np.unique(groups)) - 1.0


def _with_images(variances: RunVariances, estimate: Estimate) -> RunVariances:
    """Count test images, which all episodes and runs share, in the variance between rows.

    Episodes alone differ by their draws, most of which runs do not share; taken off the whole interval, they would
    remove the images too.
    """
    row = ((estimate.high - estimate.low) / 2.0 / float(special.ndtri(0.975))) ** 2
    return RunVariances(replace(variances.training, row=row), replace(variances.pretraining, row=row))


def _effects(moved: Replicates) -> paired.Runs | None:
    """Return what each test image contributes to the differences between episodes, if all cells have recorded it."""
    rows = moved.of_variant(IMAGE, "").aligned(())
    if not rows.num_images or not rows.have([EFFECT]):
        return None
    return rows.differences(lambda side: side[EFFECT].to_numpy(float))


def _means_of(rows: Replicates, values: Values) -> list[float]:
    return [float(values(side).mean()) for side in rows.sides]


def estimate_difference(kind: Paired, rows: Replicates, differences: paired.Runs) -> Estimate:
    """Return the difference with the interval for numbers of its kind."""
    groups = rows.groups
    if kind is Paired.CLASS_SHARE:
        return paired.per_class_difference(differences, rows.sides[0]["reference"].to_numpy(np.int64), groups)
    if kind is Paired.SHARE:
        return paired.share_difference(differences, groups)
    if kind is Paired.OUTCOME:
        right = np.all([side["correct"].to_numpy(bool) for side in rows.sides], axis=0)
        return paired.outcome_difference(differences, ~right, groups)
    if kind is Paired.CONFIDENCE:
        least = np.min([side["confidence"].to_numpy(float) for side in rows.sides], axis=0)
        return paired.confidence_difference(differences, least, groups)
    return paired.mean_difference(differences, groups)
