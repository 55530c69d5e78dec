"""Measuring a backbone on a domain, in one pass over its test images."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_sslgen.analysis.concentration import concentration_numbers
from hf_sslgen.analysis.invariance import invariance_numbers, is_gray
from hf_sslgen.analysis.numbers import Analysis, Number, Stage
from hf_sslgen.analysis.one_pass import Wanted, one_pass
from hf_sslgen.analysis.predictions import (
    AFTER,
    ValidationLogits,
    prediction_numbers,
    prediction_records,
    predictions_of,
    scaled_numbers,
)
from hf_sslgen.analysis.shards import Processes
from hf_sslgen.analysis.subset import AnalysisSettings, analysis_subset, example_positions, others_of, subset_pixels
from hf_sslgen.analysis.transforms import Variant, preset_variants
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.loading import LoadedBackbone


@dataclass(frozen=True)
class Run:
    """Where and by whom a pass is run.

    Attributes:
        shards: folder that keeps the finished parts of a pass; None for a temporary one.
        processes: those that run it together.
    """

    shards: Path | None = None
    processes: Processes = field(default_factory=Processes)


ALONE = Run()


def validation_logits(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> ValidationLogits:
    """What a classifier makes of the domain's validation images."""
    split = domain.validation
    nothing = split.select(np.empty(0, dtype=np.int64))
    wanted = Wanted(nothing, subset_pixels(backbone, nothing), others=split)
    with one_pass(backbone, wanted, settings, run.shards, run.processes) as outputs:
        return ValidationLogits(outputs.other_logits, split.labels)


def pretrained_analysis(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE, stage: Stage = "pretrained"
) -> Analysis:
    """An encoder without a classifier: the invariance of its features."""
    subset = analysis_subset(domain.test, settings)
    pixels = subset_pixels(backbone, subset)
    variants = preset_variants(settings.transforms, is_gray(pixels), domain.not_label_preserving)
    with one_pass(backbone, Wanted(subset, pixels, variants=variants), settings, run.shards, run.processes) as outputs:
        return invariance_numbers(outputs, variants, domain, subset, stage)


def _in_order(
    split: ImageSplit, subset: ImageSplit, of_subset: NDArray[np.float32], of_others: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Rows of the subset and of the other images in the order of the split."""
    rows = np.concatenate([of_subset, of_others])
    ordered: NDArray[np.float32] = np.empty_like(rows)
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
    """A backbone with a classifier for the domain: accuracy, confidence, attribution; invariance where fine-tuned.

    Args:
        validation: logits of images that the classifier has not learned from, for temperature scaling.
    """
    subset = analysis_subset(domain.test, settings)
    others = others_of(domain.test, subset)
    pixels = subset_pixels(backbone, subset)
    variants: tuple[Variant, ...] = ()
    if stage == "fine-tuned":
        variants = preset_variants(settings.transforms, is_gray(pixels), domain.not_label_preserving)
    layer = find_attribution_layer(backbone.model, settings.attribution_layer)
    classes = subset.labels if settings.attributed_class == "true" else None
    wanted = Wanted(subset, pixels, others, variants, layer, classes)
    with one_pass(backbone, wanted, settings, run.shards, run.processes) as outputs:
        maps = outputs.maps
        logits = outputs.logits
        if len(others):
            logits = _in_order(domain.test, subset, logits, outputs.other_logits)
        moved = invariance_numbers(outputs, variants, domain, subset, stage) if variants else None
    predictions = predictions_of(domain.test.sample_ids, domain.test.labels, logits)
    scaled, scaled_confidences = scaled_numbers(logits, predictions, validation, stage)
    concentration, columns = concentration_numbers(maps, stage)
    numbers: list[Number] = [*prediction_numbers(predictions, len(domain.class_names), stage), *scaled, *concentration]
    records = prediction_records(predictions, stage)
    records[f"confidence{AFTER}"] = scaled_confidences
    records = records.merge(pd.DataFrame({"sample_id": subset.sample_ids, **columns}), on="sample_id", how="left")
    if moved is not None:
        numbers += moved.numbers
        records = pd.concat([records, moved.records], ignore_index=True)
    shown = example_positions(subset, settings)
    examples = {
        "images": pixels[shown].permute(0, 2, 3, 1).numpy(),
        "maps": maps[shown],
        "sample_ids": subset.sample_ids[shown],
    }
    return Analysis(tuple(numbers), records, examples)
