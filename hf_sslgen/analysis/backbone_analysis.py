"""Measure a backbone on a domain in one pass over its test images."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.batch_pass import Wanted
from hf_sslgen.analysis.families import MIN_IMAGES
from hf_sslgen.analysis.grouped_numbers import over_groups
from hf_sslgen.analysis.invariance_numbers import invariance_numbers, is_gray, pair_numbers
from hf_sslgen.analysis.localization_numbers import first_boxes
from hf_sslgen.analysis.map_numbers import control_numbers, map_numbers
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.one_pass import one_pass, split_logits
from hf_sslgen.analysis.pass_shards import ALONE, Run
from hf_sslgen.analysis.picture_pairs import pair_partners
from hf_sslgen.analysis.predictions import (
    ValidationLogits,
    prediction_analysis,
    predictions_of,
    scaled_numbers,
)
from hf_sslgen.analysis.randomisation import ALL, Maps, cascade_numbers, similarity_numbers
from hf_sslgen.analysis.subset import analysis_subset, example_positions, others_of, subset_pixels
from hf_sslgen.analysis.transforms import preset_variants
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE, Stage
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.reinitialised import reinitialised


def validation_logits(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> ValidationLogits:
    """Compute a classifier's logits for the domain's validation images."""
    return ValidationLogits(split_logits(backbone, domain.validation, settings, run), domain.validation.labels)


def _wanted(backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings) -> Wanted:
    """Request the images for attribution and invariance, with the preset's transforms that suit the domain."""
    subset = analysis_subset(domain.test, settings)
    pixels = subset_pixels(backbone, subset)
    variants = preset_variants(settings.transforms, is_gray(pixels), domain.not_label_preserving)
    return Wanted(subset, pixels, variants=variants)


def _maps_of(wanted: Wanted, settings: AnalysisSettings, run: Run, network: LoadedBackbone) -> Maps:
    with one_pass(network, wanted, settings, run) as outputs:
        return outputs.maps


@dataclass(frozen=True, eq=False)
class _Attribution:
    numbers: list[Number]
    records: pd.DataFrame
    examples: dict[str, NDArray[Any]]


def _attribution(
    backbone: LoadedBackbone, wanted: Wanted, maps: Maps, settings: AnalysisSettings, run: Run, stage: Stage
) -> _Attribution:
    """Measure the maps of the subset, for the classes in `wanted`; records are indexed by sample id."""
    subset, geometry = wanted.subset, backbone.preprocessing.geometry
    numbers, columns = map_numbers(maps, subset, geometry, stage)
    if settings.reinitialised_control:
        maps_alone = replace(wanted, others=None, variants=())
        maps_of = partial(_maps_of, maps_alone, settings, run)
        control = reinitialised(backbone, settings.seed)
        control_maps = maps_of(control)
        of_control, found = control_numbers(columns, control_maps, subset, geometry, stage)
        alike, more = similarity_numbers(maps, control_maps, ALL, stage)
        if settings.randomisation_cascade:
            asks_a_classifier = settings.attribution_method not in LABEL_FREE_METHODS
            steps, of_steps = cascade_numbers(backbone, control, maps, maps_of, asks_a_classifier, stage)
            alike, more = alike + steps, more | of_steps
        numbers, columns = numbers + of_control + alike, columns | found | more
    shown = example_positions(subset, settings)
    examples = {
        "images": wanted.pixels[shown].permute(0, 2, 3, 1).numpy(),
        "maps": maps[shown],
        "sample_ids": subset.sample_ids[shown],
    }
    if subset.has("box"):
        examples["boxes"] = first_boxes(subset.select(shown), geometry)
    return _Attribution(numbers, pd.DataFrame({"sample_id": subset.sample_ids, **columns}), examples)


def _pair_analysis(
    backbone: LoadedBackbone, test: ImageSplit, settings: AnalysisSettings, run: Run, stage: Stage
) -> Analysis:
    """Measure invariance between pictures of the same thing; empty if the domain does not identify them."""
    if not test.has("pair"):
        return Analysis((), pd.DataFrame())
    anchors, partners, num_alone = pair_partners(test.pair_keys(), settings.seed, settings.max_subset)
    if len(anchors) < MIN_IMAGES:
        raise InputError(
            f"split {test.name!r} has two pictures for only {len(anchors)} values of pair_column_name; at least "
            f"{MIN_IMAGES} are needed to tell invariance from chance"
        )
    pairs = test.select(np.concatenate([anchors, partners]))
    with one_pass(backbone, Wanted(pairs, subset_pixels(backbone, pairs)), settings, run) as outputs:
        return pair_numbers(outputs, pairs, num_alone, stage)


def _joined(*analyses: Analysis) -> tuple[list[Number], pd.DataFrame]:
    numbers = [number for analysis in analyses for number in analysis.numbers]
    return numbers, pd.concat([each.records for each in analyses if len(each.records)], ignore_index=True)


def _over_groups(analysis: Analysis, domain: Domain) -> Analysis:
    return over_groups(analysis, domain.test, domain.not_label_preserving)


def pretrained_analysis(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> Analysis:
    """Measure an encoder without a classifier: the invariance of its features, and label-free attribution."""
    stage: Stage = PRETRAINED_STAGE
    wanted = _wanted(backbone, domain, settings)
    subset = wanted.subset
    if settings.attribution_method in LABEL_FREE_METHODS:
        wanted = replace(wanted, layer=find_attribution_layer(backbone.model, settings.attribution_layer))
    with one_pass(backbone, wanted, settings, run) as outputs:
        moved = invariance_numbers(outputs, wanted.variants, domain, subset, stage)
        maps = outputs.maps if wanted.layer is not None else None
    numbers, records = _joined(moved, _pair_analysis(backbone, domain.test, settings, run, stage))
    if maps is None:
        return _over_groups(Analysis(tuple(numbers), records), domain)
    attribution = _attribution(backbone, replace(wanted, classes=subset.labels), maps, settings, run, stage)
    clean = attribution.records.assign(stage=stage, transform="", severity="", reference=subset.labels)
    records = pd.concat([clean, records], ignore_index=True)
    return _over_groups(Analysis((*attribution.numbers, *numbers), records, attribution.examples), domain)


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
    test, wanted = domain.test, _wanted(backbone, domain, settings)
    subset, others = wanted.subset, others_of(test, wanted.subset)
    wanted = replace(
        wanted,
        others=others,
        variants=wanted.variants if stage == FINE_TUNED_STAGE else (),
        layer=find_attribution_layer(backbone.model, settings.attribution_layer),
        classes=subset.labels if settings.attributed_class == "true" else None,
    )
    with one_pass(backbone, wanted, settings, run) as outputs:
        maps, logits = outputs.maps, outputs.logits
        attributed = logits.argmax(axis=1) if wanted.classes is None else wanted.classes
        if len(others):
            logits = _in_order(test, subset, logits, outputs.other_logits)
        moved = invariance_numbers(outputs, wanted.variants, domain, subset, stage) if wanted.variants else None
    predictions = predictions_of(test.sample_ids, test.labels, logits)
    scaled, scaled_confidences = scaled_numbers(logits, predictions, validation, stage)
    attribution = _attribution(backbone, replace(wanted, classes=attributed), maps, settings, run, stage)
    found, clean = prediction_analysis(predictions, len(domain.class_names), stage)
    clean = clean.assign(**{f"confidence{AFTER_TEMPERATURE}": scaled_confidences})
    of_images = Analysis(
        (*found, *scaled, *attribution.numbers),
        clean.merge(attribution.records, on="sample_id", how="left"),
    )
    if moved is None:
        numbers, records = _joined(of_images)
    else:
        numbers, records = _joined(of_images, moved, _pair_analysis(backbone, test, settings, run, stage))
    return _over_groups(Analysis(tuple(numbers), records, attribution.examples), domain)
