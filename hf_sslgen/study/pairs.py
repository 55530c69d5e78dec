"""Paired comparison: the difference of one number between two backbones, everything else equal.

The interval is a paired bootstrap over the test images both cells share, so it speaks of these images only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.metrics import (
    Statistic,
    average_statistic,
    bootstrap_interval,
    difference_statistic,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
)
from hf_sslgen.study.cells import Cell

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one number; `first` is the self-supervised backbone, or any backbone against its
    untrained control."""

    metric: str
    first: str
    second: str
    domain: str
    group: str
    protocol: str
    stage: str
    transform: str
    severity: str
    seed: int
    value: float
    low: float
    high: float
    n: int
    reason: str = ""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, or `undecided` where the interval includes zero or can't be had."""
        if self.low > 0:
            return "higher"
        return "lower" if self.high < 0 else "undecided"


def _accuracy(rows: "pd.DataFrame") -> Statistic:
    return mean_statistic(rows["correct"].astype(float))


def _mean_per_class_accuracy(rows: "pd.DataFrame") -> Statistic:
    if "reference" not in rows.columns:  # few-shot episodes: every class has equally many queries
        return _accuracy(rows)
    return mean_per_class_statistic(rows["correct"].astype(bool), rows["reference"].astype(int))


def _confidence_gap(rows: "pd.DataFrame") -> Statistic:
    return mean_statistic(rows["confidence"] - rows["correct"].astype(float))


def _mean_of(column: str) -> Callable[["pd.DataFrame"], Statistic]:
    return lambda rows: mean_statistic(rows[column].astype(float))


STATISTICS: dict[str, Callable[["pd.DataFrame"], Statistic]] = {
    "accuracy": _accuracy,
    "mean_per_class_accuracy": _mean_per_class_accuracy,
    "mean_confidence": _mean_of("confidence"),
    "confidence_gap": _confidence_gap,
    "negative_log_likelihood": _mean_of("negative_log_likelihood"),
    "brier_score": _mean_of("brier_score"),
    "gini": _mean_of("gini"),
    "spatial_spread": _mean_of("spatial_spread"),
    "zero_map_rate": _mean_of("zero_map"),
}
"""Numbers compared image by image. The calibration error is not among them: its bootstrap interval does not cover."""

COLUMNS = {
    "accuracy": "correct",
    "mean_per_class_accuracy": "correct",
    "mean_confidence": "confidence",
    "confidence_gap": "confidence",
    "zero_map_rate": "zero_map",
}
"""The column of the records that a number needs, where it is not called like the number. Cells without attribution
(nearest neighbours) or without confidence (few-shot episodes) lack some."""

ON_SUBSET = ("gini", "spatial_spread", "zero_map")


def _aligned(first: "pd.DataFrame", second: "pd.DataFrame") -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The rows of the images (or few-shot episodes) both have, in the same order."""
    sample_ids = np.intersect1d(first["sample_id"], second["sample_id"])
    return first.set_index("sample_id").loc[sample_ids], second.set_index("sample_id").loc[sample_ids]


def _only_common(first: "pd.DataFrame", second: "pd.DataFrame", columns: Sequence[str]) -> None:
    """In place: a value that one of the two lacks is left out of both."""
    for column in (name for name in columns if name in first.columns and name in second.columns):
        missing = (first[column].isna() | second[column].isna()).to_numpy()
        first.loc[missing, column] = np.nan
        second.loc[missing, column] = np.nan


def _difference(
    metric: str,
    first: Cell,
    second: Cell,
    statistics: tuple[Statistic, Statistic],
    num_images: int,
    num_defined: int,
    stage: str,
    transform: str = "",
    severity: str = "",
) -> Difference:
    estimate = bootstrap_interval(difference_statistic(*statistics), num_images)
    return Difference(
        metric=metric,
        first=first.backbone,
        second=second.backbone,
        domain=first.domain,
        group=str(first.provenance["group"]),
        protocol=first.protocol,
        stage=stage,
        transform=transform,
        severity=severity,
        seed=first.seed,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=num_defined,
        reason=estimate.reason,
    )


def _clean_differences(first: Cell, second: Cell, a: "pd.DataFrame", b: "pd.DataFrame") -> list[Difference]:
    a, b = _aligned(a, b)
    _only_common(a, b, ON_SUBSET)
    stage = str(a["stage"].iloc[0])
    differences = []
    for metric, statistic in STATISTICS.items():
        column = COLUMNS.get(metric, metric)
        if column not in a.columns or column not in b.columns:
            continue
        defined = int(a[column].notna().sum())
        differences.append(_difference(metric, first, second, (statistic(a), statistic(b)), len(a), defined, stage))
    return differences


def _invariance_differences(first: Cell, second: Cell, a: "pd.DataFrame", b: "pd.DataFrame") -> list[Difference]:
    """Per variant, then family means over the variants that preserve labels and change at least two images."""
    differences = []
    members: dict[str, list[tuple[Statistic, ...]]] = {family: [] for family in FAMILIES}
    not_preserving = tuple(first.provenance["not_label_preserving"])
    num_images, stage = 0, str(a["stage"].iloc[0])
    for key, rows in a.groupby(["transform", "severity"], sort=False):
        transform, severity = (str(part) for part in key)
        others = b[(b["transform"] == transform) & (b["severity"] == severity)]
        if others.empty:
            continue
        mine, theirs = _aligned(rows, others)
        _only_common(mine, theirs, ("cosine", "chance_cosine", "recall_at_1"))
        num_images, defined = len(mine), int(mine["cosine"].notna().sum())
        moved = tuple(invariance_statistic(side["cosine"], side["chance_cosine"]) for side in (mine, theirs))
        found = tuple(mean_statistic(side["recall_at_1"]) for side in (mine, theirs))
        for metric, (ours, other) in (("invariance", moved), ("recall_at_1", found)):
            differences.append(
                _difference(metric, first, second, (ours, other), num_images, defined, stage, transform, severity)
            )
        for family in families_of(transform, defined, not_preserving):
            members[family].append((*moved, *found))
    for family, statistics in members.items():
        if not statistics:
            continue
        ours, other, our_recall, other_recall = (average_statistic(column) for column in zip(*statistics, strict=True))
        for metric, pair in (("invariance", (ours, other)), ("recall_at_1", (our_recall, other_recall))):
            differences.append(
                _difference(metric, first, second, pair, num_images, num_images, stage, transform=family)
            )
    return differences


def compare_cells(first: Cell, second: Cell) -> list[Difference]:
    """Every number both cells have, compared on the images they share.

    Args:
        first, second: cells of one domain, protocol and seed.
    """
    a, b = first.records(), second.records()
    differences = []
    if "correct" in a.columns:
        differences += _clean_differences(first, second, a[a["transform"] == ""], b[b["transform"] == ""])
    if (a["transform"] != "").any():
        differences += _invariance_differences(first, second, a[a["transform"] != ""], b[b["transform"] != ""])
    return differences


def compare_all(cells: Sequence[Cell]) -> list[Difference]:
    """Every self-supervised backbone against every supervised one, and each of both against the untrained control.

    A backbone whose objective is unknown is in no pair.
    """
    differences = []
    for first in cells:
        for second in cells:
            same = (first.domain, first.protocol, first.seed) == (second.domain, second.protocol, second.seed)
            roles = _role(first), _role(second)
            if same and roles in (("ssl", "supervised"), ("ssl", "untrained"), ("supervised", "untrained")):
                differences += compare_cells(first, second)
    return differences


def _role(cell: Cell) -> str:
    objective = str(cell.provenance["objective"])
    return objective if objective in ("supervised", "untrained", "unknown") else "ssl"
