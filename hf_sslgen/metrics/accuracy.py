"""Accuracy: top-1, over samples and averaged over classes, and top-k."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.class_scores import class_scores_and_references
from hf_sslgen.metrics.inputs import BoolArray, FloatArray, label_array, positive_integer, require_equal_lengths
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult
from hf_sslgen.metrics.shares import credit_interval, mean_per_class_interval, share_interval


@dataclass(frozen=True, eq=False)
class AccuracyResult(MetricResult):
    """`accuracy` and `mean_per_class_accuracy` in [0, 1]; `n_absent_classes` is 0 if `num_classes` was not given."""

    accuracy: float
    mean_per_class_accuracy: float
    n_absent_classes: int
    n: int
    per_sample_correct: BoolArray
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TopKAccuracyResult(MetricResult):
    """Top-k accuracy in [0, 1]; NaN, with a `reason`, for k classes or fewer."""

    top_k_accuracy: float
    k: int
    n: int
    per_sample_credit: FloatArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def accuracy(predictions: npt.ArrayLike, references: npt.ArrayLike, num_classes: int | None = None) -> AccuracyResult:
    """Compute the share of samples whose predicted class is the true one.

        accuracy = sum_i [prediction_i = reference_i] / N
        mean_per_class_accuracy = mean over classes c of the accuracy on the samples with reference c

    The per-class mean is the metric of the transfer literature for Aircraft, Caltech-101, Flowers and Pets
    (Kornblith, Shlens and Le 2019). Classes absent from the references have no accuracy: they are left out of that
    mean and, if `num_classes` is given, counted.

    Args:
        predictions: predicted labels, shape (N,). Class scores are rejected; take their argmax first.
        references: true labels, shape (N,).
        num_classes: number of classes C; labels must then lie in [0, C).

    Returns:
        Result whose interval for accuracy is exact (Clopper and Pearson 1934). The interval for the per-class mean
        needs ten images of every class that occurs.

    Raises:
        ValueError: for shapes other than (N,), different lengths, N = 0, or labels outside [0, C).
    """
    if num_classes is not None:
        num_classes = positive_integer(num_classes, "num_classes")
    predicted = label_array(predictions, "predictions", num_classes)
    true = label_array(references, "references", num_classes)
    require_equal_lengths(predictions=predicted, references=true)

    correct = predicted == true
    present, class_index, class_sizes = np.unique(true, return_inverse=True, return_counts=True)
    per_class = np.bincount(class_index, weights=correct) / class_sizes
    return AccuracyResult(
        accuracy=float(correct.mean()),
        mean_per_class_accuracy=float(per_class.mean()),
        n_absent_classes=0 if num_classes is None else num_classes - len(present),
        n=len(correct),
        per_sample_correct=correct,
        intervals={
            "accuracy": share_interval(int(correct.sum()), len(correct)),
            "mean_per_class_accuracy": mean_per_class_interval(correct, true),
        },
    )


def top_k_accuracy(scores: npt.ArrayLike, references: npt.ArrayLike, k: int = 5) -> TopKAccuracyResult:
    """Compute the share of samples whose true class is among the k largest scores.

    If classes tie with the true class for the last places, the sample's credit is the chance that the true class gets
    a place: with b classes above it and t tied, itself included,

        credit_i = min(1, max(0, k - b) / t)

    so that a model with equal scores for all classes gets k / C, whatever the order of the classes.

    Args:
        scores: logits or probabilities, shape (N, C), finite; only their order matters.
        references: true labels, shape (N,), in [0, C).
        k: number of guesses.

    Returns:
        Result with NaN everywhere if C <= k, since every guess would be right.
    """
    k = positive_integer(k, "k")
    table, true = class_scores_and_references(scores, references, from_logits=True, name="scores")
    n, num_classes = table.shape
    credit = np.empty(n)
    for block in table.blocks():
        of_true_class = block.scores[np.arange(len(block.scores)), true[block.rows]][:, None]
        above = np.count_nonzero(block.scores > of_true_class, axis=1)
        tied = np.count_nonzero(block.scores == of_true_class, axis=1)
        credit[block.rows] = np.clip((k - above) / tied, 0.0, 1.0)
    if num_classes <= k:
        no_interval = {"top_k_accuracy": NO_INTERVAL}
        reason = f"with {num_classes} classes, {k} guesses are always right"
        return TopKAccuracyResult(float("nan"), k, n, np.full(n, np.nan), reason, no_interval)
    return top_k_of_credits(credit, k)


def top_k_of_credits(credit: FloatArray, k: int) -> TopKAccuracyResult:
    """Top-k accuracy from what each sample has to its credit, shape (N,), where there are more than k classes."""
    intervals = {"top_k_accuracy": credit_interval(credit)}
    return TopKAccuracyResult(float(credit.mean()), k, len(credit), credit, intervals=intervals)
