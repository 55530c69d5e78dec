"""Paired differences: one number of one backbone minus that of another, everything else equal.

The interval is over the test images all cells involved share, so it speaks of these images only. Several pairs of
cells, such as one per fine-tuning seed, are averaged image by image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.metrics import Estimate, invariance_values
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, Cell
from hf_sslgen.study.inference import paired
from hf_sslgen.study.inference.replicates import Replicates, Values
from hf_sslgen.zoo.backbone_registry import UNTRAINED

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


def _confidence_gap(rows: "pd.DataFrame") -> NDArray[np.float64]:
    return (rows["confidence"] - rows["correct"]).to_numpy(float)


def _column(name: str) -> Values:
    return lambda rows: rows[name].to_numpy(float)


OF_MAPS = (
    *("gini", "spatial_spread", "lift", "mass_accuracy", "pointing_game"),
    *("effective_area", "participation_ratio", "top_10_percent_mass", "area_at_80_percent_mass", "entropy"),
)
"""Numbers, and columns, of attribution maps: undefined for an image whose map is all-zero."""

COMPARED: dict[str, tuple[tuple[str, ...], Values]] = {
    "accuracy": (("correct",), _column("correct")),
    "mean_per_class_accuracy": (("correct",), _column("correct")),
    "mean_confidence": (("confidence",), _column("confidence")),
    "confidence_gap": (("confidence", "correct"), _confidence_gap),
    "negative_log_likelihood": (("negative_log_likelihood", "correct"), _column("negative_log_likelihood")),
    "brier_score": (("brier_score", "correct"), _column("brier_score")),
    **{column: ((column,), _column(column)) for column in OF_MAPS},
    "zero_map_rate": (("zero_map",), _column("zero_map")),
}
"""Numbers compared image by image: the columns of the records each needs, and the values whose mean it is.

The calibration error is not among them: no interval of it covers.
"""

FROM_OUTCOMES = ("confidence_gap", "negative_log_likelihood", "brier_score")
SHARES = ("accuracy", "zero_map_rate", "pointing_game")

ON_SUBSET = (*OF_MAPS, "zero_map")
INVARIANCE_COLUMNS = ("cosine", "chance_cosine", "candidate_chance_cosine", "recall_at_1")


@dataclass(frozen=True)
class _Compared:
    """A number that was compared, averaged over the pairs."""

    metric: str
    estimate: Estimate
    num_defined: int
    stage: str
    transform: str = ""
    severity: str = ""
    unit: str = "images"


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
    seeds_known = first.pretraining_seed is not None and (
        second.pretraining_seed is not None or second.objective == UNTRAINED
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
            value=number.estimate.value,
            low=number.estimate.low,
            high=number.estimate.high,
            n=number.num_defined,
            reason=number.estimate.reason,
            labels=first.labels,
            first_objective=first.objective,
            second_objective=second.objective,
            source=first.source,
            pretraining_seed=first.pretraining_seed if seeds_known else None,
            unit=number.unit,
        )
        for number in compared
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
            _estimate(metric, rows, rows.differences(values), unit),
            rows.num_defined(columns[0]),
            stage,
            unit=unit,
        )
        for metric, (columns, values) in COMPARED.items()
        if rows.have(columns)
    ]


def _estimate(metric: str, rows: Replicates, differences: paired.Runs, unit: str) -> Estimate:
    """The difference with the interval of numbers of its kind."""
    if unit == "episodes":  # whose accuracies are shares themselves; every class has equally many queries
        return paired.mean_difference(differences, unit)
    if metric == "mean_per_class_accuracy":
        return paired.per_class_difference(differences, rows.sides[0]["reference"].to_numpy(np.int64))
    if metric in SHARES:
        return paired.share_difference(differences)
    if metric in FROM_OUTCOMES:
        right = np.all([side["correct"].to_numpy(bool) for side in rows.sides], axis=0)
        return paired.outcome_difference(differences, ~right)
    if metric == "mean_confidence":
        least = np.min([side["confidence"].to_numpy(float) for side in rows.sides], axis=0)
        return paired.confidence_difference(differences, least)
    return paired.mean_difference(differences)


def _invariance(side: "pd.DataFrame") -> NDArray[np.float64]:
    return invariance_values(
        side["cosine"],
        side["chance_cosine"],
        side["candidate_chance_cosine"],
        side["reference"] if side["stage"].iloc[0] == FINE_TUNED_STAGE else None,
    )


INVARIANCES: tuple[tuple[str, Values, Callable[[paired.Runs], Estimate]], ...] = (
    ("invariance", _invariance, paired.mean_difference),
    ("recall_at_1", _column("recall_at_1"), paired.share_difference),
)


def _invariance_numbers(replicates: Replicates, not_preserving: tuple[str, ...]) -> list[_Compared]:
    """Per variant, then family means over the variants that preserve labels and change at least two images."""
    compared: list[_Compared] = []
    members: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
    stage = ""
    for transform, severity in (
        replicates.sides[0][["transform", "severity"]].drop_duplicates().itertuples(index=False)
    ):
        rows = replicates.of_variant(transform, severity).aligned(INVARIANCE_COLUMNS)
        if not rows.num_images or not rows.have(INVARIANCE_COLUMNS):  # cells of earlier definitions lack some
            continue
        stage = str(rows.sides[0]["stage"].iloc[0])
        defined = rows.num_defined("cosine")
        for metric, values, estimate in INVARIANCES:
            differences = rows.differences(values)
            named = metric, estimate(differences), defined, stage, str(transform), str(severity)
            compared.append(_Compared(*named))
            for family in families_of(str(transform), defined, not_preserving):
                members.setdefault((family, metric), []).append(paired.per_image(differences))
    for family in FAMILIES:
        for metric, _, estimate in INVARIANCES:
            if (family, metric) in members:
                average = np.mean(members[family, metric], axis=0)
                compared.append(_Compared(metric, estimate([[average]]), len(average), stage, family))
    return compared
