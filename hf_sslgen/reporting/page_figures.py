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
    concentration_of_records,
    invariance_by_severity_of_numbers,
    invariance_by_transform,
    reliability_diagrams,
    risk_coverage_of_records,
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
    import numpy as np
    import pandas as pd

CSS_PIXELS_PER_INCH = 96
IMAGE_DPI = 110
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
    """Accuracy, confidence and attribution of one domain and setting, each only where it was measured."""
    first = rows[0].cell
    setting = f"{first.domain}, {setting_words(first.protocol, first.labels)}"
    drawn, left_out = shown_in_figures([row.cell for row in rows])
    note = f" {left_out}" if left_out else ""
    records = {cell.backbone: cell.records() for cell in drawn}
    examples = {cell.backbone: found for cell in drawn if (found := cell.examples()) is not None}
    class_names = first.provenance.get("class_names") or ()
    return [
        *_accuracy_card(rows, drawn, identifier, setting, styles, note),
        *_confidence_cards(records, identifier, setting, styles, note),
        *(_attribution_cards(examples, records, class_names, identifier, setting, styles, note) if examples else ()),
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


def _confidence_cards(
    records: Mapping[str, "pd.DataFrame"], identifier: str, setting: str, styles: Styles, note: str
) -> list[FigureCard]:
    confident = {name: table for name, table in records.items() if len(clean_records(table))}
    if not confident:
        return []
    names = ", ".join(confident)
    return [
        svg_card(
            reliability_diagrams(confident, styles=styles),
            f"{identifier}-reliability",
            f"Reliability on {setting}",
            "Points above the dashed diagonal are under-confident, below it over-confident. Gray boxes: where 95% "
            f"of calibrated models with these confidences would lie, bin by bin.{note}",
            f"Accuracy against confidence in 15 bins for {names}. The gap and the expected calibration error are in "
            "the table above.",
        ),
        svg_card(
            risk_coverage_of_records(confident, styles),
            f"{identifier}-risk-coverage",
            f"Errors left when unsure images are declined, on {setting}",
            "The nearer to dotted, the better confidence tells right from wrong. AURC is the area under the curve; "
            f"accuracy weighs in it, but not in its distance from the oracle’s.{note}",
            f"Error rate against the share of most confident images for {names}. The areas are in results.csv.",
        ),
    ]


def _attribution_cards(
    examples: Mapping[str, dict[str, "np.ndarray"]],
    records: Mapping[str, "pd.DataFrame"],
    class_names: Sequence[str],
    identifier: str,
    setting: str,
    styles: Styles,
    note: str,
) -> list[FigureCard]:
    names = ", ".join(examples)
    grids = {name: found["maps"].shape[1:] for name, found in examples.items()}
    overlays = attribution_overlays(examples, class_names, records, MAX_OVERLAYS)
    return [
        svg_card(
            concentration_of_records({name: records[name] for name in examples}, grids, styles),
            f"{identifier}-concentration",
            f"Concentration of attribution on {setting}",
            "Gray: maps of noise, which have the Gini coefficient of a concentrated map but spread over all of it. "
            f"Each height is relative to its own peak. No place is better than another.{note}",
            f"Distribution over images of Gini coefficient and spatial spread for {names}, beside maps of noise. The "
            "means are in the table above.",
        ),
        image_card(
            overlays,
            f"{identifier}-overlays",
            f"Attribution on {setting}",
            "The same images under each backbone. Positive evidence for the predicted class, each map divided "
            "by its own maximum and enlarged for display only. Examples illustrate and prove nothing; the numbers are "
            f"in the table.{note}",
            f"The same images with the attribution map of each backbone over them: {names}.",
        ),
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
        by_backbone = {c.backbone: [n for n in c.numbers if n.stage == stage] for c in drawn}
        by_severity = invariance_by_severity_of_numbers(by_backbone, styles)
        if by_severity is not None:
            cards.append(
                image_card(
                    by_severity,
                    f"{identifier}-severity-{stage}",
                    f"Invariance by severity on {cells[0].domain}, {stage} stage",
                    f"The transforms that were measured at several severities. {meaning} Lines are 95% intervals over "
                    f"these images; 0 is chance.{note}",
                    "Chance-corrected invariance against severity, a panel per transform, for "
                    f"{', '.join(by_backbone)}. The numbers are in the table below.",
                )
            )
    return cards


def svg_card(figure: Figure, identifier: str, title: str, caption: str, alt: str) -> FigureCard:
    """A figure as vector graphics."""
    # Markup is safe here: names are drawn as outlines, so none of them occurs in the SVG.
    return FigureCard(identifier, title, caption, alt, _pixels(figure), svg=Markup(figure_svg(figure, identifier)))


def image_card(figure: Figure, identifier: str, title: str, caption: str, alt: str) -> FigureCard:
    """A figure as pixels, for those that would be several times as large as vector graphics."""
    return FigureCard(identifier, title, caption, alt, _pixels(figure), image=figure_data_uri(figure, IMAGE_DPI))


def _pixels(figure: Figure) -> int:
    return round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
