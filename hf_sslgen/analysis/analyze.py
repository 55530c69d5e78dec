"""Measuring one backbone on one domain: accuracy, confidence, attribution, invariance, with per-sample records."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from hf_sslgen.analysis.attribution import Target, grad_cam
from hf_sslgen.analysis.forward import encode
from hf_sslgen.analysis.numbers import NAN, Number
from hf_sslgen.analysis.transforms import Variant, preset_variants
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.metrics import (
    InvarianceResult,
    Statistic,
    attribution_concentration,
    average_statistic,
    bootstrap_interval,
    expected_calibration_error,
    invariance,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
    representation_guards,
)
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.loading import LoadedBackbone

Stage = Literal["pretrained", "fine-tuned"]
UNCHANGED_TOLERANCE = 1 / 255
FAMILIES = ("mean", "mean_geometric", "mean_appearance")


@dataclass(frozen=True)
class AnalysisSettings:
    """How a backbone is measured.

    Attributes:
        transforms: preset of transforms.
        max_subset: images (a fixed, stratified part of the test split) for attribution and invariance.
        target: which score of the predicted class is attributed.
        attribution_layer: module to attribute instead of the one the rule finds.
        num_examples: images whose maps are kept to be shown.
    """

    transforms: str = "quick"
    max_subset: int = 1000
    seed: int = 0
    target: Target = "centred"
    attribution_layer: str | None = None
    num_examples: int = 8
    batch_size: int = 64


@dataclass(frozen=True)
class Analysis:
    """Numbers, per-sample records, and example images with their maps."""

    numbers: tuple[Number, ...]
    records: pd.DataFrame
    examples: dict[str, NDArray[Any]] | None = None


def estimated(metric: str, statistic: Statistic, n: int, **labels: Any) -> Number:
    """A number with its bootstrap interval over n images."""
    estimate = bootstrap_interval(statistic, n)
    return Number(metric, estimate.value, estimate.low, estimate.high, n, reason=estimate.reason, **labels)


def prediction_numbers(predictions: Predictions, stage: Stage) -> list[Number]:
    """Accuracy and confidence. The calibration error is descriptive, so it has no interval but its null beside it."""
    n = len(predictions.references)
    correct = predictions.correct.astype(float)
    calibration = expected_calibration_error(predictions.confidences, predictions.correct)
    means = {
        "accuracy": correct,
        "mean_confidence": predictions.confidences,
        "confidence_gap": predictions.confidences - correct,
        "negative_log_likelihood": predictions.negative_log_likelihoods,
        "brier_score": predictions.brier_scores,
    }
    per_class = mean_per_class_statistic(predictions.correct, predictions.references)
    return [
        *(estimated(metric, mean_statistic(values), n, stage=stage) for metric, values in means.items()),
        estimated("mean_per_class_accuracy", per_class, n, stage=stage),
        Number("expected_calibration_error", calibration.expected_calibration_error, n=n, stage=stage),
        Number("ece_if_calibrated", calibration.ece_if_calibrated, n=n, stage=stage),
    ]


def prediction_records(predictions: Predictions, stage: Stage) -> pd.DataFrame:
    """A row per test image."""
    return pd.DataFrame(
        {
            "sample_id": predictions.sample_ids,
            "stage": stage,
            "transform": "",
            "severity": "",
            "reference": predictions.references,
            "prediction": predictions.predictions,
            "correct": predictions.correct,
            "confidence": predictions.confidences,
            "negative_log_likelihood": predictions.negative_log_likelihoods,
            "brier_score": predictions.brier_scores,
        }
    )


def analysis_subset(split: ImageSplit, settings: AnalysisSettings) -> ImageSplit:
    """The images that serve attribution and invariance; the same for every backbone of a domain."""
    return split.select(stratified_subset(split.labels, settings.max_subset, settings.seed))


def subset_pixels(backbone: LoadedBackbone, subset: ImageSplit) -> Tensor:
    """(N, 3, S, S) bytes."""
    geometry = backbone.preprocessing.geometry
    return torch.stack([evaluation_pixels(subset.image(position), geometry) for position in range(len(subset))])


def example_positions(subset: ImageSplit, settings: AnalysisSettings) -> NDArray[np.int64]:
    """Positions of the images to show, spread over the classes."""
    return stratified_subset(subset.labels, min(settings.num_examples, len(subset)), settings.seed)


def attribution_maps(
    backbone: LoadedBackbone, pixels: Tensor, classes: NDArray[np.int64], settings: AnalysisSettings
) -> NDArray[np.float32]:
    """(N, h, w) Grad-CAM maps of the final stage, with their sign."""
    model = backbone.model
    layer = find_attribution_layer(model, settings.attribution_layer)
    maps = []
    batches = zip(pixels.split(settings.batch_size), torch.from_numpy(classes).split(settings.batch_size), strict=True)
    for batch, targets in batches:
        inputs = normalise(batch.to(model.device), backbone.preprocessing)
        maps.append(grad_cam(model, inputs, targets.to(model.device), layer, settings.target).cpu())
    return torch.cat(maps).numpy()


def attribution_analysis(
    backbone: LoadedBackbone, subset: ImageSplit, predictions: Predictions, stage: Stage, settings: AnalysisSettings
) -> Analysis:
    """Concentration of the predicted class's attribution on the layer's own grid."""
    pixels = subset_pixels(backbone, subset)
    predicted = dict(zip(predictions.sample_ids.tolist(), predictions.predictions.tolist(), strict=True))
    classes = np.array([predicted[int(sample_id)] for sample_id in subset.sample_ids], dtype=np.int64)
    maps = attribution_maps(backbone, pixels, classes, settings)
    result = attribution_concentration(maps)
    zero = np.isnan(result.per_sample_gini)
    n, defined = len(subset), len(subset) - result.n_undefined
    numbers = [
        Number(
            metric,
            estimate.value,
            estimate.low,
            estimate.high,
            defined,
            stage,
            "",
            "",
            result.n_undefined,
            result.reason,
        )
        for metric, values in (("gini", result.per_sample_gini), ("spatial_spread", result.per_sample_spread))
        for estimate in [bootstrap_interval(mean_statistic(values), n)]
    ]
    numbers.append(estimated("zero_map_rate", mean_statistic(zero.astype(float)), n, stage=stage))
    records = pd.DataFrame(
        {
            "sample_id": subset.sample_ids,
            "gini": result.per_sample_gini,
            "spatial_spread": result.per_sample_spread,
            "zero_map": zero.astype(float),
        }
    )
    shown = example_positions(subset, settings)
    examples = {
        "images": pixels[torch.from_numpy(shown)].permute(0, 2, 3, 1).numpy(),
        "maps": maps[shown],
        "sample_ids": subset.sample_ids[shown],
    }
    return Analysis(tuple(numbers), records, examples)


def _family_members(
    results: dict[Variant, InvarianceResult], family: str, not_label_preserving: tuple[str, ...]
) -> list[Variant]:
    """Variants a family mean is taken over: label-preserving, and changing at least two images."""
    return [
        variant
        for variant, result in results.items()
        if variant.transform not in not_label_preserving
        and family in ("mean", f"mean_{variant.family}")
        and result.n - result.n_undefined >= 2
    ]


def _family_numbers(
    results: dict[Variant, InvarianceResult], n: int, not_label_preserving: tuple[str, ...], stage: Stage
) -> list[Number]:
    numbers = []
    for family in FAMILIES:
        members = _family_members(results, family, not_label_preserving)
        for metric in ("invariance", "recall_at_1") if members else ():
            statistics = [invariance_member(metric, results[variant]) for variant in members]
            numbers.append(estimated(metric, average_statistic(statistics), n, stage=stage, transform=family))
    return numbers


def invariance_member(metric: str, result: InvarianceResult) -> Statistic:
    """The statistic of one variant's invariance or recall."""
    if metric == "recall_at_1":
        return mean_statistic(result.per_sample_recall_at_1)
    return invariance_statistic(result.per_sample_cosine, result.per_sample_chance_cosine)


def _variant_numbers(variant: Variant, result: InvarianceResult, stage: Stage) -> list[Number]:
    defined = result.n - result.n_undefined
    numbers = []
    for metric, statistic in (
        ("invariance", invariance_member("invariance", result)),
        ("cosine", mean_statistic(result.per_sample_cosine)),
        ("chance_cosine", mean_statistic(result.per_sample_chance_cosine)),
        ("recall_at_1", invariance_member("recall_at_1", result)),
    ):
        estimate = bootstrap_interval(statistic, result.n)
        numbers.append(
            Number(
                metric,
                estimate.value,
                estimate.low,
                estimate.high,
                defined,
                stage,
                variant.transform,
                variant.severity,
                result.n_undefined,
                result.reason or estimate.reason,
            )
        )
    return numbers


def invariance_analysis(
    backbone: LoadedBackbone, domain: Domain, subset: ImageSplit, stage: Stage, settings: AnalysisSettings
) -> Analysis:
    """Invariance of the classifier's input to every variant of the preset, with the guards against collapse.

    After fine-tuning chance pairs are drawn within the class, because features then cluster by class.
    """
    pixels = subset_pixels(backbone, subset).float() / 255
    gray = bool((pixels.amax(1) - pixels.amin(1)).max() <= UNCHANGED_TOLERANCE)
    clean = encode(backbone, pixels, settings.batch_size)
    guards = representation_guards(clean, stage)
    groups = subset.labels if stage == "fine-tuned" else None
    results: dict[Variant, InvarianceResult] = {}
    frames = []
    variants = preset_variants(settings.transforms, gray)
    for variant in tqdm(variants, desc=f"{backbone.name}: transforms", disable=None, leave=False):
        transformed = torch.cat(
            [
                variant(batch, ids.tolist(), settings.seed)
                for batch, ids in zip(
                    pixels.split(settings.batch_size),
                    torch.from_numpy(subset.sample_ids).split(settings.batch_size),
                    strict=True,
                )
            ]
        )
        unchanged = ((transformed - pixels).abs().amax((1, 2, 3)) <= UNCHANGED_TOLERANCE).numpy()
        features = encode(backbone, transformed, settings.batch_size)
        results[variant] = invariance(clean, features, groups=groups, unchanged=unchanged)
        frames.append(_variant_records(variant, results[variant], subset, stage))
    numbers = [number for variant, result in results.items() for number in _variant_numbers(variant, result, stage)]
    numbers += _family_numbers(results, len(subset), domain.not_label_preserving, stage)
    for metric, value in (
        ("effective_rank", guards.effective_rank),
        ("dead_dimension_share", guards.dead_dimension_share),
        ("collapsed", float(guards.collapsed)),
    ):
        numbers.append(Number(metric, value, NAN, NAN, len(subset), stage))
    return Analysis(tuple(numbers), pd.concat(frames, ignore_index=True))


def _variant_records(variant: Variant, result: InvarianceResult, subset: ImageSplit, stage: Stage) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": subset.sample_ids,
            "stage": stage,
            "transform": variant.transform,
            "severity": variant.severity,
            "reference": subset.labels,
            "cosine": result.per_sample_cosine,
            "chance_cosine": result.per_sample_chance_cosine,
            "recall_at_1": result.per_sample_recall_at_1,
        }
    )


def adapted_analysis(
    backbone: LoadedBackbone, domain: Domain, predictions: Predictions, stage: Stage, settings: AnalysisSettings
) -> Analysis:
    """A backbone with a classifier for the domain: accuracy, confidence, attribution; invariance where fine-tuned."""
    subset = analysis_subset(domain.test, settings)
    attribution = attribution_analysis(backbone, subset, predictions, stage, settings)
    numbers = [*prediction_numbers(predictions, stage), *attribution.numbers]
    records = prediction_records(predictions, stage).merge(attribution.records, on="sample_id", how="left")
    if stage == "fine-tuned":
        moved = invariance_analysis(backbone, domain, subset, stage, settings)
        numbers += moved.numbers
        records = pd.concat([records, moved.records], ignore_index=True)
    return Analysis(tuple(numbers), records, attribution.examples)
