"""Pure functions from arrays to numbers: one definition per number, on NumPy and SciPy alone.

Every function takes arrays, lists or torch tensors, works in float64, and returns a frozen result with per-sample
values where it has them, so that two models can be compared image by image.
"""

from hf_sslgen.metrics.accuracy import AccuracyResult, accuracy
from hf_sslgen.metrics.calibration import (
    CalibrationResult,
    ConfidenceResult,
    ProperScoreResult,
    ReliabilityNullBand,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    prediction_confidence,
    reliability_null_band,
)
from hf_sslgen.metrics.comparison import (
    Estimate,
    Statistic,
    average_statistic,
    bootstrap_interval,
    bootstrap_intervals,
    difference_statistic,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
)
from hf_sslgen.metrics.concentration import ConcentrationResult, attribution_concentration
from hf_sslgen.metrics.invariance import GuardsResult, InvarianceResult, invariance, representation_guards
from hf_sslgen.metrics.results import MetricResult
from hf_sslgen.metrics.targets import (
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

__all__ = [
    "AccuracyResult",
    "CalibrationResult",
    "ConcentrationResult",
    "ConfidenceResult",
    "Estimate",
    "GuardsResult",
    "InteractionResult",
    "InvarianceResult",
    "MetricResult",
    "ProperScoreResult",
    "ReliabilityNullBand",
    "SignedRankResult",
    "Statistic",
    "TargetMean",
    "accuracy",
    "attribution_concentration",
    "average_statistic",
    "bootstrap_interval",
    "bootstrap_intervals",
    "brier_score",
    "difference_statistic",
    "expected_calibration_error",
    "hedges_g",
    "holm",
    "interaction",
    "invariance",
    "invariance_statistic",
    "mean_per_class_statistic",
    "mean_statistic",
    "negative_log_likelihood",
    "prediction_confidence",
    "probability_of_improvement",
    "reliability_null_band",
    "representation_guards",
    "signed_rank_family",
    "signed_rank_p_value",
    "target_mean",
]
