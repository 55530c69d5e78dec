"""Measure a backbone on a domain in one pass over its test images."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.batch_pass import Wanted
from hf_sslgen.analysis.families import MIN_IMAGES
from hf_sslgen.analysis.invariance_numbers import invariance_numbers, is_gray, pair_numbers
from hf_sslgen.analysis.localization_numbers import first_boxes
from hf_sslgen.analysis.map_numbers import Columns, control_numbers, map_numbers
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.one_pass import PassResults, one_pass
from hf_sslgen.analysis.pass_shards import Processes
from hf_sslgen.analysis.picture_pairs import pair_partners
from hf_sslgen.analysis.predictions import (
    AFTER,
    ValidationLogits,
    prediction_numbers,
    prediction_records,
    predictions_of,
    scaled_numbers,
)
from hf_sslgen.analysis.randomisation import ALL, cascade_numbers, similarity_numbers
from hf_sslgen.analysis.subset import AnalysisSettings, analysis_subset, example_positions, others_of, subset_pixels
from hf_sslgen.analysis.transforms import Variant, preset_variants
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE, Stage
from hf_sslgen.zoo.anatomy import AttributionLayer, find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.reinitialised import reinitialised


@dataclass(frozen=True)
class Run:
    """Where a pass runs, and in which processes.

    Attributes:
        shards: folder for the finished parts of a pass; None for a temporary one.
        processes: the processes that share the pass.
    """

    shards: Path | None = None
    processes: Processes = field(default_factory=Processes)


ALONE = Run()


def validation_logits(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> ValidationLogits:
    """Compute a classifier's logits for the domain's validation images."""
    split = domain.validation
    nothing = split.select(np.empty(0, dtype=np.int64))
    wanted = Wanted(nothing, subset_pixels(backbone, nothing), others=split)
    with one_pass(backbone, wanted, settings, run.shards, run.processes) as outputs:
        return ValidationLogits(outputs.other_logits, split.labels)


@dataclass(frozen=True, eq=False)
class _Subject:
    """A backbone on a domain, with the images for attribution and invariance; `pixels` are (n, 3, S, S) bytes."""

    backbone: LoadedBackbone
    domain: Domain
    stage: Stage
    settings: AnalysisSettings
    run: Run
    subset: ImageSplit
    pixels: Tensor

    @classmethod
    def of(
        cls, backbone: LoadedBackbone, domain: Domain, stage: Stage, settings: AnalysisSettings, run: Run
    ) -> "_Subject":
        subset = analysis_subset(domain.test, settings)
        return cls(backbone, domain, stage, settings, run, subset, subset_pixels(backbone, subset))

    @property
    def variants(self) -> tuple[Variant, ...]:
        preserved = self.domain.not_label_preserving
        return preset_variants(self.settings.transforms, is_gray(self.pixels), preserved)

    @property
    def layer(self) -> AttributionLayer:
        return find_attribution_layer(self.backbone.model, self.settings.attribution_layer)

    def one_pass(self, wanted: Wanted, backbone: LoadedBackbone | None = None) -> AbstractContextManager[PassResults]:
        """Run the pass over the requested images, with this backbone or another one in its place."""
        return one_pass(backbone or self.backbone, wanted, self.settings, self.run.shards, self.run.processes)


@dataclass(frozen=True, eq=False)
class _Attribution:
    numbers: list[Number]
    records: pd.DataFrame
    examples: dict[str, NDArray[Any]]


def _attribution(subject: _Subject, maps: NDArray[np.float32], classes: NDArray[np.int64]) -> _Attribution:
    """Measure the maps of the subset, for the attributed classes; records are indexed by sample id."""
    subset, settings, geometry = subject.subset, subject.settings, subject.backbone.preprocessing.geometry
    numbers, columns = map_numbers(maps, subset, geometry, subject.stage)
    if settings.reinitialised_control:
        of_control, more = _control(subject, maps, classes, columns)
        numbers, columns = numbers + of_control, columns | more
    shown = example_positions(subset, settings)
    examples = {
        "images": subject.pixels[shown].permute(0, 2, 3, 1).numpy(),
        "maps": maps[shown],
        "sample_ids": subset.sample_ids[shown],
    }
    if subset.has("box"):
        examples["boxes"] = first_boxes(subset.select(shown), geometry)
    return _Attribution(numbers, pd.DataFrame({"sample_id": subset.sample_ids, **columns}), examples)


def _control(
    subject: _Subject, maps: NDArray[np.float32], classes: NDArray[np.int64], columns: Columns
) -> tuple[list[Number], Columns]:
    """Measure the maps of the network with fresh weights, and their similarity to the network's own."""
    subset, settings, stage = subject.subset, subject.settings, subject.stage
    wanted = Wanted(subset, subject.pixels, layer=subject.layer, classes=classes)

    def maps_of(network: LoadedBackbone) -> NDArray[np.float32]:
        with subject.one_pass(wanted, network) as outputs:
            return outputs.maps

    control = reinitialised(subject.backbone, settings.seed)
    control_maps = maps_of(control)
    geometry = subject.backbone.preprocessing.geometry
    numbers, found = control_numbers(columns, control_maps, subset, geometry, stage)
    alike, more = similarity_numbers(maps, control_maps, ALL, stage)
    if settings.randomisation_cascade:
        asks_a_classifier = settings.attribution_method not in LABEL_FREE_METHODS
        steps, of_steps = cascade_numbers(subject.backbone, control, maps, maps_of, asks_a_classifier, stage)
        alike, more = alike + steps, more | of_steps
    return numbers + alike, found | more


def _pair_analysis(subject: _Subject) -> Analysis:
    """Measure invariance between pictures of the same thing; empty if the domain does not identify them."""
    test = subject.domain.test
    if not test.has("pair"):
        return Analysis((), pd.DataFrame())
    anchors, partners, num_alone = pair_partners(test.pair_keys(), subject.settings.seed, subject.settings.max_subset)
    if len(anchors) < MIN_IMAGES:
        raise InputError(
            f"split {test.name!r} has two pictures for only {len(anchors)} values of pair_column_name; at least "
            f"{MIN_IMAGES} are needed to tell invariance from chance"
        )
    pairs = test.select(np.concatenate([anchors, partners]))
    with subject.one_pass(Wanted(pairs, subset_pixels(subject.backbone, pairs))) as outputs:
        return pair_numbers(outputs, pairs, num_alone, subject.stage)


def _joined(*analyses: Analysis) -> tuple[list[Number], pd.DataFrame]:
    numbers = [number for analysis in analyses for number in analysis.numbers]
    return numbers, pd.concat([each.records for each in analyses if len(each.records)], ignore_index=True)


def pretrained_analysis(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> Analysis:
    """Measure an encoder without a classifier: the invariance of its features, and label-free attribution."""
    subject = _Subject.of(backbone, domain, PRETRAINED_STAGE, settings, run)
    subset, variants = subject.subset, subject.variants
    is_attributed = settings.attribution_method in LABEL_FREE_METHODS
    wanted = Wanted(subset, subject.pixels, variants=variants, layer=subject.layer if is_attributed else None)
    with subject.one_pass(wanted) as outputs:
        moved = invariance_numbers(outputs, variants, domain, subset, subject.stage)
        maps = outputs.maps if is_attributed else None
    numbers, records = _joined(moved, _pair_analysis(subject))
    if maps is None:
        return Analysis(tuple(numbers), records)
    attribution = _attribution(subject, maps, subset.labels)
    clean = attribution.records.assign(stage=subject.stage, transform="", severity="", reference=subset.labels)
    records = pd.concat([clean, records], ignore_index=True)
    return Analysis((*attribution.numbers, *numbers), records, attribution.examples)


def _in_order(
    split: ImageSplit, subset: ImageSplit, of_subset: NDArray[np.float32], of_others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Merge the rows of the subset and of the other images in the order of the split."""
    ordered: NDArray[np.float32] = np.empty((len(split), of_subset.shape[1]), dtype=np.float32)
    is_subset = np.isin(split.sample_ids, subset.sample_ids)
    place = dict(zip(subset.sample_ids.tolist(), range(len(subset)), strict=True))
    ordered[is_subset] = of_subset[[place[sample_id] for sample_id in split.sample_ids[is_subset].tolist()]]
    ordered[~is_subset] = of_others
    return ordered


def adapted_analysis(
    backbone: LoadedBackbone,
    domain: Domain,
    stage: Stage,
    settings: AnalysisSettings,
    validation: ValidationLogits | None,
    run: Run = ALONE,
) -> Analysis:
    """Measure a backbone with a classifier: accuracy, confidence, attribution and, if fine-tuned, invariance.

    Args:
        validation: logits of images that the classifier was not trained on, for temperature scaling.
    """
    subject = _Subject.of(backbone, domain, stage, settings, run)
    subset, test = subject.subset, domain.test
    others = others_of(test, subset)
    variants = subject.variants if stage == FINE_TUNED_STAGE else ()
    classes = subset.labels if settings.attributed_class == "true" else None
    wanted = Wanted(subset, subject.pixels, others, variants, subject.layer, classes)
    with subject.one_pass(wanted) as outputs:
        maps, logits = outputs.maps, outputs.logits
        attributed = logits.argmax(axis=1) if classes is None else classes
        if len(others):
            logits = _in_order(test, subset, logits, outputs.other_logits)
        moved = invariance_numbers(outputs, variants, domain, subset, stage) if variants else None
    predictions = predictions_of(test.sample_ids, test.labels, logits)
    scaled, scaled_confidences = scaled_numbers(logits, predictions, validation, stage)
    attribution = _attribution(subject, maps, attributed)
    clean = prediction_records(predictions, stage).assign(**{f"confidence{AFTER}": scaled_confidences})
    of_images = Analysis(
        (*prediction_numbers(predictions, len(domain.class_names), stage), *scaled, *attribution.numbers),
        clean.merge(attribution.records, on="sample_id", how="left"),
    )
    numbers, records = _joined(of_images, *([moved, _pair_analysis(subject)] if moved is not None else []))
    return Analysis(tuple(numbers), records, attribution.examples)
