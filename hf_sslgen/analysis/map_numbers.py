"""Numbers of attribution maps: concentration, localisation on marked objects, and both for a control."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.estimated_numbers import numbers_of
from hf_sslgen.analysis.localization_numbers import localization_analysis
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.geometry import Geometry
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.rows import CONTROL, controlled_names
from hf_sslgen.metrics.defined import interval_of_defined
from hf_sslgen.metrics.stages import Stage

Columns = dict[str, NDArray[np.float64]]


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
    measured = measure(Subject.MAPS, maps)
    numbers, columns = numbers_of(measured, stage), measured.columns
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
    names = controlled_names()
    kept = [replace(number, metric=f"{CONTROL}{number.metric}") for number in numbers if number.metric in names]
    named = {f"{CONTROL}{metric}": of_control[metric] for metric in names if metric in of_control}
    if "lift" in columns:
        over = columns["lift"] - of_control["lift"]
        is_defined = ~np.isnan(over)
        n = int(is_defined.sum())
        value = float(over[is_defined].mean()) if n else math.nan
        low, high = interval_of_defined(over)
        reason = "" if n else "no image has a map of both networks and an object"
        kept.append(Number("lift_over_control", value, low, high, n, stage, n_undefined=len(over) - n, reason=reason))
    return kept, named
