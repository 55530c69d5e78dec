"""Make a page's figures of accuracy, confidence and invariance; `page_attribution` makes those of attribution."""

import math
from collections.abc import Sequence
from dataclasses import replace

from hf_sslgen.metrics.catalogue.metric import OVERALL_FAMILY
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE
from hf_sslgen.reporting.figures.charts import accuracy_bars, invariance_by_transform
from hf_sslgen.reporting.figures.figure_card import FigureCard, image_card, svg_card
from hf_sslgen.reporting.figures.figure_style import Styles
from hf_sslgen.reporting.figures.reliability_diagrams import (
    confident_predictions,
    reliability_before_and_after,
    reliability_of_cells,
)
from hf_sslgen.reporting.figures.risk_coverage_curves import risk_coverage_of_cells
from hf_sslgen.reporting.figures.severity_curves import panels_by_severity, transforms_at_severities
from hf_sslgen.reporting.page.page_attribution import attribution_cards
from hf_sslgen.reporting.table_rows import Row, shown_accuracy, shown_in_figures
from hf_sslgen.reporting.vocabulary import format_value, setting_words, words
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.held_records import RecordsInColumns
from hf_sslgen.study.cells.record_columns import CLEAN, RecordColumns, VariantRows

PREDICTION_COLUMNS = ("confidence", "correct", f"confidence{AFTER_TEMPERATURE}")
"""What figures of confidence are drawn from."""

MAX_BARS = 12
"""Number of backbones and seeds up to which a bar chart shows all."""


def setting_cards(rows: Sequence[Row], identifier: str, styles: Styles) -> list[FigureCard]:
    """Make the figures of accuracy, confidence and attribution for one domain and setting, as far as measured."""
    first = rows[0].cell
    setting = f"{first.domain}, {setting_words(first.protocol, first.labels)}"
    drawn, left_out = shown_in_figures([row.cell for row in rows])
    note = f" {left_out}" if left_out else ""
    records = {cell.backbone: cell.columns().clean.frame() for cell in drawn}
    return [
        *_accuracy_card(rows, drawn, identifier, setting, styles, note),
        *_confidence_cards(drawn, identifier, setting, styles, note),
        *attribution_cards(drawn, records, identifier, setting, styles, note),
    ]


def _accuracy_card(
    rows: Sequence[Row], drawn: Sequence[Cell], identifier: str, setting: str, styles: Styles, note: str
) -> list[FigureCard]:
    metric = shown_accuracy(rows[0].cell)
    chosen = rows if len(rows) <= MAX_BARS else [row for row in rows if row.cell in drawn]
    accuracies = [(row, number) for row in chosen if (number := row.number(metric)) is not None]
    if not accuracies:
        return []
    values = ", ".join(f"{row.label} {format_value(n.value, metric, with_unit=True)}" for row, n in accuracies)
    return [
        svg_card(
            accuracy_bars,
            ([only_numbers(row.cell) for row in chosen], styles_of([row.cell for row in chosen], styles)),
            f"{identifier}-accuracy",
            f"{words(metric).title} on {setting}",
            f"Lines are 95% intervals over these images.{note if len(chosen) < len(rows) else ''}",
            f"Bars of {words(metric).phrase} on {setting}: {values}.",
        )
    ]


def _confidence_cards(
    drawn: Sequence[Cell], identifier: str, setting: str, styles: Styles, note: str
) -> list[FigureCard]:
    confident = [cell for cell in drawn if confident_predictions(cell) is not None]
    if not confident:
        return []
    names = ", ".join(cell.backbone for cell in confident)
    temperature = drawn[0].number("temperature")
    scaled = ""
    if len(drawn) == 1 and temperature is not None and not math.isnan(temperature.value):
        scaled = " Right: after temperature scaling, fitted on validation images."
    own, to_draw = styles_of(confident, styles), [with_predictions(cell) for cell in confident]
    drawn_cells = to_draw[0] if scaled else to_draw
    return [
        svg_card(
            reliability_before_and_after if scaled else reliability_of_cells,
            (drawn_cells, own),
            f"{identifier}-reliability",
            f"Reliability on {setting}",
            "Points above the dashed diagonal are under-confident, below it over-confident. Gray boxes show where 95% "
            f"of calibrated models with these confidences would lie, bin by bin.{scaled}{note}",
            f"Accuracy against confidence in 15 bins for {names}. The gap and the expected calibration error are in "
            "the table above.",
        ),
        svg_card(
            risk_coverage_of_cells,
            (to_draw, own),
            f"{identifier}-risk-coverage",
            f"Errors that remain when uncertain images are rejected, on {setting}",
            "The closer to the dotted line, the better confidence separates right from wrong. AURC is the area under "
            f"the curve, which depends on accuracy; its distance from the oracle’s depends on it less.{note}",
            f"Error rate against the share of most confident images for {names}. The areas are in results.csv.",
        ),
    ]


def invariance_cards(cells: Sequence[Cell], identifier: str, styles: Styles) -> list[FigureCard]:
    """Make the figures of invariance by transform on one domain, one per measured stage."""
    cards = []
    for stage in (PRETRAINED_STAGE, FINE_TUNED_STAGE):
        measured = [c for c in cells if any(n.metric == "invariance" and n.stage == stage for n in c.numbers)]
        drawn, left_out = shown_in_figures(measured)
        numbers = [(c.backbone, n) for c in drawn for n in c.numbers if n.metric == "invariance" and n.stage == stage]
        if not numbers:
            continue
        note = f" {left_out}" if left_out else ""
        means = ", ".join(
            f"{name} {format_value(number.value, 'invariance')}"
            for name, number in numbers
            if number.transform == OVERALL_FAMILY
        )
        meaning = {
            PRETRAINED_STAGE: "The published encoder, before any training on this domain.",
            FINE_TUNED_STAGE: "After fine-tuning, invariance also measures how tightly classes cluster.",
        }[stage]
        cards.append(
            svg_card(
                invariance_by_transform,
                ([only_numbers(cell) for cell in drawn], stage, styles_of(drawn, styles)),
                f"{identifier}-invariance-{stage}",
                f"Invariance by transform on {cells[0].domain}, {stage} stage",
                f"{meaning} Lines are 95% intervals over these images; 0 is chance.{note}",
                f"Chance-corrected invariance by transform and backbone; mean over all: {means or 'not stated'}.",
            )
        )
        by_backbone = {c.backbone: [n for n in c.numbers if n.stage == stage] for c in drawn}
        if transforms_at_severities(by_backbone):
            cards.append(
                image_card(
                    panels_by_severity,
                    (by_backbone, styles_of(drawn, styles)),
                    f"{identifier}-severity-{stage}",
                    f"Invariance by severity on {cells[0].domain}, {stage} stage",
                    f"Only transforms measured at several severities. {meaning} Lines are 95% intervals over these "
                    f"images; 0 is chance.{note}",
                    "Chance-corrected invariance against severity, a panel per transform, for "
                    f"{', '.join(by_backbone)}. The numbers are in the table below.",
                )
            )
    return cards


def styles_of(cells: Sequence[Cell], styles: Styles) -> Styles:
    """Return the styles of these cells' backbones alone, on which their figures depend."""
    return {cell.backbone: styles[cell.backbone] for cell in cells}


def only_numbers(cell: Cell) -> Cell:
    """Return a cell without records, for a figure of its numbers."""
    return replace(cell, reader=RecordsInColumns(RecordColumns({}, ())))


def with_predictions(cell: Cell) -> Cell:
    """Return a cell with the records of its predictions alone."""
    rows = cell.columns().clean
    columns = {name: rows[name] for name in PREDICTION_COLUMNS if name in rows}
    of_clean = VariantRows(rows.sample_ids, rows.stages, columns)
    return replace(cell, reader=RecordsInColumns(RecordColumns({CLEAN: of_clean}, tuple(columns))))
