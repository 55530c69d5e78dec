"""Compute all accuracy, confidence and calibration numbers of one set of predictions at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy.typing as npt

from hf_sslgen.metrics.accuracy import accuracy, top_k_accuracy
from hf_sslgen.metrics.calibration import expected_calibration_error
from hf_sslgen.metrics.calibration_by_class import classwise_calibration_error
from hf_sslgen.metrics.calibration_by_rank import adaptive_calibration_error, ks_calibration_error
from hf_sslgen.metrics.confidence import prediction_confidence
from hf_sslgen.metrics.debiased_calibration import debiased_calibration_error
from hf_sslgen.metrics.inputs import BoolArray, FloatArray, IntArray, positive_integer
from hf_sslgen.metrics.results import Interval, MetricResult
from hf_sslgen.metrics.risk_coverage import risk_coverage
from hf_sslgen.metrics.scores import brier_score, negative_log_likelihood, top_label_brier
from hf_sslgen.metrics.top_label import top_label

TOP_K = 5


@dataclass(frozen=True, eq=False)
class ConfidenceSummary(MetricResult):
    """One number per field, as defined by the function it comes from; `reason` says why some are NaN."""

    n: int
    num_classes: int
    num_bins: int
    accuracy: float
    mean_per_class_accuracy: float
    n_absent_classes: int
    top_5_accuracy: float
    mean_confidence: float
    mean_confidence_correct: float
    mean_confidence_incorrect: float
    gap: float
    auroc: float
    expected_calibration_error: float
    l2_calibration_error: float
    maximum_calibration_error: float
    ece_if_calibrated: float
    adaptive_calibration_error: float
    debiased_squared_calibration_error: float
    classwise_calibration_error: float
    ks_calibration_error: float
    brier_score: float
    negative_log_likelihood: float
    top_label_brier: float
    aurc: float
    excess_aurc: float
    per_sample_prediction: IntArray
    per_sample_confidence: FloatArray
    per_sample_correct: BoolArray
    per_sample_brier_score: FloatArray
    per_sample_negative_log_likelihood: FloatArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def confidence_summary(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool = False, num_bins: int = 15
) -> ConfidenceSummary:
    """Compute accuracy, confidence, calibration, proper scores and risk-coverage of the same predictions.

    For the numbers after temperature scaling, call it again with the output of `apply_temperature`.

    Args:
        probabilities: shape (N, C), rows summing to 1; or finite logits if `from_logits` is True.
        references: true labels, shape (N,), in [0, C).
        from_logits: apply a float64 softmax first. Logits are never recognised from their values.
        num_bins: number of bins for the binned errors.
    """
    num_bins = positive_integer(num_bins, "num_bins")
    top = top_label(probabilities, references, from_logits)
    p, y = top.per_sample_confidence, top.per_sample_correct
    accuracies = accuracy(top.per_sample_prediction, references, top.num_classes)
    top_5 = top_k_accuracy(probabilities, references, k=TOP_K)
    confidence = prediction_confidence(p, y)
    calibration = expected_calibration_error(p, y, num_bins)
    debiased = debiased_calibration_error(p, y, num_bins)
    brier = brier_score(probabilities, references, from_logits)
    likelihood = negative_log_likelihood(probabilities, references, from_logits)
    of_top_label = top_label_brier(p, y)
    selective = risk_coverage(p, y)
    intervals = {
        **accuracies.intervals,
        "top_5_accuracy": top_5.intervals["top_k_accuracy"],
        **confidence.intervals,
        "brier_score": brier.intervals["mean"],
        "negative_log_likelihood": likelihood.intervals["mean"],
        "top_label_brier": of_top_label.intervals["mean"],
    }
    return ConfidenceSummary(
        n=top.n,
        num_classes=top.num_classes,
        num_bins=num_bins,
        accuracy=accuracies.accuracy,
        mean_per_class_accuracy=accuracies.mean_per_class_accuracy,
        n_absent_classes=accuracies.n_absent_classes,
        top_5_accuracy=top_5.top_k_accuracy,
        mean_confidence=confidence.mean_confidence,
        mean_confidence_correct=confidence.mean_confidence_correct,
        mean_confidence_incorrect=confidence.mean_confidence_incorrect,
        gap=confidence.gap,
        auroc=confidence.auroc,
        expected_calibration_error=calibration.expected_calibration_error,
        l2_calibration_error=calibration.l2_calibration_error,
        maximum_calibration_error=calibration.maximum_calibration_error,
        ece_if_calibrated=calibration.ece_if_calibrated,
        adaptive_calibration_error=adaptive_calibration_error(p, y, num_bins).adaptive_calibration_error,
        debiased_squared_calibration_error=debiased.debiased_squared_calibration_error,
        classwise_calibration_error=classwise_calibration_error(
            probabilities, references, num_bins, from_logits
        ).classwise_calibration_error,
        ks_calibration_error=ks_calibration_error(p, y).ks_calibration_error,
        brier_score=brier.mean,
        negative_log_likelihood=likelihood.mean,
        top_label_brier=of_top_label.mean,
        aurc=selective.aurc,
        excess_aurc=selective.excess_aurc,
        per_sample_prediction=top.per_sample_prediction,
        per_sample_confidence=p,
        per_sample_correct=y,
        per_sample_brier_score=brier.per_sample_score,
        per_sample_negative_log_likelihood=likelihood.per_sample_score,
        reason="; ".join(reason for reason in (top_5.reason, confidence.reason, debiased.reason) if reason),
        intervals=intervals,
    )
