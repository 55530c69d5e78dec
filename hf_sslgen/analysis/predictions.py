"""Accuracy, confidence and calibration of a classifier: numbers and records, before and after temperature scaling."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hf_sslgen.analysis.estimated_numbers import number_of
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import Estimate, apply_temperature, fit_temperature
from hf_sslgen.metrics.stages import Stage
from hf_sslgen.training.evaluation import Predictions, reduce_logits

AFTER = "_after_temperature"
"""Suffix of the names of numbers computed after temperature scaling."""

UNSCALED = ("accuracy", "mean_per_class_accuracy", "top_5_accuracy")
"""Numbers that temperature scaling does not change, because it keeps the order of the classes."""


@dataclass(frozen=True, eq=False)
class ValidationLogits:
    """Logits (N, C) of validation images and their labels (N,), to fit a temperature on."""

    logits: NDArray[np.floating]
    references: NDArray[np.int64]


def predictions_of(
    sample_ids: NDArray[np.int64], references: NDArray[np.int64], logits: NDArray[np.float32]
) -> Predictions:
    """Reduce (N, C) logits to per-image predictions."""
    columns = reduce_logits(torch.from_numpy(logits), torch.from_numpy(references))
    return Predictions(sample_ids, references, *(column.numpy() for column in columns))


def _numbers(
    estimates: Mapping[str, Estimate], predictions: Predictions, stage: Stage, ending: str = ""
) -> Iterable[Number]:
    n_correct = int(predictions.correct.sum())
    n_undefined = {
        "mean_confidence_correct": len(predictions.references) - n_correct,
        "mean_confidence_incorrect": n_correct,
    }
    for metric, estimate in estimates.items():
        yield number_of(f"{metric}{ending}", estimate, stage, num_undefined=n_undefined.get(metric, 0))


def prediction_numbers(predictions: Predictions, num_classes: int, stage: Stage) -> list[Number]:
    """Compute accuracy, confidence and calibration.

    Numbers have the intervals of `hf_sslgen.metrics`. Calibration errors, and other numbers for which no interval
    covers, are descriptive.
    """
    return [*_numbers(predictions.estimates(num_classes), predictions, stage)]


def scaled_numbers(
    logits: NDArray[np.float32], predictions: Predictions, validation: ValidationLogits | None, stage: Stage
) -> tuple[list[Number], NDArray[np.float64]]:
    """Fit the temperature on validation images, and recompute every number that it changes.

    Args:
        logits: (N, C) logits that `predictions` were made from.
        validation: None if the classifier was trained on all available images.

    Returns:
        The numbers, and the (N,) confidences after scaling; without a temperature, only its reason, and NaN.
    """
    unscaled = np.full(len(logits), np.nan)
    if validation is None:
        reason = "validation images were trained on, so none is left to fit a temperature on"
        return [Number("temperature", math.nan, stage=stage, reason=reason)], unscaled
    if not (np.isfinite(logits).all() and np.isfinite(validation.logits).all()):
        return [Number("temperature", math.nan, stage=stage, reason="some logits are not finite")], unscaled
    fit = fit_temperature(validation.logits, validation.references)
    temperature = Number("temperature", fit.temperature, n=fit.n, stage=stage, reason=fit.reason)
    if fit.reason:
        return [temperature], unscaled
    probabilities = apply_temperature(logits, fit)
    scaled = Predictions.from_probabilities(predictions.sample_ids, predictions.references, probabilities)
    changed = {
        metric: estimate for metric, estimate in scaled.estimates(logits.shape[1]).items() if metric not in UNSCALED
    }
    return [temperature, *_numbers(changed, scaled, stage, AFTER)], scaled.confidences


def prediction_records(predictions: Predictions, stage: Stage) -> pd.DataFrame:
    """Build the records, one row per test image."""
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
