"""The model randomisation test: how similar attribution stays as weights are re-initialised, starting at the head."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.estimated_numbers import numbers_of
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.stages import Stage
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.reinitialised import cascade

ALL = "all"
"""Stage of the cascade at which every weight is re-initialised."""

Columns = dict[str, NDArray[np.float64]]
Maps = NDArray[np.float32]


def similarity_numbers(maps: Maps, other_maps: Maps, part: str, stage: Stage) -> tuple[list[Number], Columns]:
    """Compare a network's maps (N, h, w) with those after re-initialising the weights of `part`.

    Returns:
        The numbers, and (N,) columns for the records.
    """
    measured = measure(Subject.RANDOMISED, maps, other_maps, part=part)
    return numbers_of(measured, stage), measured.columns


def cascade_numbers(
    backbone: LoadedBackbone,
    control: LoadedBackbone,
    maps: Maps,
    maps_of: Callable[[LoadedBackbone], Maps],
    from_the_head: bool,
    stage: Stage,
) -> tuple[list[Number], Columns]:
    """Compare maps at each stage of the cascade except the last, which is the control itself.

    Args:
        maps: the maps of `backbone`.
        maps_of: function that attributes the same images and classes for a network.
        from_the_head: whether to begin with the stage that re-initialises only the classifier, which is uninformative
            for methods that use no classifier.
    """
    numbers: list[Number] = []
    columns: Columns = {}
    for part, network in cascade(backbone, control):
        if part != "head" or from_the_head:
            of_part, more = similarity_numbers(maps, maps_of(network), part, stage)
            numbers += of_part
            columns |= more
    return numbers, columns
