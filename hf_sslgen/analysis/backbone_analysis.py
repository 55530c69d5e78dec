"""Measure a backbone on a domain in one pass over its test images."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.attribution_analysis import Attributed, attribution_analysis
from hf_sslgen.analysis.batch_pass import Wanted
from hf_sslgen.analysis.families import MIN_IMAGES
from hf_sslgen.analysis.grouped_numbers import over_groups
from hf_sslgen.analysis.invariance_numbers import invariance_numbers, is_gray, pair_numbers
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
from hf_sslgen.analysis.randomisation import Maps
from hf_sslgen.analysis.stored_outputs import StoredTrunk
from hf_sslgen.analysis.subset import analysis_subset, others_of, subset_pixels
from hf_sslgen.analysis.transforms import preset_variants
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.measured_images import MeasuredDomain
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE, Stage
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


def validation_logits(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> ValidationLogits:
    """Compute a classifier's logits for the domain's validation images."""
    return ValidationLogits(split_logits(backbone, domain.validation, settings, run), domain.validation.labels)


def _wanted(backbone: LoadedBackbone, domain: MeasuredDomain, settings: AnalysisSettings, run: Run) -> Wanted:
    """Request the images for attribution and invariance, with the preset's transforms that suit the domain."""
    subset = analysis_subset(domain.test, settings)
    pixels = subset_pixels(backbone, subset, keep=run.features is not None)
    variants = preset_variants(settings.transforms, is_gray(pixels), domain.not_label_preserving)
    return Wanted(subset, pixels, variants=variants)


def _known_features(
    backbone: LoadedBackbone, split: ImageSplit, settings: AnalysisSettings, run: Run, stage: Stage
) -> NDArray[np.float32] | None:
    """Return the features of a frozen trunk from the store; None without a store or after fine-tuning."""
    if run.features is None or stage == FINE_TUNED_STAGE:
        return None
    return StoredTrunk(backbone, settings, run.features).features(split)


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
    wanted = Wanted(
        pairs, subset_pixels(backbone, pairs), features=_known_features(backbone, pairs, settings, run, stage)
    )
    with one_pass(backbone, wanted, settings, run) as outputs:
        return pair_numbers(outputs, pairs, num_alone, stage)


def _joined(*analyses: Analysis) -> tuple[list[Number], pd.DataFrame]:
    numbers = [number for analysis in analyses for number in analysis.numbers]
    return numbers, pd.concat([each.records for each in analyses if len(each.records)], ignore_index=True)


def _over_groups(analysis: Analysis, domain: MeasuredDomain) -> Analysis:
    return over_groups(analysis, domain.test, domain.not_label_preserving)


def pretrained_analysis(
    backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run = ALONE
) -> Analysis:
    """Measure an encoder without a classifier: the invariance of its features, and label-free attribution."""
    stage: Stage = PRETRAINED_STAGE
    wanted = _wanted(backbone, domain, settings, run)
    subset = wanted.subset
    if settings.attribution_method in LABEL_FREE_METHODS:
        wanted = replace(wanted, layer=find_attribution_layer(backbone.model, settings.attribution_layer))
    elif run.features is not None:
        trunk = StoredTrunk(backbone, settings, run.features)
        wanted = replace(wanted, features=trunk.attributed_features(subset))
    with one_pass(backbone, wanted, settings, run) as outputs:
        moved = invariance_numbers(outputs, wanted.variants, domain, subset, stage)
        maps = outputs.maps if wanted.layer is not None else None
    numbers, records = _joined(moved, _pair_analysis(backbone, domain.test, settings, run, stage))
    if maps is None:
        return _over_groups(Analysis(tuple(numbers), records), domain)
    attribution = attribution_analysis(backbone, Attributed(subset, subset.labels), maps, settings, run, stage)
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


def _attributed(
    test: ImageSplit, subset: ImageSplit, logits: NDArray[np.float32], settings: AnalysisSettings
) -> Attributed:
    """Return the images to attribute and the class of each, from the logits (N, C) of all test images."""
    if settings.attributed_class == "true":
        return Attributed(subset, subset.labels)
    place = dict(zip(test.sample_ids.tolist(), range(len(test)), strict=True))
    return Attributed(subset, logits[[place[sample_id] for sample_id in subset.sample_ids.tolist()]].argmax(axis=1))


def _adapted_pass(
    backbone: LoadedBackbone, domain: MeasuredDomain, stage: Stage, settings: AnalysisSettings, run: Run
) -> tuple[NDArray[np.float32], Maps, Analysis | None]:
    """Run the pass over the test images; returns their logits, the subset's maps and, if fine-tuned, invariance."""
    test, wanted = domain.test, _wanted(backbone, domain, settings, run)
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
        if len(others):
            logits = _in_order(test, subset, logits, outputs.other_logits)
        moved = invariance_numbers(outputs, wanted.variants, domain, subset, stage) if wanted.variants else None
    return logits, maps, moved


def adapted_analysis(
    backbone: LoadedBackbone,
    domain: MeasuredDomain,
    stage: Stage,
    settings: AnalysisSettings,
    validation: ValidationLogits | None,
    run: Run = ALONE,
) -> Analysis:
    """Measure a backbone with a classifier: accuracy, confidence, attribution and, if fine-tuned, invariance.

    Args:
        validation: logits of images that the classifier was not trained on, for temperature scaling.
    """
    test = domain.test
    if stage == PRETRAINED_STAGE and run.features is not None:
        subset, moved = analysis_subset(test, settings), None
        logits = StoredTrunk(backbone, settings, run.features).logits(test)
        attributed = _attributed(test, subset, logits, settings)
        maps = attributed.maps_of(backbone, settings, run)
    else:
        logits, maps, moved = _adapted_pass(backbone, domain, stage, settings, run)
        attributed = _attributed(test, analysis_subset(test, settings), logits, settings)
    predictions = predictions_of(test.sample_ids, test.labels, logits)
    scaled, scaled_confidences = scaled_numbers(logits, predictions, validation, stage)
    attribution = attribution_analysis(backbone, attributed, maps, settings, run, stage)
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
