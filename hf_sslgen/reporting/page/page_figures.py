"""Make a page's figures of accuracy, confidence and invariance; `page_attribution` makes those of attribution."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hf_sslgen.metrics.catalogue.metric import OVERALL_FAMILY
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
from hf_sslgen.reporting.figures.severity_curves import invariance_by_severity_of_numbers
from hf_sslgen.reporting.page.page_attribution import attribution_cards
from hf_sslgen.reporting.table_rows import Row, shown_accuracy, shown_in_figures
from hf_sslgen.reporting.vocabulary import format_value, setting_words, words
from hf_sslgen.study.cells.cell_folder import Cell

if TYPE_CHECKING:
    pass

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
            accuracy_bars([row.cell for row in chosen], styles),
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
        reliability = reliability_before_and_after(confident[0], styles)
    else:
        reliability = reliability_of_cells(confident, styles)
    return [
        svg_card(
            reliability,
            f"{identifier}-reliability",
            f"Reliability on {setting}",
            "Points above the dashed diagonal are under-confident, below it over-confident. Gray boxes show where 95% "
            f"of calibrated models with these confidences would lie, bin by bin.{scaled}{note}",
            f"Accuracy against confidence in 15 bins for {names}. The gap and the expected calibration error are in "
            "the table above.",
        ),
        svg_card(
            risk_coverage_of_cells(confident, styles),
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
                invariance_by_transform(drawn, stage, styles),
                f"{identifier}-invariance-{stage}",
                f"Invariance by transform on {cells[0].domain}, {stage} stage",
                f"{meaning} Lines are 95% intervals over these images; 0 is chance.{note}",
                f"Chance-corrected invariance by transform and backbone; mean over all: {means or 'not stated'}.",
            )
        )
        by_backbone = {c.backbone: [n for n in c.numbers if n.stage == stage] for c in drawn}
        by_severity = invariance_by_severity_of_numbers(by_backbone, styles)
        if by_severity is not None:
            cards.append(
                image_card(
                    by_severity,
                    f"{identifier}-severity-{stage}",
                    f"Invariance by severity on {cells[0].domain}, {stage} stage",
                    f"Only transforms measured at several severities. {meaning} Lines are 95% intervals over these "
                    f"images; 0 is chance.{note}",
                    "Chance-corrected invariance against severity, a panel per transform, for "
                    f"{', '.join(by_backbone)}. The numbers are in the table below.",
                )
            )
    return cards
