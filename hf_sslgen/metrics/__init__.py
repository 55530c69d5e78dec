"""Pure functions from arrays to numbers, with one definition per number and only NumPy and SciPy as dependencies.

Every function takes arrays, lists or torch tensors, computes in float64, and returns a frozen result, with per-sample
values where they exist, so that two models can be compared image by image.
"""

from hf_sslgen.metrics.accuracy import AccuracyResult, TopKAccuracyResult, accuracy, top_k_accuracy
from hf_sslgen.metrics.calibration import (
    CalibrationResult,
    ReliabilityBins,
    ReliabilityNullBand,
    expected_calibration_error,
    reliability_bins,
    reliability_null_band,
)
from hf_sslgen.metrics.calibration_by_class import ClasswiseCalibrationResult, classwise_calibration_error
from hf_sslgen.metrics.calibration_by_rank import (
    AdaptiveCalibrationResult,
    KSCalibrationResult,
    adaptive_calibration_error,
    ks_calibration_error,
)
from hf_sslgen.metrics.comparison import (
    Estimate,
    Statistic,
    average_statistic,
    bootstrap_interval,
    bootstrap_intervals,
    difference_statistic,
    invariance_statistic,
    invariance_values,
    mean_per_class_statistic,
    mean_statistic,
)
from hf_sslgen.metrics.concentration import ConcentrationResult, attribution_concentration, noise_null
from hf_sslgen.metrics.confidence import ConfidenceResult, prediction_confidence
from hf_sslgen.metrics.consistency import ConsistencyResult, prediction_consistency
from hf_sslgen.metrics.debiased_calibration import DebiasedCalibrationResult, debiased_calibration_error
from hf_sslgen.metrics.guards import GuardsResult, representation_guards
from hf_sslgen.metrics.invariance import InvarianceResult, invariance
from hf_sslgen.metrics.localization import LocalizationResult, attribution_localization
from hf_sslgen.metrics.map_similarity import MapSimilarityResult, map_similarity
from hf_sslgen.metrics.results import Interval, MetricResult
from hf_sslgen.metrics.risk_coverage import RiskCoverageResult, risk_coverage
from hf_sslgen.metrics.scores import ProperScoreResult, brier_score, negative_log_likelihood, top_label_brier
from hf_sslgen.metrics.similarity import CKAResult, debiased_linear_cka
from hf_sslgen.metrics.summary import ConfidenceSummary, confidence_summary
from hf_sslgen.metrics.target_inference import (
    InteractionResult,
    SignedRankResult,
    TargetMean,
    hedges_g,
    holm,
    interaction,
    probability_of_improvement,
    signed_rank_family,
    signed_rank_p_value,
    target_mean,
)
from hf_sslgen.metrics.temperature import TemperatureFit, apply_temperature, fit_temperature
from hf_sslgen.metrics.top_label import TopLabelResult, top_label
from hf_sslgen.metrics.whitening import WhitenedCosineResult, Whitening, fit_whitening, whitened_cosine

__all__ = [
    "AccuracyResult",
    "AdaptiveCalibrationResult",
    "CKAResult",
    "CalibrationResult",
    "ClasswiseCalibrationResult",
    "ConcentrationResult",
    "ConfidenceResult",
    "ConfidenceSummary",
    "ConsistencyResult",
    "DebiasedCalibrationResult",
    "Estimate",
    "GuardsResult",
    "InteractionResult",
    "Interval",
    "InvarianceResult",
    "KSCalibrationResult",
    "LocalizationResult",
    "MapSimilarityResult",
    "MetricResult",
    "ProperScoreResult",
    "ReliabilityBins",
    "ReliabilityNullBand",
    "RiskCoverageResult",
    "SignedRankResult",
    "Statistic",
    "TargetMean",
    "TemperatureFit",
    "TopKAccuracyResult",
    "TopLabelResult",
    "WhitenedCosineResult",
    "Whitening",
    "accuracy",
    "adaptive_calibration_error",
    "apply_temperature",
    "attribution_concentration",
    "attribution_localization",
    "average_statistic",
    "bootstrap_interval",
    "bootstrap_intervals",
    "brier_score",
    "classwise_calibration_error",
    "confidence_summary",
    "debiased_calibration_error",
    "debiased_linear_cka",
    "difference_statistic",
    "expected_calibration_error",
    "fit_temperature",
    "fit_whitening",
    "hedges_g",
    "holm",
    "interaction",
    "invariance",
    "invariance_statistic",
    "invariance_values",
    "ks_calibration_error",
    "map_similarity",
    "mean_per_class_statistic",
    "mean_statistic",
    "negative_log_likelihood",
    "noise_null",
    "prediction_confidence",
    "prediction_consistency",
    "probability_of_improvement",
    "reliability_bins",
    "reliability_null_band",
    "representation_guards",
    "risk_coverage",
    "signed_rank_family",
    "signed_rank_p_value",
    "target_mean",
    "top_k_accuracy",
    "top_label",
    "top_label_brier",
    "whitened_cosine",
]
