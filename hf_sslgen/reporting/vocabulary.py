"""How each number, group and protocol is called in tables, figures and sentences, and how its value is written."""

import math
from dataclasses import dataclass, replace

from hf_sslgen.analysis.families import PAIR
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, PRETRAINED_PROTOCOL

MISSING = "–"
MINUS = "\u2212"
REAL_PAIRS_WORDS = "real pairs (another picture)"

AFTER_TEMPERATURE = "_after_temperature"
"""Suffix of the names of numbers computed after temperature scaling."""

OVERALL_FAMILY = "mean"
FAMILIES = {
    "mean": "mean over all transforms",
    "mean_geometric": "mean over geometric transforms",
    "mean_appearance": "mean over appearance transforms",
}


@dataclass(frozen=True)
class MetricWords:
    """How a metric is spoken of.

    Attributes:
        title: column header.
        phrase: the metric within a sentence, before "of <backbone>".
        scale: what stored values are multiplied by for display (100 for shares).
        decimals: digits after the point for display.
        unit: written after a value; `difference_unit` after a difference.
        signed: whether a plus sign is written before positive values.
    """

    title: str
    phrase: str
    scale: float = 1.0
    decimals: int = 3
    unit: str = ""
    difference_unit: str = ""
    signed: bool = False


def _share(title: str, phrase: str) -> MetricWords:
    return MetricWords(title, phrase, 100.0, 1, "%", " points")


def _points(title: str, phrase: str, decimals: int = 1, signed: bool = False) -> MetricWords:
    return MetricWords(title, phrase, 100.0, decimals, " pt", " points", signed)


RANDOMISED_PARTS = {
    "head": "head",
    "last_quarter": "last quarter of the blocks",
    "last_half": "last half of the blocks",
    "last_three_quarters": "last three quarters of the blocks",
    "all": "all weights",
}
"""Parts of a network whose weights are drawn afresh, in words."""

METRICS = {
    "headline_accuracy": _share("Accuracy", "accuracy"),
    "accuracy": _share("Accuracy", "accuracy"),
    "mean_per_class_accuracy": _share("Mean per-class accuracy", "mean per-class accuracy"),
    "top_5_accuracy": _share("Top-5 accuracy", "top-5 accuracy"),
    "mean_confidence": _share("Mean confidence", "mean confidence"),
    "mean_confidence_correct": _share("Mean confidence where right", "mean confidence on correct predictions"),
    "mean_confidence_incorrect": _share("Mean confidence where wrong", "mean confidence on incorrect predictions"),
    "confidence_gap": _points("Confidence gap", "confidence gap (mean confidence minus accuracy)", signed=True),
    "auroc": MetricWords("AUROC of confidence", "AUROC of confidence for correctness"),
    "aurc": MetricWords("AURC", "area under the risk-coverage curve", 100.0, 2, "%", " points"),
    "excess_aurc": _points("Excess AURC", "area between the risk-coverage curve and the oracle’s", 2),
    "expected_calibration_error": _points("ECE", "expected calibration error"),
    "ece_if_calibrated": _points("ECE if calibrated", "expected calibration error of a perfectly calibrated model"),
    "l2_calibration_error": _points("ECE, root mean square", "root-mean-square calibration error"),
    "maximum_calibration_error": _points("ECE, largest bin", "largest calibration error of a bin"),
    "adaptive_calibration_error": _points("Adaptive ECE", "calibration error over bins of equal size"),
    "debiased_squared_calibration_error": MetricWords(
        "Debiased squared calibration error", "debiased squared calibration error", decimals=4, signed=True
    ),
    "ks_calibration_error": _points("KS calibration error", "Kolmogorov-Smirnov calibration error"),
    "negative_log_likelihood": MetricWords("NLL", "negative log-likelihood", unit=" nats", difference_unit=" nats"),
    "brier_score": MetricWords("Brier score", "Brier score"),
    "top_label_brier": MetricWords("Top-label Brier score", "Brier score of the confidence alone"),
    "gini": MetricWords("Gini", "Gini coefficient of the attribution maps"),
    "spatial_spread": MetricWords("Spatial spread", "spatial spread of the attribution maps"),
    "effective_area": _share("Effective area", "effective area of the attribution maps"),
    "participation_ratio": _share("Participation ratio", "participation ratio of the attribution maps"),
    "top_10_percent_mass": _share("Mass in the top 10%", "attribution in the strongest tenth of the map"),
    "area_at_80_percent_mass": _share("Area of 80% of the mass", "share of the map that holds 80% of the attribution"),
    "entropy": MetricWords("Entropy", "entropy of the attribution maps", unit=" nats", difference_unit=" nats"),
    "zero_map_rate": _share("Maps without positive evidence", "share of attribution maps without positive evidence"),
    "lift": MetricWords("Lift on the object", "lift (attribution on the object over its area share)", decimals=2),
    "mass_accuracy": _share("Mass on the object", "share of attribution on the object"),
    "pointing_game": _share("Pointing game", "share of maps whose maximum lies on the object"),
    "area_share": _share("Area of the object", "share of the image that the object takes"),
    "lift_over_control": MetricWords(
        "Lift over the re-initialised control",
        "lift minus that of the same network re-initialised",
        decimals=2,
        signed=True,
    ),
    **{
        f"{name}_{part}": MetricWords(f"{title}, {drawn} re-initialised", f"{phrase} with {drawn} re-initialised")
        for name, title, phrase in (
            ("map_rank_correlation", "Rank correlation of maps", "rank correlation of the maps with those"),
            ("map_structural_similarity", "SSIM of maps", "structural similarity of the maps to those"),
        )
        for part, drawn in RANDOMISED_PARTS.items()
    },
    "invariance": MetricWords("Invariance", "chance-corrected invariance"),
    "cosine": MetricWords("Raw cosine", "raw cosine similarity"),
    "chance_cosine": MetricWords("Chance cosine", "chance cosine similarity"),
    "recall_at_1": _share("Recall@1", "recall@1"),
    "distance_invariance": MetricWords("Distance invariance", "chance-corrected invariance of distances"),
    "rank_auc": MetricWords("Rank AUC", "rank AUC of retrieval"),
    "linear_cka": MetricWords("Linear CKA", "debiased linear CKA", signed=True),
    "prediction_consistency": _share("Same prediction", "share of images whose prediction stays"),
    "kappa": MetricWords("Cohen’s kappa", "Cohen’s kappa of the predictions", signed=True),
    "covariance_effective_rank": MetricWords(
        "Effective rank of the covariance", "effective rank of the features’ covariance", decimals=1
    ),
    "rankme": MetricWords("RankMe", "RankMe of the features", decimals=1),
    "dead_dimension_share": _share("Dead dimensions", "share of dead feature dimensions"),
    "temperature": MetricWords("Temperature", "temperature fitted on validation images", decimals=2),
}

CONTROL = "control_"
"""Begins the names of numbers of the same network with its weights drawn afresh."""

GROUPS = {
    "similar": "similar to the source",
    "different": "significantly different from the source",
    "unstated": "likeness to the source not stated",
}

PROTOCOLS = {
    PRETRAINED_PROTOCOL: "encoder as published",
    "linear": "linear probe",
    "finetune": "fine-tuning",
    "ssl-transfer": "fine-tuning (SSL-Transfer)",
    "ssl-transfer-linear": "linear probe (SSL-Transfer)",
    "vtab-1k": "fine-tuning (VTAB-1k)",
    "dino-knn": "nearest neighbours (DINO)",
    "few-shot": "few-shot prototypes",
    "full": "fine-tuning (full)",
}
"""Protocols in words; one that is not named here, such as a variant, is called by its own name."""


def words(metric: str) -> MetricWords:
    """How a metric is called; one that is not known here is called by its own name.

    A number after temperature scaling or of the re-initialised control is called after the number it is a variant of.
    """
    if metric in METRICS:
        return METRICS[metric]
    if metric.endswith(AFTER_TEMPERATURE):
        return _qualified(metric.removesuffix(AFTER_TEMPERATURE), "after temperature scaling")
    if metric.startswith(CONTROL):
        return _qualified(metric.removeprefix(CONTROL), "of the re-initialised control")
    return MetricWords(metric.replace("_", " "), metric.replace("_", " "))


def _qualified(metric: str, qualifier: str) -> MetricWords:
    base = words(metric)
    return replace(base, title=f"{base.title} {qualifier}", phrase=f"{base.phrase} {qualifier}")


def group_words(group: str) -> str:
    return GROUPS.get(group, group)


def protocol_words(protocol: str) -> str:
    return PROTOCOLS.get(protocol, protocol)


def labels_words(labels: str) -> str:
    """A label budget in words, such as `10% of the labels` or `5-shot`."""
    return f"{labels} of the labels" if labels.endswith("%") else labels


def setting_words(protocol: str, labels: str = ALL_LABELS) -> str:
    """A protocol in words, with its label budget where that is not everything."""
    return protocol_words(protocol) if labels == ALL_LABELS else f"{protocol_words(protocol)}, {labels_words(labels)}"


def transform_words(transform: str, severity: str = "") -> str:
    """A transform's name in words, with its severity where it has one."""
    name = REAL_PAIRS_WORDS if transform == PAIR else FAMILIES.get(transform, transform.replace("_", " "))
    return f"{name} {severity}".strip()


SEVERITIES = {
    "rotation": "angle (degrees)",
    "translation": "shift (share of the side)",
    "scale": "factor",
    "shear": "angle (degrees)",
    "resized_crop": "area kept (share)",
    "elastic": "root-mean-square displacement (px of 224)",
    "brightness": "factor",
    "contrast": "factor",
    "saturation": "factor",
    "hue": "turn (share of the circle)",
    "gaussian_blur": "standard deviation (px of 224)",
    "sharpness": "factor",
    "posterize": "bits kept",
    "solarize": "threshold (white is 1)",
    "jpeg": "quality (1 to 100)",
    "gaussian_noise": "standard deviation (white is 1)",
}
"""What the severity of a transform is, with its unit."""


def severity_words(transform: str) -> str:
    """What the severity of a transform is, with its unit; of one that is not known here just that."""
    return SEVERITIES.get(transform, "severity")


def format_decimals(value: float, decimals: int, signed: bool = False) -> str:
    """A number with a true minus sign; a dash where it is NaN. What rounds to zero has no sign."""
    if math.isnan(value):
        return MISSING
    text = f"{abs(value):,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def format_value(value: float, metric: str, with_unit: bool = False) -> str:
    """A stored value as it is shown: scaled, rounded, and a dash where it is NaN."""
    metric_words = words(metric)
    text = format_decimals(value * metric_words.scale, metric_words.decimals, metric_words.signed)
    return text + metric_words.unit if with_unit and text != MISSING else text


def format_difference(value: float, metric: str, with_unit: bool = False) -> str:
    """A difference as it is shown: scaled, rounded, signed, and a dash where it is NaN."""
    metric_words = words(metric)
    text = format_decimals(value * metric_words.scale, metric_words.decimals, signed=True)
    return text + metric_words.difference_unit if with_unit and text != MISSING else text


def format_difference_interval(low: float, high: float, metric: str) -> str:
    """`[low, high]` of a difference, or an empty string where there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{format_difference(low, metric)}, {format_difference(high, metric)}]"


def format_interval(low: float, high: float, metric: str) -> str:
    """`[low, high]` as shown, or an empty string for a number without an interval."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{format_value(low, metric)}, {format_value(high, metric)}]"


def format_seconds(seconds: float | None) -> str:
    """A duration such as `45 s`, `12 min` or `3.4 h`."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def format_parameters(parameters: int | None) -> str:
    """A parameter count such as `23.5M`."""
    if parameters is None:
        return MISSING
    if parameters < 1_000_000:
        return f"{parameters / 1e3:.1f}k"
    return f"{parameters / 1e6:.1f}M"
