"""Paired differences: one number of one backbone minus that of another, everything else equal.

The interval is a paired bootstrap over the test images all cells involved share, so it speaks of these images only.
Several pairs of cells, such as one per fine-tuning seed, are averaged within each resample of the images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.metrics import (
    Statistic,
    average_statistic,
    bootstrap_intervals,
    difference_statistic,
    invariance_statistic,
    mean_per_class_statistic,
    mean_statistic,
)
from hf_sslgen.study.cells import ALL_LABELS, Cell

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one number; `first` is the self-supervised backbone, or any backbone against its
    untrained control.

    `pretraining_seed` is None unless it is known for both; an untrained control has none of its own.
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
    return mean_per_class_statistic(rows["correct"].astype(bool), rows["reference"].astype(int))


def _confidence_gap(rows: "pd.DataFrame") -> Statistic:
    return mean_statistic(rows["confidence"] - rows["correct"].astype(float))


def _mean_of(column: str) -> Callable[["pd.DataFrame"], Statistic]:
    return lambda rows: mean_statistic(rows[column].astype(float))


STATISTICS: dict[str, tuple[tuple[str, ...], Callable[["pd.DataFrame"], Statistic]]] = {
    "accuracy": (("correct",), _accuracy),
    "mean_per_class_accuracy": (("correct", "reference"), _mean_per_class_accuracy),
    "mean_confidence": (("confidence",), _mean_of("confidence")),
    "confidence_gap": (("confidence", "correct"), _confidence_gap),
    "negative_log_likelihood": (("negative_log_likelihood",), _mean_of("negative_log_likelihood")),
    "brier_score": (("brier_score",), _mean_of("brier_score")),
    "gini": (("gini",), _mean_of("gini")),
    "spatial_spread": (("spatial_spread",), _mean_of("spatial_spread")),
    "zero_map_rate": (("zero_map",), _mean_of("zero_map")),
}
"""Numbers compared image by image: the columns of the records each needs, and its statistic.

The calibration error is not among them: its bootstrap interval does not cover.
"""

ON_SUBSET = ("gini", "spatial_spread", "zero_map")
INVARIANCE_COLUMNS = ("cosine", "chance_cosine", "recall_at_1")

Records = tuple["pd.DataFrame", "pd.DataFrame"]


@dataclass(frozen=True)
class _Compared:
    """A number about to be compared; `statistic` is the difference, averaged over the pairs."""

    metric: str
    statistic: Statistic
    num_images: int
    num_defined: int
    stage: str
    transform: str = ""
    severity: str = ""


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
    clean = _Replicates([[(a[a["transform"] == ""], b[b["transform"] == ""]) for a, b in run] for run in records])
    moved = _Replicates([[(a[a["transform"] != ""], b[b["transform"] != ""]) for a, b in run] for run in records])
    compared = _clean_numbers(clean) + _invariance_numbers(
        moved, tuple(runs[0][0][0].provenance["not_label_preserving"])
    )
    return _differences(runs[0][0], compared)


def _differences(pair: tuple[Cell, Cell], compared: Sequence[_Compared]) -> list[Difference]:
    first, second = pair
    estimates = {}
    for num_images in dict.fromkeys(number.num_images for number in compared):
        # Numbers of equally many images share one drawing of resamples, which costs more than the statistics.
        together = [index for index, number in enumerate(compared) if number.num_images == num_images]
        intervals = bootstrap_intervals([compared[index].statistic for index in together], num_images)
        estimates |= dict(zip(together, intervals, strict=True))
    seeds_known = first.pretraining_seed is not None and (
        second.pretraining_seed is not None or second.objective == "untrained"
    )
    return [
        Difference(
            metric=number.metric,
            first=first.backbone,
            second=second.backbone,
            domain=first.domain,
            group=str(first.provenance["group"]),
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
        )
        for index, number in enumerate(compared)
    ]


@dataclass(frozen=True, eq=False)
class _Replicates:
    """Records of both sides of every pair, by run."""

    runs: Sequence[Sequence[Records]]

    @property
    def sides(self) -> list["pd.DataFrame"]:
        return [side for run in self.runs for pair in run for side in pair]

    @property
    def num_images(self) -> int:
        return len(self.sides[0])

    def have(self, columns: Sequence[str]) -> bool:
        return all(column in side.columns for side in self.sides for column in columns)

    def num_defined(self, column: str) -> int:
        return min(int(side[column].notna().sum()) for side in self.sides)

    def of_variant(self, transform: str, severity: str) -> "_Replicates":
        def rows(side: "pd.DataFrame") -> "pd.DataFrame":
            return side[(side["transform"] == transform) & (side["severity"] == severity)]

        return _Replicates([[(rows(a), rows(b)) for a, b in run] for run in self.runs])

    def aligned(self, optional: Sequence[str]) -> "_Replicates":
        """The rows of the images all have, in one order; a value of the `optional` columns that one side of a pair
        lacks is left out of both."""
        shared = reduce(np.intersect1d, [side["sample_id"].to_numpy() for side in self.sides])

        def paired(a: "pd.DataFrame", b: "pd.DataFrame") -> Records:
            first, second = (side.set_index("sample_id").loc[shared] for side in (a, b))
            for column in optional:
                if column in first.columns and column in second.columns:
                    missing = (first[column].isna() | second[column].isna()).to_numpy()
                    first.loc[missing, column] = np.nan
                    second.loc[missing, column] = np.nan
            return first, second

        return _Replicates([[paired(a, b) for a, b in run] for run in self.runs])

    def difference(self, statistic: Callable[["pd.DataFrame"], Statistic]) -> Statistic:
        return average_statistic(
            [
                average_statistic([difference_statistic(statistic(a), statistic(b)) for a, b in run])
                for run in self.runs
            ]
        )


def _clean_numbers(replicates: _Replicates) -> list[_Compared]:
    """The numbers of untransformed images whose columns all cells have: not every protocol measures all."""
    rows = replicates.aligned(ON_SUBSET)
    if not rows.num_images:
        return []
    stage = str(rows.sides[0]["stage"].iloc[0])
    return [
        _Compared(metric, rows.difference(statistic), rows.num_images, rows.num_defined(columns[0]), stage)
        for metric, (columns, statistic) in STATISTICS.items()
        if rows.have(columns)
    ]


def _invariance_numbers(replicates: _Replicates, not_preserving: tuple[str, ...]) -> list[_Compared]:
    """Per variant, then family means over the variants that preserve labels and change at least two images."""
    compared: list[_Compared] = []
    members: dict[str, list[tuple[Statistic, Statistic]]] = {family: [] for family in FAMILIES}
    num_images, stage = 0, ""
    for transform, severity in (
        replicates.sides[0][["transform", "severity"]].drop_duplicates().itertuples(index=False)
    ):
        rows = replicates.of_variant(transform, severity).aligned(INVARIANCE_COLUMNS)
        if not rows.num_images:
            continue
        stage = str(rows.sides[0]["stage"].iloc[0])
        num_images, defined = rows.num_images, rows.num_defined("cosine")
        moved = rows.difference(lambda side: invariance_statistic(side["cosine"], side["chance_cosine"]))
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
