"""Functions of predicted images that rows of the catalogue name; they need only a few stored numbers per image."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.accuracy import AccuracyResult, TopKAccuracyResult, accuracy, top_k_of_credits
from hf_sslgen.metrics.calibration import CalibrationResult, expected_calibration_error
from hf_sslgen.metrics.calibration_by_rank import (
    AdaptiveCalibrationResult,
    KSCalibrationResult,
    adaptive_calibration_error,
    ks_calibration_error,
)
from hf_sslgen.metrics.confidence import ConfidenceResult, prediction_confidence
from hf_sslgen.metrics.debiased_calibration import DebiasedCalibrationResult, debiased_calibration_error
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.risk_coverage import RiskCoverageResult, risk_coverage
from hf_sslgen.metrics.scores import ProperScoreResult, mean_score, top_label_brier

TOP_K = 5


class PredictedImages(Protocol):
    """The numbers stored for every image, (N,) each; credits are NaN if there are at most five classes."""

    @property
    def predictions(self) -> NDArray[np.int64]: ...
    @property
    def references(self) -> NDArray[np.int64]: ...
    @property
    def correct(self) -> NDArray[np.bool_]: ...
    @property
    def confidences(self) -> FloatArray: ...
    @property
    def negative_log_likelihoods(self) -> FloatArray: ...
    @property
    def brier_scores(self) -> FloatArray: ...
    @property
    def top_5_credits(self) -> FloatArray: ...


def of_accuracy(images: PredictedImages, num_classes: int) -> AccuracyResult:
    return accuracy(images.predictions, images.references, num_classes)


def of_confidence(images: PredictedImages, num_classes: int) -> ConfidenceResult:
    return prediction_confidence(images.confidences, images.correct)


def of_bins(images: PredictedImages, num_classes: int) -> CalibrationResult:
    return expected_calibration_error(images.confidences, images.correct)


def of_equal_bins(images: PredictedImages, num_classes: int) -> AdaptiveCalibrationResult:
    return adaptive_calibration_error(images.confidences, images.correct)


def of_debiased_bins(images: PredictedImages, num_classes: int) -> DebiasedCalibrationResult:
    return debiased_calibration_error(images.confidences, images.correct)


def of_cumulated_confidence(images: PredictedImages, num_classes: int) -> KSCalibrationResult:
    return ks_calibration_error(images.confidences, images.correct)


def of_likelihood(images: PredictedImages, num_classes: int) -> ProperScoreResult:
    return mean_score(images.negative_log_likelihoods, images.correct)


def of_brier_scores(images: PredictedImages, num_classes: int) -> ProperScoreResult:
    return mean_score(images.brier_scores, images.correct)


def of_confidence_brier(images: PredictedImages, num_classes: int) -> ProperScoreResult:
    return top_label_brier(images.confidences, images.correct)


def of_risk_coverage(images: PredictedImages, num_classes: int) -> RiskCoverageResult:
    return risk_coverage(images.confidences, images.correct)


def of_top_5(images: PredictedImages, num_classes: int) -> TopKAccuracyResult | None:
    return top_k_of_credits(images.top_5_credits, TOP_K) if num_classes > TOP_K else None


ORDER = (
    *(of_accuracy, of_confidence, of_bins, of_equal_bins, of_debiased_bins, of_cumulated_confidence),
    *(of_likelihood, of_brier_scores, of_confidence_brier, of_risk_coverage, of_top_5),
)
"""The established order of these functions' numbers in results; numbers of other functions follow."""


def count_wrong(images: PredictedImages, num_classes: int) -> int:
    return int((~images.correct).sum())


def count_right(images: PredictedImages, num_classes: int) -> int:
    return int(images.correct.sum())


def confidences_of(result: ConfidenceResult, images: PredictedImages, num_classes: int) -> FloatArray:
    return images.confidences
