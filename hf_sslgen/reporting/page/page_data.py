"""The data that a page carries, from which it draws its charts in the browser: plain values at full precision.

Every value is one of `results.csv`. Numbers are referred to by their position in `numbers`, cells by that in `cells`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.metric import Part
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, find_metric
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.reporting.confound_words import NOT_A_TWIN
from hf_sslgen.reporting.page.glossary_terms import term_of
from hf_sslgen.reporting.page.measurement_parts import section_of
from hf_sslgen.reporting.page.page_cost import tradeoff
from hf_sslgen.reporting.scorecard_values import Panel, Score, Scorecard
from hf_sslgen.reporting.table_rows import Column, Setting, columns_for, rows_of
from hf_sslgen.reporting.terminal_tables import differences_shown_first
from hf_sslgen.reporting.unseen import without_unseen
from hf_sslgen.reporting.vocabulary import group_words, protocol_words, scope_words, setting_words, words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

Data = dict[str, Any]


def page_data(results: StudyResults, card: Scorecard, main: Setting) -> Data:
    """Return the data of a page's charts and filters.

    Args:
        main: the setting of the verdict, whose panels are drawn first.

    Returns:
        - `numbers`: each `section`, `title`, `phrase`, `scale`, `decimals`, `unit`, `differenceUnit`, `signed`,
          `better` and `term`.
        - `panels`: a domain under a protocol and label budget, with `rows` of backbones ranked as on the scorecard:
          `scores` by number (`[value, low, high, n, runs, marks, note]`) and `cells`.
        - `cells`: each backbone, domain, setting and seed, `published` (the cell of the encoder as published), and
          `values` by number (`[value, low, high, n, reason]`).
        - `differences`: of pairs on a domain, averaged over seeds.
        - `tradeoff`: accuracy against throughput, as `page_cost.tradeoff` returns it.
    """
    position = {cell.folder.name: index for index, cell in enumerate(results.cells)}
    rows = {
        (panel.domain, panel.protocol, panel.labels): rows_of(
            results.cells, panel.domain, (panel.protocol, panel.labels)
        )
        for panel in card.panels
    }
    columns = _columns(rows.values())
    numbers = {column: index for index, column in enumerate(columns)}
    cells = [_cell(cell, card) for cell in results.cells]
    for of_panel in rows.values():
        for row in of_panel:
            described = cells[position[row.cell.folder.name]]
            found = {numbers[column]: column.of(row) for column in columns}
            described["values"] = {index: _value(number) for index, number in found.items() if number is not None}
            if row.pretrained is not None and row.pretrained is not row.cell:
                described["published"] = position[row.pretrained.folder.name]
    data = {
        "numbers": [_number(column) for column in columns],
        "panels": [
            _panel(panel, card, columns, position)
            for panel in sorted(card.panels, key=lambda panel: (panel.protocol, panel.labels) != main)
        ],
        "cells": cells,
        "differences": _differences(results, card, columns),
        "tradeoff": tradeoff(results, card.names),
    }
    return _cleaned(data)


def _columns(rows: Any) -> list[Column]:
    """Return every column that any table of measurements has, in the order of the measurements."""
    found: dict[Column, None] = {}
    for of_panel in rows:
        found |= dict.fromkeys(columns_for(of_panel))
    order = [part.value for part in Part]
    return sorted(found, key=lambda column: order.index(column.group) if column.group in order else len(order))


def _number(column: Column) -> Data:
    of_metric = words(column.metric)
    row = find_metric(column.metric)
    section = section_of(column)
    stage = ""
    if column.stage:
        stage = ", published encoder" if column.stage == PRETRAINED_STAGE else ", after fine-tuning"
    elif column.group not in [part.value for part in Part]:
        stage = ", published encoder"
    return {
        "metric": column.metric,
        "transform": column.transform,
        "section": section,
        "title": of_metric.title + stage,
        "phrase": of_metric.phrase,
        "scale": of_metric.scale,
        "decimals": of_metric.decimals,
        "unit": of_metric.unit,
        "differenceUnit": of_metric.difference_unit,
        "signed": of_metric.signed,
        "better": None if row is None else row.better,
        "term": term_of(column.metric),
        "isPublished": column.stage == PRETRAINED_STAGE or bool(stage and not column.stage),
    }


def _cell(cell: Cell, card: Scorecard) -> Data:
    return {
        "name": cell.backbone,
        "short": card.names.get(cell.backbone, cell.backbone),
        "objective": cell.objective,
        "domain": cell.domain,
        "protocol": cell.protocol,
        "labels": cell.labels,
        "setting": setting_words(cell.protocol, cell.labels),
        "seed": cell.seed,
        "pretrainingSeed": cell.pretraining_seed,
        "values": {},
    }


def _value(number: Number) -> list[Any]:
    found = [_plain(number.value), _plain(number.low), _plain(number.high), number.n]
    return [*found, number.reason] if number.reason else found


def _panel(panel: Panel, card: Scorecard, columns: Sequence[Column], position: Mapping[str, int]) -> Data:
    return {
        "domain": panel.domain,
        "group": panel.group,
        "groupWords": group_words(panel.group),
        "protocol": panel.protocol,
        "protocolWords": protocol_words(panel.protocol),
        "labels": panel.labels,
        "setting": setting_words(panel.protocol, panel.labels),
        "rows": [
            {
                "name": row.name,
                "short": row.short_name,
                "objective": row.objective,
                "isControl": row.is_control,
                "backbones": list(row.backbones),
                "scores": {
                    index: _score(score)
                    for measure, score in zip(card.measures, row.scores, strict=True)
                    if score is not None
                    for index, column in enumerate(columns)
                    if (column.metric, column.transform) == (score.metric, measure.transform)
                    and column.stage in ("", PRETRAINED_STAGE)
                    and (measure.transform or column.group == measure.part)
                },
                "cells": list(dict.fromkeys(position[name] for s in row.scores if s is not None for name in s.cells)),
            }
            for row in panel.rows
        ],
    }


def _score(score: Score) -> list[Any]:
    note = f"for {scope_words(score.scope)}" if score.scope else score.reason
    marks = [str(mark) for mark in score.marks]
    return [_plain(score.value), _plain(score.low), _plain(score.high), score.n, score.num_runs, marks, note]


def _differences(results: StudyResults, card: Scorecard, columns: Sequence[Column]) -> list[Data]:
    compared = [d for d in results.targets if d.second_objective != UNTRAINED]
    found = []
    for d in differences_shown_first(compared, headline_metrics_of(results.cells)):
        if math.isnan(d.value):
            continue
        index = _column_of(d, columns)
        if index is not None:
            found.append(_difference(d, card, index))
    return found


def _column_of(d: TargetDifference, columns: Sequence[Column]) -> int | None:
    for index, column in enumerate(columns):
        is_published = column.stage == PRETRAINED_STAGE or column.group not in [part.value for part in Part]
        if (column.metric, column.transform) != (d.metric, d.transform) or d.metric == HEADLINE_ACCURACY:
            continue
        if (is_published and not column.stage) != (d.protocol == PRETRAINED_PROTOCOL and not column.stage):
            continue
        if column.stage and column.stage != d.stage:
            continue
        return index
    return None


def _difference(d: TargetDifference, card: Scorecard, index: int) -> Data:
    claimed = d.judgement.claimed
    return {
        "number": index,
        "first": card.names.get(d.first, d.first),
        "second": card.names.get(d.second, d.second) + (NOT_A_TWIN if d.confounded_by else ""),
        "backbones": [d.first, d.second],
        "objectives": [d.first_objective, d.second_objective],
        "source": d.source,
        "domain": d.domain,
        "group": d.group,
        "protocol": d.protocol,
        "labels": d.labels,
        "setting": setting_words(d.protocol, d.labels),
        "value": _plain(d.value),
        "low": _plain(claimed.low),
        "high": _plain(claimed.high),
        "scope": scope_words(claimed.scope),
        "verdict": d.verdict,
        "n": d.n,
        "unit": d.unit,
        "runs": d.num_seeds,
        "reason": d.reason,
    }


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _cleaned(value: Any) -> Any:
    """Return plain values whose text has no invisible characters."""
    if isinstance(value, Mapping):
        return {key: _cleaned(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_cleaned(each) for each in value]
    return without_unseen(value)
