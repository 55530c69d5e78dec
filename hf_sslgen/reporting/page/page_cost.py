"""Prepare what a page says of costs: a table of backbones, and accuracy against throughput."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_sslgen.metrics.rank_statistics import pareto_front
from hf_sslgen.reporting.cost_table import CostRow, cost_notes, cost_rows
from hf_sslgen.reporting.page.page_ranking import place_words, rankings_shown_first
from hf_sslgen.reporting.page.page_tables import Entry
from hf_sslgen.reporting.vocabulary import MISSING, setting_words
from hf_sslgen.study.inference.leads import trained_of
from hf_sslgen.study.inference.study_results import StudyResults


@dataclass(frozen=True)
class CostSection:
    """The table of costs as plain values, with notes below it; `has_chart` if accuracy can be drawn against time."""

    rows: list[dict[str, Any]]
    notes: list[str]
    has_chart: bool


def cost_section(results: StudyResults, names: Mapping[str, str]) -> CostSection | None:
    """Return the section, or None if no cost was measured.

    Args:
        names: short names of backbones.
    """
    rows = cost_rows(results, names)
    if not results.costs:
        return None
    return CostSection(
        [_row(row) for row in rows],
        cost_notes([row.cost for row in rows if row.cost is not None]),
        tradeoff(results, names) is not None,
    )


def _row(row: CostRow) -> dict[str, Any]:
    known = row.known
    found = {
        "name": row.short_name,
        "parameters": _entry(known.parameters, row.parameters),
        "image_size": _entry(known.image_size, str(known.image_size or MISSING)),
    }
    if row.cost is None:
        return found | dict.fromkeys(("multiply_adds", "throughput", "memory", "file_size"), Entry(MISSING))
    forward = row.cost.forward
    return found | {
        "multiply_adds": _entry(forward.multiply_adds, row.multiply_adds),
        "throughput": _entry(forward.images_per_second, row.throughput, row.throughput_range),
        "memory": _entry(forward.peak_memory, row.memory),
        "file_size": _entry(row.cost.file_bytes or None, row.file_size),
    }


def _entry(value: float | None, text: str, below: str = "") -> Entry:
    return Entry(text) if value is None else Entry(text, repr(value), below)


def tradeoff(results: StudyResults, names: Mapping[str, str]) -> dict[str, Any] | None:
    """Return accuracy and throughput of each trained backbone in the ranking shown first: `title`, and `points` with
    `name`, `accuracy` (%, with `low` and `high`), `throughput` and `isOnFront`; None for fewer than two.

    The front is that of the two numbers alone, as measured.
    """
    for ranking in rankings_shown_first(results.rankings)[:1]:
        shown = [each for each in trained_of(ranking) if not math.isnan(each.tradeoffs.images_per_second)]
        if len(shown) < 2:
            return None
        values = np.array([(each.value, each.tradeoffs.images_per_second) for each in shown])
        points = [
            {
                "name": names.get(each.contestant.name, each.contestant.name),
                "accuracy": 100 * each.value,
                "low": None if math.isnan(each.interval.low) else 100 * each.interval.low,
                "high": None if math.isnan(each.interval.high) else 100 * each.interval.high,
                "throughput": each.tradeoffs.images_per_second,
                "isOnFront": bool(is_on),
            }
            for each, is_on in zip(shown, pareto_front(values), strict=True)
        ]
        return {
            "title": f"{setting_words(ranking.protocol, ranking.labels)}, {place_words(ranking)}",
            "points": points,
        }
    return None
