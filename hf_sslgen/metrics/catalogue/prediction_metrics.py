"""The numbers of predictions: accuracy, confidence and calibration."""

import math
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
from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import (
    Compared,
    Measured,
    Metric,
    MetricWords,
    Paired,
    Part,
    RecordColumn,
    Role,
    Rows,
    Subject,
    Table,
    points_words,
    share_words,
)
from hf_sslgen.metrics.confidence import ConfidenceResult, prediction_confidence
from hf_sslgen.metrics.debiased_calibration import DebiasedCalibrationResult, debiased_calibration_error
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.risk_coverage import RiskCoverageResult, risk_coverage
from hf_sslgen.metrics.scores import ProperScoreResult, mean_score, top_label_brier

TOP_K = 5


class PredictedImages(Protocol):
    """What is kept of every image, (N,) each; credits are NaN where there are no more than five classes."""

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


def _accuracy(images: PredictedImages, num_classes: int) -> AccuracyResult:
    return accuracy(images.predictions, images.references, num_classes)


def _confidence(images: PredictedImages, num_classes: int) -> ConfidenceResult:
    return prediction_confidence(images.confidences, images.correct)


def _binned(images: PredictedImages, num_classes: int) -> CalibrationResult:
    return expected_calibration_error(images.confidences, images.correct)


def _adaptive(images: PredictedImages, num_classes: int) -> AdaptiveCalibrationResult:
    return adaptive_calibration_error(images.confidences, images.correct)


def _debiased(images: PredictedImages, num_classes: int) -> DebiasedCalibrationResult:
    return debiased_calibration_error(images.confidences, images.correct)


def _ks(images: PredictedImages, num_classes: int) -> KSCalibrationResult:
    return ks_calibration_error(images.confidences, images.correct)


def _likelihood(images: PredictedImages, num_classes: int) -> ProperScoreResult:
    return mean_score(images.negative_log_likelihoods, images.correct)


def _brier(images: PredictedImages, num_classes: int) -> ProperScoreResult:
    return mean_score(images.brier_scores, images.correct)


def _top_label_brier(images: PredictedImages, num_classes: int) -> ProperScoreResult:
    return top_label_brier(images.confidences, images.correct)


def _risk_coverage(images: PredictedImages, num_classes: int) -> RiskCoverageResult:
    return risk_coverage(images.confidences, images.correct)


def _top_5(images: PredictedImages, num_classes: int) -> TopKAccuracyResult | None:
    return top_k_of_credits(images.top_5_credits, TOP_K) if num_classes > TOP_K else None


ORDER = (
    *(_accuracy, _confidence, _binned, _adaptive, _debiased, _ks),
    *(_likelihood, _brier, _top_label_brier, _risk_coverage, _top_5),
)
"""The order in which results have always held what these functions yield; what another yields comes after it."""


def _wrong(images: PredictedImages, num_classes: int) -> int:
    return int((~images.correct).sum())


def _right(images: PredictedImages, num_classes: int) -> int:
    return int(images.correct.sum())


def _confidences(result: ConfidenceResult, images: PredictedImages, num_classes: int) -> FloatArray:
    return images.confidences


def _gap_values(rows: Rows) -> FloatArray:
    confidence, correct = (np.asarray(rows[name], dtype=np.float64) for name in ("confidence", "correct"))
    return confidence - correct


NO_COVERAGE = "no interval of a calibration error covers"
NO_PAIRS = "it is a statistic of the whole sample, and no mean over images"
OWN_IMAGES = "it is a mean over other images for each backbone"
NAMED_OTHERWISE = "it is compared under the name of the accuracy that it is"

PREDICTION_METRICS = (
    Metric(
        "headline_accuracy",
        share_words("Accuracy", "accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared=NAMED_OTHERWISE,
        table=Table.NONE,
        role=Role.TESTED,
    ),
    Metric(
        "accuracy",
        share_words("Accuracy", "accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared=Compared(Paired.SHARE),
        measured=Measured(Subject.PREDICTIONS, _accuracy, "accuracy"),
        columns=(RecordColumn("correct", low=0.0, high=1.0),),
        table=Table.NONE,
        card_place=1,
    ),
    Metric(
        "mean_per_class_accuracy",
        share_words("Mean per-class accuracy", "mean per-class accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared=Compared(Paired.CLASS_SHARE),
        measured=Measured(Subject.PREDICTIONS, _accuracy, "mean_per_class_accuracy"),
        columns=(RecordColumn("correct", low=0.0, high=1.0),),
        card_place=2,
    ),
    Metric(
        "top_5_accuracy",
        share_words("Top-5 accuracy", "top-5 accuracy"),
        Part.ACCURACY,
        explanations.ACCURACY,
        better="higher",
        compared="accuracy stands for it",
        measured=Measured(Subject.PREDICTIONS, _top_5, "top_k_accuracy"),
        columns=(RecordColumn("top_5_credit", "per_sample_credit"),),
        card_place=3,
    ),
    Metric(
        "mean_confidence",
        share_words("Mean confidence", "mean confidence"),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=Compared(Paired.CONFIDENCE),
        measured=Measured(Subject.PREDICTIONS, _confidence, "mean_confidence"),
        columns=(RecordColumn("confidence", _confidences, 0.0, 1.0),),
        table=Table.MEASUREMENTS,
        card_place=7,
        scaled=True,
    ),
    Metric(
        "mean_confidence_correct",
        share_words("Mean confidence where right", "mean confidence on correct predictions"),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=OWN_IMAGES,
        measured=Measured(Subject.PREDICTIONS, _confidence, "mean_confidence_correct", count_undefined=_wrong),
        scaled=True,
    ),
    Metric(
        "mean_confidence_incorrect",
        share_words("Mean confidence where wrong", "mean confidence on incorrect predictions"),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=OWN_IMAGES,
        measured=Measured(Subject.PREDICTIONS, _confidence, "mean_confidence_incorrect", count_undefined=_right),
        scaled=True,
    ),
    Metric(
        "auroc",
        MetricWords("AUROC of confidence", "AUROC of confidence for correctness"),
        Part.CONFIDENCE,
        explanations.RANKING,
        better="higher",
        compared=NO_PAIRS,
        measured=Measured(Subject.PREDICTIONS, _confidence, "auroc"),
        card_place=9,
        scaled=True,
    ),
    Metric(
        "aurc",
        MetricWords("AURC", "area under the risk-coverage curve", 100.0, 2, "%", " points"),
        Part.CONFIDENCE,
        explanations.RANKING,
        better="lower",
        compared=NO_PAIRS,
        measured=Measured(Subject.PREDICTIONS, _risk_coverage, "aurc"),
        card_place=10,
        scaled=True,
    ),
    Metric(
        "excess_aurc",
        points_words("Excess AURC", "area between the risk-coverage curve and the oracle’s", 2),
        Part.CONFIDENCE,
        explanations.RANKING,
        better="lower",
        compared=NO_PAIRS,
        measured=Measured(Subject.PREDICTIONS, _risk_coverage, "excess_aurc"),
        scaled=True,
    ),
    Metric(
        "confidence_gap",
        points_words("Confidence gap", "confidence gap (mean confidence minus accuracy)", signed=True),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=Compared(Paired.OUTCOME, ("confidence", "correct"), _gap_values),
        measured=Measured(Subject.PREDICTIONS, _confidence, "gap"),
        table=Table.MEASUREMENTS,
        role=Role.TESTED,
        terminal_title="gap pt",
        card_place=8,
        scaled=True,
        scaled_in_details=True,
    ),
    Metric(
        "expected_calibration_error",
        points_words("ECE", "expected calibration error"),
        Part.CONFIDENCE,
        explanations.EXPECTED_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _binned, "expected_calibration_error"),
        table=Table.MEASUREMENTS,
        terminal_title="ECE (null) pt",
        beside="ece_if_calibrated",
        card_place=6,
        scaled=True,
        scaled_in_details=True,
    ),
    Metric(
        "ece_if_calibrated",
        points_words("ECE if calibrated", "expected calibration error of a perfectly calibrated model"),
        Part.CONFIDENCE,
        explanations.EXPECTED_CALIBRATION,
        better=None,
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _binned, "ece_if_calibrated"),
        table=Table.MEASUREMENTS,
        scaled=True,
    ),
    Metric(
        "l2_calibration_error",
        points_words("ECE, root mean square", "root-mean-square calibration error"),
        Part.CONFIDENCE,
        explanations.FURTHER_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _binned, "l2_calibration_error"),
        scaled=True,
    ),
    Metric(
        "maximum_calibration_error",
        points_words("ECE, largest bin", "largest calibration error of a bin"),
        Part.CONFIDENCE,
        explanations.FURTHER_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _binned, "maximum_calibration_error"),
        scaled=True,
    ),
    Metric(
        "adaptive_calibration_error",
        points_words("Adaptive ECE", "calibration error over bins of equal size"),
        Part.CONFIDENCE,
        explanations.FURTHER_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _adaptive, "adaptive_calibration_error"),
        scaled=True,
    ),
    Metric(
        "ks_calibration_error",
        points_words("KS calibration error", "Kolmogorov-Smirnov calibration error"),
        Part.CONFIDENCE,
        explanations.FURTHER_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _ks, "ks_calibration_error"),
        scaled=True,
    ),
    Metric(
        "debiased_squared_calibration_error",
        MetricWords(
            "Debiased squared calibration error", "debiased squared calibration error", decimals=4, signed=True
        ),
        Part.CONFIDENCE,
        explanations.FURTHER_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, _debiased, "debiased_squared_calibration_error"),
        scaled=True,
    ),
    Metric(
        "negative_log_likelihood",
        MetricWords("NLL", "negative log-likelihood", unit=" nats", difference_unit=" nats"),
        Part.CONFIDENCE,
        explanations.PROPER_SCORES,
        better="lower",
        compared=Compared(Paired.OUTCOME),
        measured=Measured(Subject.PREDICTIONS, _likelihood, "mean"),
        columns=(RecordColumn("negative_log_likelihood", "per_sample_score", 0.0, math.inf),),
        card_place=4,
        scaled=True,
        scaled_in_details=True,
    ),
    Metric(
        "brier_score",
        MetricWords("Brier score", "Brier score"),
        Part.CONFIDENCE,
        explanations.PROPER_SCORES,
        better="lower",
        compared=Compared(Paired.OUTCOME),
        measured=Measured(Subject.PREDICTIONS, _brier, "mean"),
        columns=(RecordColumn("brier_score", "per_sample_score", 0.0, 2.0),),
        table=Table.MEASUREMENTS,
        role=Role.TESTED,
        card_place=5,
        scaled=True,
        scaled_in_details=True,
    ),
    Metric(
        "top_label_brier",
        MetricWords("Top-label Brier score", "Brier score of the confidence alone"),
        Part.CONFIDENCE,
        explanations.PROPER_SCORES,
        better="lower",
        compared="the Brier score stands for it",
        measured=Measured(Subject.PREDICTIONS, _top_label_brier, "mean"),
        scaled=True,
    ),
    Metric(
        "temperature",
        MetricWords("Temperature", "temperature fitted on validation images", decimals=2),
        Part.CONFIDENCE,
        explanations.TEMPERATURE,
        better=None,
        compared="it is fitted on other images than those of the test split",
    ),
)
