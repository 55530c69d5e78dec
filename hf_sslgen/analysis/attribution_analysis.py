"""Measure where a network looks: its maps, those of its control, and some images to show."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.batch_pass import Wanted
from hf_sslgen.analysis.localization_numbers import first_boxes
from hf_sslgen.analysis.map_numbers import control_numbers, map_numbers
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.analysis.one_pass import one_pass
from hf_sslgen.analysis.pass_shards import Run
from hf_sslgen.analysis.randomisation import ALL, Maps, cascade_numbers, similarity_numbers
from hf_sslgen.analysis.stored_outputs import StoredTrunk
from hf_sslgen.analysis.subset import example_positions, subset_pixels
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, Stage
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.reinitialised import reinitialised


@dataclass(frozen=True, eq=False)
class Attribution:
    """Numbers, records indexed by sample id, and example images with their maps."""

    numbers: list[Number]
    records: pd.DataFrame
    examples: dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Attributed:
    """The images to attribute, and the class (n,) whose evidence is attributed in each."""

    subset: ImageSplit
    classes: NDArray[np.int64]

    def maps_of(self, network: LoadedBackbone, settings: AnalysisSettings, run: Run) -> Maps:
        """Attribute a network's classifier, from stored outputs of its trunk if possible."""
        if run.features is not None:
            trunk = StoredTrunk(network, settings, run.features)
            if trunk.tail is not None:
                return trunk.maps(self.subset, self.classes)
        layer = find_attribution_layer(network.model, settings.attribution_layer)
        wanted = Wanted(self.subset, subset_pixels(network, self.subset), layer=layer, classes=self.classes)
        with one_pass(network, wanted, settings, run) as outputs:
            return outputs.maps


def attribution_analysis(
    backbone: LoadedBackbone, attributed: Attributed, maps: Maps, settings: AnalysisSettings, run: Run, stage: Stage
) -> Attribution:
    """Measure the maps (n, h, w) of a backbone, and those of its control if the settings ask for one."""
    subset, geometry = attributed.subset, backbone.preprocessing.geometry
    numbers, columns = map_numbers(maps, subset, geometry, stage)
    if settings.reinitialised_control:
        control = reinitialised(backbone, settings.seed)
        control_maps = attributed.maps_of(control, settings, run)
        of_control, found = control_numbers(columns, control_maps, subset, geometry, stage)
        alike, more = similarity_numbers(maps, control_maps, ALL, stage)
        if settings.randomisation_cascade:
            asks_a_classifier = settings.attribution_method not in LABEL_FREE_METHODS
            # Parts of a fine-tuned network are its own, so nothing else would read their outputs.
            kept = Run(run.shards, run.processes) if stage == FINE_TUNED_STAGE else run
            maps_of = partial(attributed.maps_of, settings=settings, run=kept)
            steps, of_steps = cascade_numbers(backbone, control, maps, maps_of, asks_a_classifier, stage)
            alike, more = alike + steps, more | of_steps
        numbers, columns = numbers + of_control + alike, columns | found | more
    shown = subset.select(example_positions(subset, settings))
    examples = {
        "images": subset_pixels(backbone, shown).permute(0, 2, 3, 1).numpy(),
        "maps": maps[example_positions(subset, settings)],
        "sample_ids": shown.sample_ids,
    }
    if subset.has("box"):
        examples["boxes"] = first_boxes(shown, geometry)
    return Attribution(numbers, pd.DataFrame({"sample_id": subset.sample_ids, **columns}), examples)
