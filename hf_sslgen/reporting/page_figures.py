"""The figures of a page, each with the text that stands in for it where it can't be seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup
from matplotlib.figure import Figure

from hf_sslgen.reporting.figure_style import Styles, figure_data_uri, figure_svg
from hf_sslgen.reporting.figures import (
    accuracy_bars,
    attribution_overlays,
    invariance_by_transform,
    reliability_diagrams,
)
from hf_sslgen.reporting.reliability import clean_records
from hf_sslgen.reporting.rows import Row, headline_metric, shown_in_figures
from hf_sslgen.reporting.vocabulary import (
    OVERALL_FAMILY,
    SOURCE_STAGE,
    TUNED_STAGE,
    format_value,
    setting_words,
    words,
)
from hf_sslgen.study.cells import Cell

if TYPE_CHECKING:
    import pandas as pd

CSS_PIXELS_PER_INCH = 96
OVERLAY_DPI = 110
MAX_OVERLAYS = 4
"""Example images of a domain and setting: a study of many domains stays a page that opens at once."""

MAX_BARS = 12
"""Backbones and seeds that a chart of bars shows all of."""


@dataclass(frozen=True)
class FigureCard:
    """A figure with its caption and text alternative; either `svg` markup or an `image` data address is set.

    `width` is its natural width in CSS pixels: on a narrow screen it scrolls rather than shrinks to nothing.
    """

    identifier: str
    title: str
    caption: str
    alt: str
    width: int
    svg: Markup | None = None
    image: str = ""


def setting_cards(rows: Sequence[Row], identifier: str, styles: Styles) -> list[FigureCard]:
    """Accuracy, reliability and overlays of one domain and setting, each only where it was measured."""
    first = rows[0].cell
    setting = f"{first.domain}, {setting_words(first.protocol, first.labels)}"
    drawn, left_out = shown_in_figures([row.cell for row in rows])
    note = f" {left_out}" if left_out else ""
    records = {cell.backbone: cell.records() for cell in drawn}
    return [
        *_accuracy_card(rows, drawn, identifier, setting, styles, note),
        *_reliability_card(records, identifier, setting, styles, note),
        *_overlay_card(drawn, records, identifier, setting, note),
    ]


def _accuracy_card(
    rows: Sequence[Row], drawn: Sequence[Cell], identifier: str, setting: str, styles: Styles, note: str
) -> list[FigureCard]:
    metric = headline_metric(rows[0].cell)
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


def _reliability_card(
    records: Mapping[str, "pd.DataFrame"], identifier: str, setting: str, styles: Styles, note: str
) -> list[FigureCard]:
    confident = {name: table for name, table in records.items() if len(clean_records(table))}
    if not confident:
        return []
    return [
        svg_card(
            reliability_diagrams(confident, styles=styles),
            f"{identifier}-reliability",
            f"Reliability on {setting}",
            "Points above the dashed diagonal are under-confident, below it over-confident. Gray boxes: where 95% "
            f"of calibrated models with these confidences would lie, bin by bin.{note}",
            "Accuracy against confidence in 15 bins for " + ", ".join(confident) + ". The gap and the expected "
            "calibration error are in the table above.",
        )
    ]


def _overlay_card(
    drawn: Sequence[Cell], records: Mapping[str, "pd.DataFrame"], identifier: str, setting: str, note: str
) -> list[FigureCard]:
    examples = {cell.backbone: found for cell in drawn if (found := cell.examples()) is not None}
    if not examples:
        return []
    class_names = drawn[0].provenance.get("class_names") or ()
    figure = attribution_overlays(examples, class_names, records, MAX_OVERLAYS)
    return [
        FigureCard(
            identifier=f"{identifier}-overlays",
            title=f"Attribution on {setting}",
            caption="The same images under each backbone. Positive evidence for the predicted class, each map divided "
            "by its own maximum and enlarged for display only. Examples illustrate and prove nothing; the numbers are "
            f"in the table.{note}",
            alt="The same images with the attribution map of each backbone over them: " + ", ".join(examples) + ".",
            width=_pixels(figure),
            image=figure_data_uri(figure, OVERLAY_DPI),
        )
    ]


def invariance_cards(cells: Sequence[Cell], identifier: str, styles: Styles) -> list[FigureCard]:
    """Invariance by transform on one domain, a figure per stage that was measured."""
    cards = []
    for stage in (SOURCE_STAGE, TUNED_STAGE):
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
            SOURCE_STAGE: "The published encoder, before any training on this domain.",
            TUNED_STAGE: "After fine-tuning, this also measures how tightly classes cluster.",
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
    return cards


def svg_card(figure: Figure, identifier: str, title: str, caption: str, alt: str) -> FigureCard:
    """A figure as vector graphics."""
    # Markup is safe here: names are drawn as outlines, so none of them occurs in the SVG.
    return FigureCard(identifier, title, caption, alt, _pixels(figure), svg=Markup(figure_svg(figure, identifier)))


def _pixels(figure: Figure) -> int:
    return round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
