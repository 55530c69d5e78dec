"""Names of numbers, groups and protocols in tables, figures and sentences, and the format of their values."""

import math

from hf_sslgen.analysis.families import PAIR
from hf_sslgen.metrics.catalogue.metric import OVERALL_FAMILY, MetricWords
from hf_sslgen.metrics.catalogue.rows import find_metric
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS

MISSING = "–"
MINUS = "\u2212"
REAL_PAIRS_WORDS = "real pairs (another picture)"

FAMILIES = {
    OVERALL_FAMILY: "mean over all transforms",
    "mean_geometric": "mean over geometric transforms",
    "mean_appearance": "mean over appearance transforms",
}

GROUPS = {
    "similar": "similar to the source",
    "different": "significantly different from the source",
    "unstated": "similarity to the source not stated",
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
"""Protocols in words; others, such as variants, keep their own name."""


def words(metric: str) -> MetricWords:
    """Return the words for a metric; a metric missing from the catalogue keeps its own name."""
    found = find_metric(metric)
    return MetricWords(metric.replace("_", " "), metric.replace("_", " ")) if found is None else found.words


SCOPES = {
    WEIGHTS: "these weights",
    TRAINING: "these backbones trained again",
    PRETRAINING: "these objectives pretrained again",
}


def scope_words(scope: str) -> str:
    """Return what an interval of this scope applies to."""
    return SCOPES[scope]


def group_words(group: str) -> str:
    return GROUPS.get(group, group)


def protocol_words(protocol: str) -> str:
    return PROTOCOLS.get(protocol, protocol)


def labels_words(labels: str) -> str:
    """Return a label budget in words, such as `10% of the labels` or `5-shot`."""
    return f"{labels} of the labels" if labels.endswith("%") else labels


def setting_words(protocol: str, labels: str = ALL_LABELS) -> str:
    """Return a protocol in words, with its label budget unless that is all labels."""
    return protocol_words(protocol) if labels == ALL_LABELS else f"{protocol_words(protocol)}, {labels_words(labels)}"


def transform_words(transform: str, severity: str = "") -> str:
    """Return a transform's name in words, with its severity if it has one."""
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
"""The quantity that the severity of each transform measures, with its unit."""


def severity_words(transform: str) -> str:
    """Return the quantity that a transform's severity measures, with its unit; `severity` for an unknown transform."""
    return SEVERITIES.get(transform, "severity")


def format_decimals(value: float, decimals: int, signed: bool = False) -> str:
    """Format a number with a true minus sign, or a dash for NaN; values that round to zero have no sign."""
    if math.isnan(value):
        return MISSING
    text = f"{abs(value):,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        return text
    return f"{MINUS if value < 0 else '+' if signed else ''}{text}"


def format_value(value: float, metric: str, with_unit: bool = False) -> str:
    """Format a stored value for display: scaled and rounded, or a dash for NaN."""
    metric_words = words(metric)
    text = format_decimals(value * metric_words.scale, metric_words.decimals, metric_words.signed)
    return text + metric_words.unit if with_unit and text != MISSING else text


def format_difference(value: float, metric: str, with_unit: bool = False) -> str:
    """Format a difference for display: scaled, rounded and signed, or a dash for NaN."""
    metric_words = words(metric)
    text = format_decimals(value * metric_words.scale, metric_words.decimals, signed=True)
    return text + metric_words.difference_unit if with_unit and text != MISSING else text


def format_difference_interval(low: float, high: float, metric: str) -> str:
    """Format the interval of a difference as `[low, high]`, or as an empty string if it has none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{format_difference(low, metric)}, {format_difference(high, metric)}]"


def format_interval(low: float, high: float, metric: str) -> str:
    """Format the interval of a number as `[low, high]`, or as an empty string if it has none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{format_value(low, metric)}, {format_value(high, metric)}]"


def format_seconds(seconds: float | None) -> str:
    """Format a duration, such as `45 s`, `12 min` or `3.4 h`."""
    if seconds is None or math.isnan(seconds):
        return MISSING
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def format_parameters(parameters: int | None) -> str:
    """Format a parameter count, such as `23.5M`."""
    if parameters is None:
        return MISSING
    if parameters < 1_000_000:
        return f"{parameters / 1e3:.1f}k"
    return f"{parameters / 1e6:.1f}M"
