"""Accuracy, confidence and calibration of a classifier: numbers and records, before and after temperature scaling."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from hf_sslgen.analysis.estimated_numbers import numbers_of
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import apply_temperature, fit_temperature
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE, measured_on, scaled_names
from hf_sslgen.metrics.stages import Stage
from hf_sslgen.training.evaluation import Predictions, reduce_logits


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


def prediction_analysis(predictions: Predictions, num_classes: int, stage: Stage) -> tuple[list[Number], pd.DataFrame]:
    """Accuracy, confidence and calibration, and a record per test image.

    Numbers have the intervals of `hf_sslgen.metrics`. Calibration errors, and other numbers for which no interval
    covers, are descriptive.
    """
    measured = measure(Subject.PREDICTIONS, predictions, num_classes)
    # A column that these classes do not have, such as that of top-5 accuracy among five, is empty.
    names = [column.name for metric, _ in measured_on(Subject.PREDICTIONS) for column in metric.columns]
    records = pd.DataFrame(
        {
            "sample_id": predictions.sample_ids,
            "stage": stage,
            "transform": "",
            "severity": "",
            "reference": predictions.references,
            "prediction": predictions.predictions,
            **{name: measured.columns.get(name, np.nan) for name in names},
        }
    )
    return numbers_of(measured, stage), records


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
    names = scaled_names()
    numbers = numbers_of(measure(Subject.PREDICTIONS, scaled, logits.shape[1]), stage)
    changed = [replace(n, metric=f"{n.metric}{AFTER_TEMPERATURE}") for n in numbers if n.metric in names]
    return [temperature, *changed], scaled.confidences
