"""Evaluation in O(N) memory: each batch's class scores are reduced to a few numbers per image before storage."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import EvalPrediction

from hf_sslgen.errors import DivergedError
from hf_sslgen.metrics import (
    Estimate,
    MetricResult,
    accuracy,
    adaptive_calibration_error,
    brier_score,
    debiased_calibration_error,
    expected_calibration_error,
    ks_calibration_error,
    negative_log_likelihood,
    prediction_confidence,
    risk_coverage,
    top_k_accuracy,
    top_label,
    top_label_brier,
)
from hf_sslgen.metrics.results import NO_INTERVAL, Interval
from hf_sslgen.metrics.shares import credit_interval
from hf_sslgen.metrics.two_groups import outcome_interval

TOP_K = 5

GREATER_IS_BETTER = {
    "negative_log_likelihood": False,
    "loss": False,
    "accuracy": True,
    "mean_per_class_accuracy": True,
    "top_5_accuracy": True,
    "brier_score": False,
    "top_label_brier": False,
    "auroc": True,
    "expected_calibration_error": False,
    "l2_calibration_error": False,
    "maximum_calibration_error": False,
    "adaptive_calibration_error": False,
    "debiased_squared_calibration_error": False,
    "ks_calibration_error": False,
    "aurc": False,
    "excess_aurc": False,
}
"""The validation metrics by which a checkpoint can be selected, and whether higher is better."""

WITHOUT_DIRECTION = (
    "mean_confidence",
    "mean_confidence_correct",
    "mean_confidence_incorrect",
    "confidence_gap",
    "ece_if_calibrated",
)
"""The remaining metrics in `Predictions.estimates`."""

Columns = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def reduce_scores(scores: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool) -> Columns:
    """Compute prediction, confidence, negative log-likelihood, Brier score and top-5 credit per image, each (N,).

    Args:
        scores: (N, C) probabilities, or logits if `from_logits` is True.
        references: (N,) class indices.

    Returns:
        The prediction, then the others in float64; the credit is NaN for five classes or fewer.
    """
    top = top_label(scores, references, from_logits)
    return (
        top.per_sample_prediction,
        top.per_sample_confidence,
        negative_log_likelihood(scores, references, from_logits).per_sample_score,
        brier_score(scores, references, from_logits).per_sample_score,
        top_k_accuracy(scores, references, k=TOP_K).per_sample_credit,
    )


def reduce_logits(logits: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
    """Apply `reduce_scores` to a batch of logits, on their device.

    An image with non-finite logits gets class 0 and NaN in every other column; raising an error here would leave other
    processes waiting for the batch.

    Args:
        logits: (B, C).
        labels: (B,) class indices.
    """
    finite = torch.isfinite(logits).all(dim=1).cpu().numpy()
    columns: list[NDArray[Any]] = [np.zeros(len(finite), dtype=np.int64), *np.full((4, len(finite)), np.nan)]
    if finite.any():
        kept = torch.from_numpy(finite).to(logits.device)
        for column, values in zip(columns, reduce_scores(logits[kept], labels[kept], from_logits=True), strict=True):
            column[finite] = values
    return tuple(torch.from_numpy(column).to(logits.device) for column in columns)


def preprocess_logits_for_metrics(logits: Tensor, labels: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Adapt `reduce_logits` to the Trainer's interface; `labels` are class indices and sample ids."""
    return reduce_logits(logits, labels[0])


@dataclass(frozen=True, eq=False)
class Predictions:
    """Per-image results of an evaluation; all arrays have shape (N,).

    `top_5_credits` is NaN for five classes or fewer.
    """

    sample_ids: NDArray[np.int64]
    references: NDArray[np.int64]
    predictions: NDArray[np.int64]
    confidences: NDArray[np.float64]
    negative_log_likelihoods: NDArray[np.float64]
    brier_scores: NDArray[np.float64]
    top_5_credits: NDArray[np.float64]

    @classmethod
    def from_evaluation(cls, predictions: Any, label_ids: Any) -> "Predictions":
        """Build from the Trainer's tuples, ordered by sample id."""
        references, sample_ids = label_ids
        order = np.argsort(sample_ids, kind="stable")
        return cls(sample_ids[order], references[order], *(np.asarray(column)[order] for column in predictions))

    @classmethod
    def from_probabilities(
        cls, sample_ids: NDArray[np.int64], references: NDArray[np.int64], probabilities: NDArray[np.floating]
    ) -> "Predictions":
        """Build from (N, C) probabilities of classifiers without logits."""
        return cls(sample_ids, references, *reduce_scores(probabilities, references, from_logits=False))

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.predictions == self.references

    def estimates(self, num_classes: int) -> dict[str, Estimate]:
        """Compute accuracy, confidence and calibration over all images, as defined in `hf_sslgen.metrics`.

        Returns:
            Each number by name, with its 95% interval over images if a valid one exists; an undefined number is NaN
            with a reason. Top-5 accuracy is included only for more than five classes.
        """
        p, y = self.confidences, self.correct
        likelihoods = self.negative_log_likelihoods
        confidence = prediction_confidence(p, y)
        binned = expected_calibration_error(p, y)
        found = {
            **_named(accuracy(self.predictions, self.references, num_classes), "accuracy", "mean_per_class_accuracy"),
            **_named(confidence, "mean_confidence", "mean_confidence_correct", "mean_confidence_incorrect", "auroc"),
            "confidence_gap": estimate_of(confidence, "gap"),
            **_named(binned, "expected_calibration_error", "ece_if_calibrated"),
            **_named(binned, "l2_calibration_error", "maximum_calibration_error"),
            **_named(adaptive_calibration_error(p, y), "adaptive_calibration_error"),
            **_named(debiased_calibration_error(p, y), "debiased_squared_calibration_error"),
            **_named(ks_calibration_error(p, y), "ks_calibration_error"),
            "negative_log_likelihood": _mean(likelihoods, outcome_interval(likelihoods, y)),
            "brier_score": _mean(self.brier_scores, outcome_interval(self.brier_scores, y)),
            "top_label_brier": estimate_of(top_label_brier(p, y), "mean"),
            **_named(risk_coverage(p, y), "aurc", "excess_aurc"),
        }
        if num_classes > TOP_K:
            found["top_5_accuracy"] = _mean(self.top_5_credits, credit_interval(self.top_5_credits))
        return found

    def measures(self, num_classes: int) -> dict[str, float]:
        """The values of `estimates`."""
        return {name: estimate.value for name, estimate in self.estimates(num_classes).items()}


def estimate_of(result: MetricResult, field: str) -> Estimate:
    """Return a result's number, its interval over samples (NaN if none is valid), and the reason if it is NaN."""
    values = result.to_dict()
    value = float(values[field])
    low, high = values.get(f"{field}_interval", NO_INTERVAL)
    return Estimate(value, low, high, values["n"], values.get("reason", "") if np.isnan(value) else "")


def _named(result: MetricResult, *fields: str) -> dict[str, Estimate]:
    return {field: estimate_of(result, field) for field in fields}


def _mean(per_sample: NDArray[np.float64], interval: Interval) -> Estimate:
    """Combine the per-batch results of a metric that is a mean over samples."""
    return Estimate(float(per_sample.mean()), *interval, len(per_sample))


def compute_metrics_for(num_classes: int) -> Any:
    """The Trainer's `compute_metrics`; raises DivergedError if predictions are not finite."""

    def compute_metrics(evaluation: EvalPrediction) -> dict[str, float]:
        predictions = Predictions.from_evaluation(evaluation.predictions, evaluation.label_ids)
        if not np.isfinite(predictions.confidences).all():
            raise DivergedError(
                "the trained model's predictions are not finite; a lower learning_rate, warmup_steps or max_grad_norm "
                "would help"
            )
        return predictions.measures(num_classes)

    return compute_metrics
