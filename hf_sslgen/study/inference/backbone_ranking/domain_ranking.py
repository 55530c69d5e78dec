"""Accuracies of many backbones on one domain, and all their paired differences."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hf_sslgen.metrics.catalogue.metric import Compared, Metric, Paired
from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.backbone_ranking.contestants import AlignedRecords, Contestant, Entry, headline_accuracy
from hf_sslgen.study.inference.number_differences import compare_number, contributions, degrees_of_freedom
from hf_sslgen.study.inference.replicates import CellPairs, Replicates
from hf_sslgen.study.inference.scopes import (
    ONE_RUN,
    WEIGHTS,
    ScopedInterval,
    run_variances,
    scoped_intervals,
    widest_scope,
)

MIN_CONTESTANTS = 2
"""One is not compared with anything."""


@dataclass(frozen=True)
class Standing:
    """A contestant's accuracy on one domain, averaged over seeds and runs, with its interval in the widest scope.

    Attributes:
        of_runs: the accuracy of each pretraining run.
    """

    contestant: Contestant
    value: float
    interval: ScopedInterval
    of_runs: tuple[float, ...]


@dataclass(frozen=True)
class PairDifference:
    """The accuracy of one contestant minus that of another on the same images, in the widest testable scope."""

    first: Contestant
    second: Contestant
    value: float
    interval: ScopedInterval


@dataclass(frozen=True)
class DomainRanking:
    """All contestants on one domain."""

    domain: str
    metric: str
    standings: tuple[Standing, ...]
    pairs: tuple[PairDifference, ...]


def rank_on_domain(entries: Sequence[Entry]) -> DomainRanking | None:
    """Compare the contestants on one domain under one protocol and label budget, if there are enough.

    Those without a defined accuracy are left out.
    """
    metric = headline_accuracy(entries) if entries else None
    if metric is None:
        return None
    entries = [e for e in entries if not any(math.isnan(_number(cell, metric)[0]) for cell in e.cells)]
    if len(entries) < MIN_CONTESTANTS:
        return None
    records = AlignedRecords.of(entries)
    return DomainRanking(
        entries[0].cells[0].domain,
        metric.name,
        tuple(_standing(entry, metric, records.pairs(entry, entry)[0]) for entry in entries),
        tuple(
            _pair(first, second, metric, *records.pairs(first, second))
            for first, second in itertools.combinations(entries, 2)
        ),
    )


def _standing(entry: Entry, metric: Metric, rows: Replicates) -> Standing:
    """The interval over images is as wide as those of the cells on average: their mean varies no more than they do."""
    of_runs = tuple(float(np.mean([_number(cell, metric)[0] for cell in run.values()])) for run in entry.runs)
    value = float(np.mean(of_runs))
    numbers = np.array([_number(cell, metric) for cell in entry.cells])
    below, above = (float(np.mean(np.abs(numbers[:, 0] - numbers[:, side]))) for side in (1, 2))
    values = [[one.values_of(metric) for one, _ in run] for run in rows.runs]
    variances = run_variances(contributions(_kind(metric), rows, values)) if values else ONE_RUN
    over_images = Interval(value - below, value + above)
    scopes = scoped_intervals(value, over_images, variances, degrees_of_freedom(rows.groups))
    return Standing(entry.contestant, value, within_shares(widest_scope(scopes)), of_runs)


def within_shares(interval: ScopedInterval) -> ScopedInterval:
    """Return the interval of an accuracy within [0, 1]."""
    return replace(interval, low=float(np.clip(interval.low, 0.0, 1.0)), high=float(np.clip(interval.high, 0.0, 1.0)))


def _number(cell: Cell, metric: Metric) -> tuple[float, float, float]:
    number = cell.number(metric.name)
    return (math.nan, math.nan, math.nan) if number is None else (number.value, number.low, number.high)


def _kind(metric: Metric) -> Paired:
    assert isinstance(metric.compared, Compared)
    return metric.compared.paired


def _pair(first: Entry, second: Entry, metric: Metric, rows: Replicates, pairs: CellPairs) -> PairDifference:
    if not rows.runs:
        a, b = (float(np.mean([_number(cell, metric)[0] for cell in entry.cells])) for entry in (first, second))
        unpaired = ScopedInterval(
            WEIGHTS, math.nan, math.nan, math.nan, math.nan, "they have no training seed or image in common"
        )
        return PairDifference(first.contestant, second.contestant, a - b, unpaired)
    estimate, variances = compare_number(metric, _kind(metric), rows, pairs)
    over_images = Interval(estimate.low, estimate.high)
    scopes = scoped_intervals(estimate.value, over_images, variances, degrees_of_freedom(rows.groups))
    if not first.contestant.are_runs or not second.contestant.are_runs:  # one of the two was not pretrained again
        scopes = scopes[:2]
    return PairDifference(first.contestant, second.contestant, estimate.value, widest_scope(scopes))
