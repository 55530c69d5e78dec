"""Measuring a backbone that has a classifier for a domain: accuracy, confidence, attribution, and invariance."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis import attribution
from hf_sslgen.analysis.invariance import invariance_analysis
from hf_sslgen.analysis.numbers import Analysis, Number, Stage, number_of
from hf_sslgen.analysis.subset import AnalysisSettings, analysis_subset, example_positions, subset_pixels
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.metrics import (
    MIN_CLASS_SIZE,
    attribution_concentration,
    bootstrap_interval,
    mean_per_class_statistic,
    smallest_class,
)
from hf_sslgen.metrics.intervals import MIN_OUTCOMES
from hf_sslgen.preprocessing import normalise
from hf_sslgen.training.evaluation import Predictions, estimate_of
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.loading import LoadedBackbone

CONCENTRATION = {
    "gini": "gini",
    "spread": "spatial_spread",
    "effective_area": "effective_area",
    "participation_ratio": "participation_ratio",
    "top_10_percent_mass": "top_10_percent_mass",
    "area_at_80_percent_mass": "area_at_80_percent_mass",
    "entropy": "entropy",
}
"""Fields of a `ConcentrationResult`, and the names of their numbers and of their columns in the records."""


def prediction_numbers(predictions: Predictions, num_classes: int, stage: Stage) -> list[Number]:
    """Accuracy, confidence and calibration.

    Numbers have the intervals of `hf_sslgen.metrics`, and mean per-class accuracy that of the bootstrap. Calibration
    errors are descriptive, and so is what else has no interval that covers.
    """
    n = len(predictions.references)
    n_correct = int(predictions.correct.sum())
    n_undefined = {"mean_confidence_correct": n - n_correct, "mean_confidence_incorrect": n_correct}
    estimates = predictions.estimates(num_classes)
    if smallest_class(predictions.references) >= MIN_CLASS_SIZE and min(n_correct, n - n_correct) >= MIN_OUTCOMES:
        per_class = mean_per_class_statistic(predictions.correct, predictions.references)
        estimates["mean_per_class_accuracy"] = bootstrap_interval(per_class, n)
    return [
        number_of(metric, estimate, stage, num_undefined=n_undefined.get(metric, 0))
        for metric, estimate in estimates.items()
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
            "top_5_credit": predictions.top_5_credits,
        }
    )


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
        of_batch = attribution.attribution_maps(model, inputs, targets.to(model.device), layer, target=settings.target)
        maps.append(of_batch.cpu())
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
    numbers = [
        number_of(
            metric,
            estimate_of(result, field),
            stage,
            num_undefined=int(np.isnan(vars(result)[f"per_sample_{field}"]).sum()),
        )
        for field, metric in CONCENTRATION.items()
    ]
    numbers.append(number_of("zero_map_rate", estimate_of(result, "zero_map_rate"), stage))
    zero = np.isnan(result.per_sample_gini).astype(float)
    per_sample = {metric: vars(result)[f"per_sample_{field}"] for field, metric in CONCENTRATION.items()}
    records = pd.DataFrame({"sample_id": subset.sample_ids, **per_sample, "zero_map": zero})
    shown = example_positions(subset, settings)
    examples = {
        "images": pixels[torch.from_numpy(shown)].permute(0, 2, 3, 1).numpy(),
        "maps": maps[shown],
        "sample_ids": subset.sample_ids[shown],
    }
    return Analysis(tuple(numbers), records, examples)


def adapted_analysis(
    backbone: LoadedBackbone, domain: Domain, predictions: Predictions, stage: Stage, settings: AnalysisSettings
) -> Analysis:
    """A backbone with a classifier for the domain: accuracy, confidence, attribution; invariance where fine-tuned."""
    subset = analysis_subset(domain.test, settings)
    attribution = attribution_analysis(backbone, subset, predictions, stage, settings)
    numbers = [*prediction_numbers(predictions, len(domain.class_names), stage), *attribution.numbers]
    records = prediction_records(predictions, stage).merge(attribution.records, on="sample_id", how="left")
    if stage == "fine-tuned":
        moved = invariance_analysis(backbone, domain, subset, stage, settings)
        numbers += moved.numbers
        records = pd.concat([records, moved.records], ignore_index=True)
    return Analysis(tuple(numbers), records, attribution.examples)
