"""Paired differences: one number of one backbone minus that of another, everything else equal.

The interval is a paired bootstrap over the test images all cells involved share, so it speaks of these images only.
Several pairs of cells, such as one per fine-tuning seed, are averaged within each resample of the images.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.metrics import (
    MIN_CLASS_SIZE,
    Estimate,
    Statistic,
    average_statistic,
    bootstrap_intervals,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
    smallest_class,
)
from hf_sslgen.study.cells import ALL_LABELS, Cell
from hf_sslgen.study.replicates import Replicates

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one number; `first` is the self-supervised backbone, or any backbone against its
    untrained control.

    `pretraining_seed` is None unless it is known for both; an untrained control has none of its own. `n` counts
    `unit`: test images, or few-shot episodes.
    """

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
    labels: str = ALL_LABELS
    first_objective: str = "unknown"
    second_objective: str = "unknown"
    source: str = ""
    pretraining_seed: int | None = None
    unit: str = "images"

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, or `undecided` where the interval includes zero or can't be had."""
        return verdict_of(self.low, self.high)


def verdict_of(low: float, high: float) -> str:
    """What an interval of a difference decides: `higher`, `lower`, or `undecided`."""
    if low > 0:
        return "higher"
    return "lower" if high < 0 else "undecided"


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


OF_MAPS = (
    *("gini", "spatial_spread", "lift", "mass_accuracy", "pointing_game"),
    *("effective_area", "participation_ratio", "top_10_percent_mass", "area_at_80_percent_mass", "entropy"),
)
"""Numbers, and columns, of attribution maps: undefined for an image whose map is all-zero."""

STATISTICS: dict[str, tuple[tuple[str, ...], Callable[["pd.DataFrame"], Statistic]]] = {
    "accuracy": (("correct",), _accuracy),
    "mean_per_class_accuracy": (("correct",), _mean_per_class_accuracy),
    "mean_confidence": (("confidence",), _mean_of("confidence")),
    "confidence_gap": (("confidence", "correct"), _confidence_gap),
    "negative_log_likelihood": (("negative_log_likelihood",), _mean_of("negative_log_likelihood")),
    "brier_score": (("brier_score",), _mean_of("brier_score")),
    **{column: ((column,), _mean_of(column)) for column in OF_MAPS},
    "zero_map_rate": (("zero_map",), _mean_of("zero_map")),
}
"""Numbers compared image by image: the columns of the records each needs, and its statistic.

The calibration error is not among them: its bootstrap interval does not cover.
"""

MIN_DISCORDANT_IMAGES = 10
"""Where fewer images are right for one backbone and wrong for the other, the bootstrap of what follows from right and
wrong covers 69 to 91% instead of 95% (docs/estimators.md), so there is no interval."""

FROM_CORRECTNESS = (
    "accuracy",
    "mean_per_class_accuracy",
    "mean_confidence",
    "confidence_gap",
    "negative_log_likelihood",
    "brier_score",
)

ON_SUBSET = (*OF_MAPS, "zero_map")
INVARIANCE_COLUMNS = ("cosine", "chance_cosine", "candidate_chance_cosine", "recall_at_1")


@dataclass(frozen=True)
class _Compared:
    """A number about to be compared; `statistic` is the difference, averaged over the pairs.

    `no_interval` says why its interval would not be valid, where it would not.
    """

    metric: str
    statistic: Statistic
    num_images: int
    num_defined: int
    stage: str
    transform: str = ""
    severity: str = ""
    unit: str = "images"
    no_interval: str = ""


def compare_cells(first: Cell, second: Cell) -> list[Difference]:
    """Every number both cells have, compared on the images they share.

    Args:
        first, second: cells of one domain, protocol, label budget and seed.
    """
    return compare_averaged([[(first, second)]])


def compare_averaged(runs: Sequence[Sequence[tuple[Cell, Cell]]]) -> list[Difference]:
    """Each number's difference on the images all cells share, averaged within runs and then over them.

    Args:
        runs: for each pretraining run a pair of cells per fine-tuning seed, all of one domain, protocol and label
            budget. The differences bear the names and seeds of the very first pair.
    """
    records = [[(first.records(), second.records()) for first, second in run] for run in runs]
    clean = Replicates([[(a[a["transform"] == ""], b[b["transform"] == ""]) for a, b in run] for run in records])
    moved = Replicates([[(a[a["transform"] != ""], b[b["transform"] != ""]) for a, b in run] for run in records])
    compared = _clean_numbers(clean) + _invariance_numbers(
        moved, tuple(runs[0][0][0].provenance["not_label_preserving"])
    )
    return _differences(runs[0][0], compared)


def _differences(pair: tuple[Cell, Cell], compared: Sequence[_Compared]) -> list[Difference]:
    first, second = pair
    estimates: dict[int, Estimate] = {}
    for num_images in dict.fromkeys(number.num_images for number in compared):
        # Numbers of equally many images share one drawing of resamples, which costs more than the statistics.
        together = [index for index, number in enumerate(compared) if number.num_images == num_images]
        intervals = bootstrap_intervals([compared[index].statistic for index in together], num_images)
        estimates |= dict(zip(together, intervals, strict=True))
    estimates |= {
        index: replace(estimates[index], low=math.nan, high=math.nan, reason=number.no_interval)
        for index, number in enumerate(compared)
        if number.no_interval and not math.isnan(estimates[index].value)
    }
    seeds_known = first.pretraining_seed is not None and (
        second.pretraining_seed is not None or second.objective == "untrained"
    )
    return [
        Difference(
            metric=number.metric,
            first=first.backbone,
            second=second.backbone,
            domain=first.domain,
            group=first.group,
            protocol=first.protocol,
            stage=number.stage,
            transform=number.transform,
            severity=number.severity,
            seed=first.seed,
            value=estimates[index].value,
            low=estimates[index].low,
            high=estimates[index].high,
            n=number.num_defined,
            reason=estimates[index].reason,
            labels=first.labels,
            first_objective=first.objective,
            second_objective=second.objective,
            source=first.source,
            pretraining_seed=first.pretraining_seed if seeds_known else None,
            unit=number.unit,
        )
        for index, number in enumerate(compared)
    ]


def _clean_numbers(replicates: Replicates) -> list[_Compared]:
    """The numbers of untransformed images whose columns all cells have: not every protocol measures all."""
    rows = replicates.aligned(ON_SUBSET)
    if not rows.num_images:
        return []
    stage = str(rows.sides[0]["stage"].iloc[0])
    unit = "images" if rows.have(["reference"]) else "episodes"  # an episode has no true class, but an accuracy
    return [
        _Compared(
            metric,
            rows.difference(statistic),
            rows.num_images,
            rows.num_defined(columns[0]),
            stage,
            unit=unit,
            no_interval=_why_no_interval(metric, rows) if unit == "images" else "",
        )
        for metric, (columns, statistic) in STATISTICS.items()
        if rows.have(columns)
    ]


def _why_no_interval(metric: str, rows: Replicates) -> str:
    if metric in FROM_CORRECTNESS or metric == "pointing_game":
        apart = rows.num_discordant if metric in FROM_CORRECTNESS else _num_hit_apart(rows)
        if apart < MIN_DISCORDANT_IMAGES:
            return f"only {apart} images tell the two apart; an interval needs {MIN_DISCORDANT_IMAGES}"
    if metric == "mean_per_class_accuracy":
        smallest = smallest_class(rows.sides[0]["reference"].astype(int))
        if smallest < MIN_CLASS_SIZE:
            return f"a class has only {smallest} images; an interval needs {MIN_CLASS_SIZE}"
    return ""


def _num_hit_apart(rows: Replicates) -> int:
    """Images on which, over all pairs, the maps of one side point at the object more often than those of the other."""
    apart = sum(
        a["pointing_game"].to_numpy(float) - b["pointing_game"].to_numpy(float) for run in rows.runs for a, b in run
    )
    return int(np.count_nonzero(np.nan_to_num(apart)))


def _invariance_numbers(replicates: Replicates, not_preserving: tuple[str, ...]) -> list[_Compared]:
    """Per variant, then family means over the variants that preserve labels and change at least two images."""
    compared: list[_Compared] = []
    members: dict[str, list[tuple[Statistic, Statistic]]] = {family: [] for family in FAMILIES}
    num_images, stage = 0, ""
    for transform, severity in (
        replicates.sides[0][["transform", "severity"]].drop_duplicates().itertuples(index=False)
    ):
        rows = replicates.of_variant(transform, severity).aligned(INVARIANCE_COLUMNS)
        if not rows.num_images or not rows.have(INVARIANCE_COLUMNS):  # cells of earlier definitions lack some
            continue
        stage = str(rows.sides[0]["stage"].iloc[0])
        num_images, defined = rows.num_images, rows.num_defined("cosine")
        moved = rows.difference(
            lambda side: invariance_statistic(
                side["cosine"],
                side["chance_cosine"],
                side["candidate_chance_cosine"],
                side["reference"] if side["stage"].iloc[0] == "fine-tuned" else None,
            )
        )
        found = rows.difference(lambda side: mean_statistic(side["recall_at_1"]))
        for metric, statistic in (("invariance", moved), ("recall_at_1", found)):
            compared.append(_Compared(metric, statistic, num_images, defined, stage, str(transform), str(severity)))
        for family in families_of(str(transform), defined, not_preserving):
            members[family].append((moved, found))
    for family, statistics in members.items():
        if statistics:
            for metric, parts in zip(("invariance", "recall_at_1"), zip(*statistics, strict=True), strict=True):
                average = average_statistic(parts)
                compared.append(_Compared(metric, average, num_images, num_images, stage, family))
    return compared
