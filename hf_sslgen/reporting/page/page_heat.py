"""Lay out heat maps: the self-supervised backbone minus its supervised twin, on every domain."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.reporting.confound_words import NOT_A_TWIN
from hf_sslgen.reporting.page.fitting import fitted_interval, fitted_value
from hf_sslgen.reporting.scorecard_values import Measure, Scorecard
from hf_sslgen.reporting.table_rows import domains_of
from hf_sslgen.reporting.vocabulary import MINUS, MISSING, scope_words, setting_words, words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.judgement import UNDECIDED
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

STEPS = 4
"""Shades on each side of zero."""


@dataclass(frozen=True)
class HeatCell:
    """A difference; `shade` is from -STEPS to STEPS, None where there is none."""

    text: str
    value: str | None
    shade: int | None
    is_decided: bool
    note: str


@dataclass(frozen=True)
class HeatRow:
    """A contrast under one setting."""

    title: str
    setting: str
    protocol: str
    labels: str
    cells: list[HeatCell]


@dataclass(frozen=True)
class HeatMap:
    """One number's differences; `groups` are (title, number of domains)."""

    title: str
    unit: str
    better: str
    groups: list[tuple[str, int]]
    domains: list[str]
    rows: list[HeatRow]


def heat_maps(results: StudyResults, card: Scorecard) -> list[HeatMap]:
    """Return a map for each measurement that is compared with a supervised twin; none for a single domain."""
    domains = domains_of(results.cells)
    if len(domains) < 2:
        return []
    maps = (_map(results, measure, domains, card.names) for measure in card.measures)
    return [each for each in maps if each.rows]


def _map(results: StudyResults, measure: Measure, domains: list[str], names: dict[str, str]) -> HeatMap:
    kinds = headline_metrics_of(results.cells)
    found: dict[tuple[str, str, str, str, str], dict[str, TargetDifference]] = {}
    for d in results.targets:
        metric = kinds.get(d.domain, "accuracy") if measure.metric == HEADLINE_ACCURACY else measure.metric
        is_measure = (d.metric, d.transform, d.severity) == (metric, measure.transform, "")
        if not is_measure or d.second_objective == UNTRAINED or math.isnan(d.value):
            continue
        if measure.transform and d.protocol != PRETRAINED_PROTOCOL:
            continue  # the encoder as published, in one row
        found.setdefault((d.first, d.second, d.source, d.protocol, d.labels), {})[d.domain] = d
    largest = _largest([abs(d.value) for of_row in found.values() for d in of_row.values()])
    several = len({(protocol, labels) for *_, protocol, labels in found}) > 1
    rows = [
        HeatRow(
            f"{names.get(first, first)} {MINUS} {names.get(second, second)}{_twin_note(of_row.values())}",
            setting_words(protocol, labels) if several else "",
            protocol,
            labels,
            [_cell(of_row.get(domain), largest) for domain in domains],
        )
        for (first, second, _, protocol, labels), of_row in found.items()
    ]
    groups: dict[str, int] = {}
    group_of = {cell.domain: cell.group for cell in results.cells}
    for domain in domains:
        groups[group_of[domain]] = groups.get(group_of[domain], 0) + 1
    unit = words(measure.metric).difference_unit.strip()
    better = {"higher": "blue: the first is better", "lower": "orange: the first is better"}
    return HeatMap(
        measure.title,
        unit,
        better.get(measure.better or "", "no better direction"),
        list(groups.items()),
        domains,
        rows,
    )


def _twin_note(of_row: Iterable[TargetDifference]) -> str:
    return NOT_A_TWIN if any(d.confounded_by for d in of_row) else ""


def _largest(sizes: list[float]) -> float:
    """Return the size with the deepest shade, so that one extreme domain does not make all others pale."""
    ordered = sorted(sizes)
    return (ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))] if ordered else 0.0) or 1.0


def _cell(d: TargetDifference | None, largest: float) -> HeatCell:
    if d is None:
        return HeatCell(MISSING, None, None, False, "not compared")
    claimed = d.judgement.claimed
    most = 1 if d.verdict == UNDECIDED else STEPS  # what could be luck stays pale
    shade = max(-most, min(most, round(STEPS * d.value / largest)))
    interval = fitted_interval(claimed.low, claimed.high, d.metric, signed=True)
    spoken = f"95% interval {interval}" if interval else f"no interval: {d.reason}"
    note = f"{d.verdict}; {spoken}; for {scope_words(claimed.scope)}; n = {d.n:,} {d.unit}"
    text = fitted_value(d.value, claimed.low, claimed.high, d.metric, signed=True)
    return HeatCell(text, repr(float(d.value)), shade, d.verdict != UNDECIDED, note)
