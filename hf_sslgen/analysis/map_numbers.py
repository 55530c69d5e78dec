"""Numbers of attribution maps: concentration, localisation on marked objects, and both for a control."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.estimated_numbers import number_of
from hf_sslgen.analysis.localization_numbers import localization_analysis
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.geometry import Geometry
from hf_sslgen.metrics import attribution_concentration
from hf_sslgen.metrics.defined import interval_of_defined
from hf_sslgen.metrics.stages import Stage
from hf_sslgen.training.evaluation import estimate_of

CONCENTRATION = {
    "gini": "gini",
    "spread": "spatial_spread",
    "effective_area": "effective_area",
    "participation_ratio": "participation_ratio",
    "top_10_percent_mass": "top_10_percent_mass",
    "area_at_80_percent_mass": "area_at_80_percent_mass",
    "entropy": "entropy",
}
"""Fields of a `ConcentrationResult`, with the names of their numbers and record columns."""

Columns = dict[str, NDArray[np.float64]]


CONTROLLED = ("gini", "spatial_spread", "zero_map_rate", "lift", "mass_accuracy", "pointing_game")
"""Numbers that are also stored for the control."""

CONTROL = "control_"
"""Prefix of the control's numbers and columns."""


def _concentration(maps: NDArray[np.float32], stage: Stage) -> tuple[list[Number], Columns]:
    result = attribution_concentration(maps)
    columns = {metric: vars(result)[f"per_sample_{field}"] for field, metric in CONCENTRATION.items()}
    numbers = [
        number_of(metric, estimate_of(result, field), stage, num_undefined=int(np.isnan(columns[metric]).sum()))
        for field, metric in CONCENTRATION.items()
    ]
    numbers.append(number_of("zero_map_rate", estimate_of(result, "zero_map_rate"), stage))
    return numbers, columns | {"zero_map": np.isnan(result.per_sample_gini).astype(float)}


def has_objects(subset: ImageSplit) -> bool:
    """Whether the domain marks objects in its images."""
    return subset.has("box") or subset.has("mask")


def map_numbers(
    maps: NDArray[np.float32], subset: ImageSplit, geometry: Geometry, stage: Stage
) -> tuple[list[Number], Columns]:
    """Measure concentration of maps (N, h, w) on their own grid, and localisation if the domain marks objects.

    Returns:
        The numbers, and (N,) columns for the records.
    """
    numbers, columns = _concentration(maps, stage)
    if has_objects(subset):
        located, of_samples = localization_analysis(maps, subset, geometry, stage)
        numbers, columns = [*numbers, *located], columns | of_samples
    return numbers, columns


def control_numbers(
    columns: Columns, control_maps: NDArray[np.float32], subset: ImageSplit, geometry: Geometry, stage: Stage
) -> tuple[list[Number], Columns]:
    """Measure the maps of a network with fresh weights, from which attribution of anything learned must differ.

    Args:
        columns: the network's own columns, from `map_numbers`.
        control_maps: (N, h, w), the control's maps for the same images and classes.
    """
    numbers, of_control = map_numbers(control_maps, subset, geometry, stage)
    kept = [replace(number, metric=f"{CONTROL}{number.metric}") for number in numbers if number.metric in CONTROLLED]
    named = {f"{CONTROL}{metric}": of_control[metric] for metric in CONTROLLED if metric in of_control}
    if "lift" in columns:
        over = columns["lift"] - of_control["lift"]
        is_defined = ~np.isnan(over)
        n = int(is_defined.sum())
        value = float(over[is_defined].mean()) if n else math.nan
        low, high = interval_of_defined(over)
        reason = "" if n else "no image has a map of both networks and an object"
        kept.append(Number("lift_over_control", value, low, high, n, stage, n_undefined=len(over) - n, reason=reason))
    return kept, named
