"""Prepare the tables of a page as plain values, so that the template only has to insert them.

Every displayed number keeps its stored value at full precision beside the rounded text.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.rows import detail_names, transform_names
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.reporting.confound_words import NOT_A_TWIN
from hf_sslgen.reporting.page.fitting import fitted_interval, fitted_value
from hf_sslgen.reporting.page.glossary_terms import term_of
from hf_sslgen.reporting.page.spoken import Bounded
from hf_sslgen.reporting.table_rows import Row, columns_for
from hf_sslgen.reporting.vocabulary import (
    MISSING,
    format_decimals,
    format_parameters,
    format_seconds,
    setting_words,
    transform_words,
    words,
)
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.confounds import NOT_RECORDED, NOT_STATED
from hf_sslgen.study.inference.differences import Difference
from hf_sslgen.study.inference.known_backbones import known_backbones
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class Entry:
    """A displayed number: `value` is the stored number as text at full precision, or None if there is none."""

    text: str
    value: str | None = None
    interval: str = ""
    note: str = ""


def measurement_table(rows: Sequence[Row], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the table of the four measurements: `groups`, `columns`, `rows`, and `missing` numbers with reasons.

    Args:
        names: short names of backbones.
    """
    columns = columns_for(rows)
    groups: list[dict[str, Any]] = []
    for column in columns:
        if groups and groups[-1]["name"] == column.group:
            groups[-1]["span"] += 1
        else:
            groups.append({"name": column.group, "span": 1})
    return {
        "groups": groups,
        "columns": [{"title": _title(column.metric), "term": term_of(column.metric)} for column in columns],
        "rows": [
            {
                "label": short_label(row, names),
                "name": row.cell.backbone,
                "objective": row.objective,
                "entries": [_entry(column.of(row)) for column in columns],
            }
            for row in rows
        ],
        "missing": _missing(((row, column.of(row)) for row in rows for column in columns), names),
    }


def short_label(row: Row, names: Mapping[str, str]) -> str:
    """Return the label of a row with the short name of its backbone."""
    return names.get(row.cell.backbone, row.cell.backbone) + row.label.removeprefix(row.cell.backbone)


def detail_rows(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the further numbers that any row has: a row per number, with an entry for each of `rows`."""
    return [
        {
            "title": _title(metric),
            "term": term_of(metric),
            "entries": [_entry(row.number(metric)) for row in rows],
        }
        for metric in detail_names()
        if any(row.number(metric) is not None for row in rows)
    ]


def details_missing(rows: Sequence[Row], names: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return the undefined further numbers with their reasons."""
    return _missing(((row, row.number(metric)) for row in rows for metric in detail_names()), names)


def _missing(numbers: Iterable[tuple[Row, Number | None]], names: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Return undefined numbers by row and reason: both in words, and the titles of the numbers."""
    found: dict[tuple[str, str], list[str]] = {}
    for row, number in numbers:
        if number is not None and math.isnan(number.value):
            key = (short_label(row, names), number.reason or "no reason stored")
            found.setdefault(key, []).append(words(number.metric).title)
    return [(f"{label}: {reason}", titles) for (label, reason), titles in found.items()]


def _title(metric: str) -> str:
    unit = words(metric).unit.strip()
    return f"{words(metric).title} ({unit})" if unit else words(metric).title


def _entry(number: Number | None) -> Entry:
    if number is None:
        return Entry(MISSING)
    if math.isnan(number.value):
        return Entry(MISSING, note=number.reason)
    bounds = number.low, number.high
    text = fitted_value(number.value, *bounds, number.metric)
    note = "" if not math.isnan(number.low) else number.reason
    return Entry(text, repr(float(number.value)), fitted_interval(*bounds, number.metric), note)


def _transform_metrics(cells: Sequence[Cell]) -> list[str]:
    """Return the transform metrics that any cell has."""
    found = {n.metric for cell in cells for n in cell.numbers if n.transform}
    return [metric for metric in transform_names() if metric in found]


def transform_titles(cells: Sequence[Cell]) -> list[str]:
    """Return the column titles of `transform_rows`."""
    return [_title(metric) for metric in _transform_metrics(cells)]


def transform_rows(cells: Sequence[Cell], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return invariance by transform: a row per cell, stage, transform and severity."""
    rows = []
    metrics = _transform_metrics(cells)
    for cell in cells:
        keys = dict.fromkeys((n.stage, n.transform, n.severity) for n in cell.numbers if n.transform)
        for stage, transform, severity in keys:
            entries = [
                _entry(next((n for n in cell.numbers if (n.metric, n.stage, n.transform, n.severity) == key), None))
                for key in ((metric, stage, transform, severity) for metric in metrics)
            ]
            short = names.get(cell.backbone, cell.backbone)
            label = f"{short} (seed {cell.seed})" if stage == FINE_TUNED_STAGE else short
            rows.append(
                {"label": label, "stage": stage, "transform": transform_words(transform, severity), "entries": entries}
            )
    return rows


def difference_row(difference: Difference, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of a paired difference, `first` minus `second`."""
    name = words(difference.metric).title
    if difference.transform:
        name += f", {transform_words(difference.transform, difference.severity)}"
    setting = setting_words(difference.protocol, difference.labels)
    if difference.protocol != PRETRAINED_PROTOCOL:
        setting += f", seed {difference.seed}"
    return {
        "first": names.get(difference.first, difference.first),
        "second": names.get(difference.second, difference.second) + _twin_note(difference),
        "setting": setting,
        "name": name,
        "entry": difference_entry(difference, difference.metric, difference.reason),
        "verdict": difference.verdict,
    }


def _twin_note(difference: Difference) -> str:
    is_control = difference.second_objective == UNTRAINED
    return NOT_A_TWIN if difference.confounded_by and not is_control else ""


def difference_entry(estimate: Bounded, metric: str, reason: str = "") -> Entry:
    """Return the entry of a difference at any level with its interval; `reason` explains a missing value."""
    if math.isnan(estimate.value):
        return Entry(MISSING, note=reason)
    bounds = estimate.low, estimate.high
    return Entry(
        fitted_value(estimate.value, *bounds, metric, signed=True) + words(metric).difference_unit,
        repr(float(estimate.value)),
        fitted_interval(*bounds, metric, signed=True),
        reason,
    )


def spread_entry(spread: float, metric: str) -> Entry:
    """Return the entry of a standard deviation, in the units of its number."""
    if math.isnan(spread):
        return Entry(MISSING)
    return Entry(format_decimals(spread * words(metric).scale, words(metric).decimals), repr(float(spread)))


def backbone_rows(cells: Iterable[Cell], names: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a row per backbone: its names, origin, architecture, licence and size."""
    cells = list(cells)
    known = known_backbones(cells)
    rows = {
        cell.backbone: {
            "short": names.get(cell.backbone, cell.backbone),
            "backbone": cell.backbone,
            "objective": cell.objective,
            "source": cell.source or "not stated",
            "architecture": known[cell.backbone].architecture or NOT_RECORDED,
            "image_size": str(known[cell.backbone].image_size or NOT_RECORDED),
            "epochs": str(known[cell.backbone].epochs or NOT_STATED),
            "parameters": format_parameters(cell.provenance.get("parameters")),
            "parameters_sort": _sort_key(cell.provenance.get("parameters")),
            "licence": str(cell.provenance.get("licence") or "not stated"),
        }
        for cell in cells
    }
    return list(rows.values())


def provenance_rows(cells: Iterable[Cell]) -> list[dict[str, str]]:
    """Return a row per cell: its identity and cost."""
    return [
        {
            "backbone": cell.backbone,
            "domain": cell.domain,
            "protocol": setting_words(cell.protocol, cell.labels),
            "seed": str(cell.seed),
            "pretraining_seed": "" if cell.pretraining_seed is None else str(cell.pretraining_seed),
            "seconds": format_seconds(cell.provenance.get("seconds")),
            "seconds_sort": _sort_key(cell.provenance.get("seconds")),
            "cell": cell.folder.name,
        }
        for cell in cells
    ]


def _sort_key(value: float | None) -> str:
    return "" if value is None else repr(value)
