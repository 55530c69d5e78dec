"""The difference in one number between records of the same images, with the interval for numbers of its kind."""

import math
from dataclasses import replace

import numpy as np
from scipy import special

from hf_sslgen.analysis.few_shot_records import EFFECT, IMAGE
from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.catalogue.metric import Metric, Paired
from hf_sslgen.metrics.inputs import IntArray
from hf_sslgen.study.inference import paired
from hf_sslgen.study.inference.replicates import CellPairs, Replicates
from hf_sslgen.study.inference.scopes import ONE_RUN, RunVariances, run_variances


def unit_of(rows: Replicates) -> str:
    """Return what a row is: an image, or an episode, which has no true class but an accuracy."""
    return "images" if rows.have(["reference"]) else "episodes"


def compare_number(metric: Metric, kind: Paired, rows: Replicates, pairs: CellPairs) -> tuple[Estimate, RunVariances]:
    """Estimate a difference between untransformed images, and how it varies between runs.

    Args:
        kind: how the number is compared.
        rows: records of the same images, or episodes, in the same order.
        pairs: all records of the same cells.
    """
    differences = rows.differences(metric)
    variances = ONE_RUN if rows.is_one_pair else run_variances(contributions(kind, rows, differences))
    if unit_of(rows) == "images":
        return estimate_difference(kind, rows, differences), variances
    estimate = paired.episode_difference(
        differences, _effects(pairs), [float(side.values_of(metric).mean()) for side in rows.sides]
    )
    return estimate, _with_images(variances, estimate)


def contributions(kind: Paired, rows: Replicates, values: paired.Runs) -> paired.Runs:
    """Return by run and pair what each image, group of images or episode adds to the mean of these values."""
    if kind is Paired.CLASS_SHARE and unit_of(rows) == "images":
        return paired.per_class_contributions(values, _references(rows), rows.groups)
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


def _effects(pairs: CellPairs) -> paired.Runs | None:
    """Return what each test image contributes to the differences between episodes, if all cells have recorded it."""
    rows = pairs.of((IMAGE, "")).aligned(())
    if not rows.num_images or not rows.have([EFFECT]):
        return None
    return [[a[EFFECT] - b[EFFECT] for a, b in run] for run in rows.runs]


def estimate_difference(kind: Paired, rows: Replicates, differences: paired.Runs) -> Estimate:
    """Return the difference with the interval for numbers of its kind."""
    groups = rows.groups
    if kind is Paired.CLASS_SHARE:
        return paired.per_class_difference(differences, _references(rows), groups)
    if kind is Paired.SHARE:
        return paired.share_difference(differences, groups)
    if kind is Paired.OUTCOME:
        right = np.all([side["correct"] != 0 for side in rows.sides], axis=0)
        return paired.outcome_difference(differences, ~right, groups)
    if kind is Paired.CONFIDENCE:
        least = np.min([side["confidence"] for side in rows.sides], axis=0)
        return paired.confidence_difference(differences, least, groups)
    return paired.mean_difference(differences, groups)


def _references(rows: Replicates) -> IntArray:
    return rows.sides[0]["reference"].astype(np.int64)
