"""The numbers of prediction confidence and calibration."""

import math
from collections.abc import Callable

import numpy as np

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
from hf_sslgen.metrics.catalogue.prediction_functions import (
    PredictedImages,
    confidences_of,
    count_right,
    count_wrong,
    of_bins,
    of_brier_scores,
    of_confidence,
    of_confidence_brier,
    of_cumulated_confidence,
    of_debiased_bins,
    of_equal_bins,
    of_likelihood,
    of_risk_coverage,
)
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import MetricResult


def _gap_values(rows: Rows) -> FloatArray:
    confidence, correct = (np.asarray(rows[name], dtype=np.float64) for name in ("confidence", "correct"))
    return confidence - correct


NO_COVERAGE = "no interval of a calibration error reaches its nominal coverage"
NO_PAIRS = "it is a statistic of the whole sample rather than a mean over images"
OWN_IMAGES = "it is a mean over different images for each backbone"


def _calibration_error(
    name: str, words: MetricWords, function: Callable[[PredictedImages, int], MetricResult]
) -> Metric:
    return Metric(
        name,
        words,
        Part.CONFIDENCE,
        explanations.FURTHER_CALIBRATION,
        better="lower",
        compared=NO_COVERAGE,
        measured=Measured(Subject.PREDICTIONS, function, name),
        scaled=True,
    )


CONFIDENCE_METRICS = (
    Metric(
        "mean_confidence",
        share_words("Mean confidence", "mean confidence"),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=Compared(Paired.CONFIDENCE),
        measured=Measured(Subject.PREDICTIONS, of_confidence, "mean_confidence"),
        columns=(RecordColumn("confidence", confidences_of, 0.0, 1.0),),
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
        measured=Measured(Subject.PREDICTIONS, of_confidence, "mean_confidence_correct", count_undefined=count_wrong),
        scaled=True,
    ),
    Metric(
        "mean_confidence_incorrect",
        share_words("Mean confidence where wrong", "mean confidence on incorrect predictions"),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=OWN_IMAGES,
        measured=Measured(
            Subject.PREDICTIONS, of_confidence, "mean_confidence_incorrect", count_undefined=count_right
        ),
        scaled=True,
    ),
    Metric(
        "auroc",
        MetricWords("AUROC of confidence", "AUROC of confidence for correctness"),
        Part.CONFIDENCE,
        explanations.RANKING,
        better="higher",
        compared=NO_PAIRS,
        measured=Measured(Subject.PREDICTIONS, of_confidence, "auroc"),
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
        measured=Measured(Subject.PREDICTIONS, of_risk_coverage, "aurc"),
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
        measured=Measured(Subject.PREDICTIONS, of_risk_coverage, "excess_aurc"),
        scaled=True,
    ),
    Metric(
        "confidence_gap",
        points_words("Confidence gap", "confidence gap (mean confidence minus accuracy)", signed=True),
        Part.CONFIDENCE,
        explanations.CONFIDENCE,
        better=None,
        compared=Compared(Paired.OUTCOME, ("confidence", "correct"), _gap_values),
        measured=Measured(Subject.PREDICTIONS, of_confidence, "gap"),
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
        measured=Measured(Subject.PREDICTIONS, of_bins, "expected_calibration_error"),
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
        measured=Measured(Subject.PREDICTIONS, of_bins, "ece_if_calibrated"),
        table=Table.MEASUREMENTS,
        scaled=True,
    ),
    _calibration_error(
        "l2_calibration_error", points_words("ECE, root mean square", "root-mean-square calibration error"), of_bins
    ),
    _calibration_error(
        "maximum_calibration_error", points_words("ECE, largest bin", "largest calibration error of a bin"), of_bins
    ),
    _calibration_error(
        "adaptive_calibration_error",
        points_words("Adaptive ECE", "calibration error over bins of equal size"),
        of_equal_bins,
    ),
    _calibration_error(
        "ks_calibration_error",
        points_words("KS calibration error", "Kolmogorov-Smirnov calibration error"),
        of_cumulated_confidence,
    ),
    _calibration_error(
        "debiased_squared_calibration_error",
        MetricWords(
            "Debiased squared calibration error", "debiased squared calibration error", decimals=4, signed=True
        ),
        of_debiased_bins,
    ),
    Metric(
        "negative_log_likelihood",
        MetricWords("NLL", "negative log-likelihood", unit=" nats", difference_unit=" nats"),
        Part.CONFIDENCE,
        explanations.PROPER_SCORES,
        better="lower",
        compared=Compared(Paired.OUTCOME),
        measured=Measured(Subject.PREDICTIONS, of_likelihood, "mean"),
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
        measured=Measured(Subject.PREDICTIONS, of_brier_scores, "mean"),
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
        compared="the Brier score is compared instead",
        measured=Measured(Subject.PREDICTIONS, of_confidence_brier, "mean"),
        scaled=True,
    ),
    Metric(
        "temperature",
        MetricWords("Temperature", "temperature fitted on validation images", decimals=2),
        Part.CONFIDENCE,
        explanations.TEMPERATURE,
        better=None,
        compared="it is fitted on images outside the test split",
    ),
)
