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
from hf_sslgen.metrics import Estimate, brier_score, negative_log_likelihood, top_k_accuracy, top_label
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.prediction_functions import TOP_K
from hf_sslgen.metrics.catalogue.rows import better_directions

GREATER_IS_BETTER = {"loss": False, **better_directions()}
"""The validation metrics by which a checkpoint can be selected, and whether higher is better."""

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
        return measure(Subject.PREDICTIONS, self, num_classes).estimates

    def measures(self, num_classes: int) -> dict[str, float]:
        """The values of `estimates`."""
        return {name: estimate.value for name, estimate in self.estimates(num_classes).items()}


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
