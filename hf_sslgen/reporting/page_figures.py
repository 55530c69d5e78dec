"""The figures of a page, each with the text that stands in for it where it can't be seen."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from hf_sslgen.reporting.figure_style import Styles, figure_png, figure_svg, png_data_uri
from hf_sslgen.reporting.figures import (
    accuracy_bars,
    attribution_overlays,
    invariance_by_transform,
    reliability_diagrams,
)
from hf_sslgen.reporting.reliability import clean_records
from hf_sslgen.reporting.rows import Row, headline_metric
from hf_sslgen.reporting.vocabulary import (
    OVERALL_FAMILY,
    SOURCE_STAGE,
    TUNED_STAGE,
    format_value,
    protocol_words,
    words,
)
from hf_sslgen.study.cells import Cell

CSS_PIXELS_PER_INCH = 96
OVERLAY_DPI = 120


@dataclass(frozen=True)
class FigureCard:
    """A figure with its caption and text alternative; either `svg` markup or a `png` data address is set.

    `width` is its natural width in CSS pixels: on a narrow screen it scrolls rather than shrinks to nothing.
    """

    identifier: str
    title: str
    caption: str
    alt: str
    width: int
    svg: Markup | None = None
    png: str = ""


def protocol_cards(rows: Sequence[Row], identifier: str, styles: Styles) -> list[FigureCard]:
    """Accuracy, reliability and overlays of one domain and protocol, each only where it was measured."""
    cards = []
    first = rows[0].cell
    metric = headline_metric(first)
    setting = f"{first.domain}, {protocol_words(first.protocol)}"
    accuracies = [(row, number) for row in rows if (number := row.number(metric)) is not None]
    if accuracies:
        values = ", ".join(f"{row.label} {format_value(n.value, metric, with_unit=True)}" for row, n in accuracies)
        cards.append(
            _svg_card(
                accuracy_bars([row.cell for row in rows], styles),
                f"{identifier}-accuracy",
                f"{words(metric).title} on {setting}",
                "Lines are 95% intervals over these images.",
                f"Bars of {words(metric).phrase} on {setting}: {values}.",
            )
        )
    lowest_seed = [row for row in rows if row.cell.seed == min(r.cell.seed for r in rows)]
    several = " Of several seeds the lowest is shown." if len(lowest_seed) < len(rows) else ""
    records = {row.cell.backbone: row.cell.records() for row in lowest_seed}
    confident = {name: table for name, table in records.items() if len(clean_records(table))}
    if confident:
        cards.append(
            _svg_card(
                reliability_diagrams(confident, styles=styles),
                f"{identifier}-reliability",
                f"Reliability on {setting}",
                "Points above the dashed diagonal are under-confident, below it over-confident. Gray boxes: where 95% "
                f"of calibrated models with these confidences would lie, bin by bin.{several}",
                "Accuracy against confidence in 15 bins for " + ", ".join(confident) + ". The gap and the expected "
                "calibration error are in the table above.",
            )
        )
    examples = {row.cell.backbone: found for row in lowest_seed if (found := row.cell.examples()) is not None}
    if examples:
        figure = attribution_overlays(examples, first.provenance.get("class_names") or (), records)
        cards.append(
            FigureCard(
                identifier=f"{identifier}-overlays",
                title=f"Attribution on {setting}",
                caption="Positive evidence for the predicted class, each map divided by its own maximum and enlarged "
                f"for display only. Examples illustrate and prove nothing; the numbers are in the table.{several}",
                alt="The same images with the attribution map of each backbone over them: "
                + ", ".join(examples)
                + ".",
                width=_pixels(figure),
                png=png_data_uri(figure_png(figure, OVERLAY_DPI)),
            )
        )
    return cards


def invariance_cards(cells: Sequence[Cell], identifier: str, styles: Styles) -> list[FigureCard]:
    """Invariance by transform on one domain, a figure per stage that was measured."""
    cards = []
    for stage in (SOURCE_STAGE, TUNED_STAGE):
        numbers = [(c.backbone, n) for c in cells for n in c.numbers if n.metric == "invariance" and n.stage == stage]
        if not numbers:
            continue
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
            _svg_card(
                invariance_by_transform(cells, stage, styles),
                f"{identifier}-invariance-{stage}",
                f"Invariance by transform on {cells[0].domain}, {stage} stage",
                f"{meaning} Lines are 95% intervals over these images; 0 is chance.",
                f"Chance-corrected invariance by transform and backbone; mean over all: {means or 'not stated'}.",
            )
        )
    return cards


def _svg_card(figure: Figure, identifier: str, title: str, caption: str, alt: str) -> FigureCard:
    # Markup is safe here: names are drawn as outlines, so none of them occurs in the SVG.
    return FigureCard(identifier, title, caption, alt, _pixels(figure), svg=Markup(figure_svg(figure, identifier)))


def _pixels(figure: Figure) -> int:
    return round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
