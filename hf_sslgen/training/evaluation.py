"""Evaluation in O(N) memory: each batch's logits are reduced to a few numbers per image before they are kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import EvalPrediction

from hf_sslgen.errors import DivergedError
from hf_sslgen.metrics import accuracy, expected_calibration_error, prediction_confidence

MINIMUM_PROBABILITY = 1e-12


def reduce_logits(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Per image: prediction, confidence, negative log-likelihood and Brier score.

    Args:
        logits: (B, C).
        labels: (B,) class indices.

    Returns:
        Four tensors of shape (B,), all but the first float64.
    """
    probabilities = torch.softmax(logits.double(), dim=-1)
    confidence, prediction = probabilities.max(dim=-1)
    of_reference = probabilities.gather(1, labels[:, None]).squeeze(1)
    negative_log_likelihood = -torch.log(of_reference.clamp(min=MINIMUM_PROBABILITY))
    brier_score = probabilities.square().sum(-1) - 2 * of_reference + 1
    return prediction, confidence, negative_log_likelihood, brier_score


def preprocess_logits_for_metrics(logits: Tensor, labels: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """`reduce_logits` as the Trainer calls it; `labels` are class indices and sample ids."""
    return reduce_logits(logits, labels[0])


@dataclass(frozen=True, eq=False)
class Predictions:
    """What is known of every image after an evaluation; all arrays have shape (N,)."""

    sample_ids: NDArray[np.int64]
    references: NDArray[np.int64]
    predictions: NDArray[np.int64]
    confidences: NDArray[np.float64]
    negative_log_likelihoods: NDArray[np.float64]
    brier_scores: NDArray[np.float64]

    @classmethod
    def from_evaluation(cls, predictions: Any, label_ids: Any) -> "Predictions":
        """From the Trainer's tuples, ordered by sample id."""
        references, sample_ids = label_ids
        order = np.argsort(sample_ids, kind="stable")
        return cls(sample_ids[order], references[order], *(np.asarray(column)[order] for column in predictions))

    @classmethod
    def from_probabilities(
        cls, sample_ids: NDArray[np.int64], references: NDArray[np.int64], probabilities: NDArray[np.floating]
    ) -> "Predictions":
        """From (N, C) probabilities of classifiers that have no logits."""
        of_reference = np.take_along_axis(probabilities, references[:, None], axis=1)[:, 0]
        return cls(
            sample_ids,
            references,
            probabilities.argmax(axis=1),
            probabilities.max(axis=1),
            -np.log(np.maximum(of_reference, MINIMUM_PROBABILITY)),
            np.square(probabilities).sum(axis=1) - 2 * of_reference + 1,
        )

    @property
    def correct(self) -> NDArray[np.bool_]:
        return self.predictions == self.references

    def measures(self, num_classes: int) -> dict[str, float]:
        """Accuracy and confidence of the whole, by the definitions of `hf_sslgen.metrics`."""
        accuracies = accuracy(self.predictions, self.references, num_classes)
        confidence = prediction_confidence(self.confidences, self.correct)
        calibration = expected_calibration_error(self.confidences, self.correct)
        return {
            "accuracy": accuracies.accuracy,
            "mean_per_class_accuracy": accuracies.mean_per_class_accuracy,
            "mean_confidence": confidence.mean_confidence,
            "confidence_gap": confidence.gap,
            "expected_calibration_error": calibration.expected_calibration_error,
            "ece_if_calibrated": calibration.ece_if_calibrated,
            "negative_log_likelihood": float(np.mean(self.negative_log_likelihoods)),
            "brier_score": float(np.mean(self.brier_scores)),
        }


def compute_metrics_for(num_classes: int) -> Any:
    """The Trainer's `compute_metrics`; it raises DivergedError where predictions are not finite."""

    def compute_metrics(evaluation: EvalPrediction) -> dict[str, float]:
        predictions = Predictions.from_evaluation(evaluation.predictions, evaluation.label_ids)
        if not np.isfinite(predictions.confidences).all():
            raise DivergedError(
                "the trained model's predictions are not finite; a lower learning_rate, warmup_steps or max_grad_norm "
                "would help"
            )
        return predictions.measures(num_classes)

    return compute_metrics
