"""The figures of a study for files: what is drawn for each domain and setting, and for groups of domains."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from hf_sslgen.metrics.catalogue.rows import tested_parts
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE
from hf_sslgen.reporting.attribution_words import attribution_words, quantity_words, shows_the_published_encoder
from hf_sslgen.reporting.confound_words import NOT_A_TWIN
from hf_sslgen.reporting.figures.charts import accuracy_bars, invariance_by_transform
from hf_sslgen.reporting.figures.concentration_distributions import concentration_of_records
from hf_sslgen.reporting.figures.figure_style import Styles, backbone_styles
from hf_sslgen.reporting.figures.forest import group_forest
from hf_sslgen.reporting.figures.overlays import attribution_overlays
from hf_sslgen.reporting.figures.reliability_diagrams import (
    confident_predictions,
    reliability_before_and_after,
    reliability_of_cells,
)
from hf_sslgen.reporting.figures.risk_coverage_curves import risk_coverage_of_cells
from hf_sslgen.reporting.figures.severity_curves import panels_by_severity, transforms_at_severities
from hf_sslgen.reporting.table_rows import (
    Setting,
    domains_of,
    order_backbones,
    rows_of,
    settings_of,
    shown_accuracy,
    shown_in_figures,
)
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import Comparison

if TYPE_CHECKING:
    import pandas as pd

MAX_OVERLAYS = 6
"""Example images in a figure."""

MAX_BARS = 12
"""Number of backbones and seeds up to which a bar chart shows all."""


@dataclass(frozen=True)
class StudyFigure:
    """A figure that is yet to be drawn, and the parts of its name."""

    name: tuple[str, ...]
    draw: Callable[[], Figure]


def study_figures(results: StudyResults) -> Iterator[StudyFigure]:
    """Iterate over the figures that a study's cells have numbers for.

    Of several seeds and pretraining runs, the lowest is drawn, as `shown_in_figures` chooses.
    """
    cells = results.cells
    styles = backbone_styles(order_backbones(cells))
    yield from _forests(results)
    for domain in domains_of(cells):
        here = [cell for cell in cells if cell.domain == domain]
        settings = settings_of(here, domain)
        for setting in settings:
            yield from _of_setting(here, setting, styles)
        # Do not repeat what figures of a setting already show.
        shown = {(cell.protocol, cell.labels) for cell in here if shows_the_published_encoder(cell)}
        published = sorted(
            (cell for cell in here if cell.protocol == PRETRAINED_PROTOCOL),
            key=lambda c: list(styles).index(c.backbone),
        )
        if published and not shown & set(settings):
            yield from _of_maps(shown_in_figures(published)[0], (domain, PRETRAINED_PROTOCOL), styles)
        yield from _of_invariance(here, styles)


def _forests(results: StudyResults) -> Iterator[StudyFigure]:
    for _, numbers in tested_parts():
        metric, transform = numbers[0]
        groups = [
            group
            for group in results.groups
            if (group.comparison.metric, group.comparison.transform) == (metric, transform)
            and (not transform or group.comparison.protocol == PRETRAINED_PROTOCOL)
        ]
        if groups:
            names = {group.comparison: _contrast(group.comparison) for group in groups}
            yield StudyFigure(("groups", metric), partial(group_forest, groups, names))


def _contrast(comparison: Comparison) -> str:
    setting = "" if comparison.transform else f", {comparison.protocol} {comparison.labels}"
    second = comparison.second + (NOT_A_TWIN if comparison.confounded_by else "")
    return f"{comparison.first} against {second}{setting}"


def _of_setting(here: Sequence[Cell], setting: Setting, styles: Styles) -> Iterator[StudyFigure]:
    """Iterate over the figures of accuracy, confidence and attribution of one domain and setting."""
    rows = rows_of(here, here[0].domain, setting)
    drawn, _ = shown_in_figures([row.cell for row in rows])
    place = (here[0].domain, *setting)
    accuracies = [row.cell for row in rows] if len(rows) <= MAX_BARS else drawn
    metric = shown_accuracy(rows[0].cell)
    if any(cell.number(metric) is not None for cell in accuracies):
        yield StudyFigure((*place, metric), partial(accuracy_bars, accuracies, styles))
    confident = [cell for cell in drawn if confident_predictions(cell) is not None]
    if confident:
        reliability = (
            partial(reliability_before_and_after, confident[0], styles)
            if len(confident) == 1
            else partial(reliability_of_cells, confident, styles)
        )
        yield StudyFigure((*place, "reliability"), reliability)
        yield StudyFigure((*place, "risk-coverage"), partial(risk_coverage_of_cells, confident, styles))
    yield from _of_maps(drawn, place, styles)


def _of_maps(cells: Sequence[Cell], place: tuple[str, ...], styles: Styles) -> Iterator[StudyFigure]:
    """Iterate over the figures of the cells that have maps; of several methods, only the first is drawn."""
    found = [(cell, of_cell) for cell in cells if (of_cell := cell.examples()) is not None]
    found = [each for each in found if attribution_words(each[0]) == attribution_words(found[0][0])]
    if not found:
        return
    first = found[0][0]
    examples = {cell.backbone: of_cell for cell, of_cell in found}
    records: Mapping[str, pd.DataFrame] = {cell.backbone: cell.columns().clean.frame() for cell, _ in found}
    grids = {name: of_cell["maps"].shape[1:] for name, of_cell in examples.items()}
    own = {name: styles[name] for name in records}
    yield StudyFigure((*place, "attribution"), partial(concentration_of_records, records, grids, own))
    overlays = partial(
        attribution_overlays,
        examples,
        tuple(first.provenance.get("class_names") or ()),
        records,
        MAX_OVERLAYS,
        {cell.backbone: cell.objective for cell, _ in found},
        quantity_words(first),
    )
    yield StudyFigure((*place, "overlays"), overlays)


def _of_invariance(here: Sequence[Cell], styles: Styles) -> Iterator[StudyFigure]:
    for stage in (PRETRAINED_STAGE, FINE_TUNED_STAGE):
        measured = [c for c in here if any(n.metric == "invariance" and n.stage == stage for n in c.numbers)]
        drawn, _ = shown_in_figures(measured)
        if not drawn:
            continue
        place = (here[0].domain, stage)
        yield StudyFigure((*place, "invariance"), partial(invariance_by_transform, drawn, stage, styles))
        numbers = {cell.backbone: [n for n in cell.numbers if n.stage == stage] for cell in drawn}
        if transforms_at_severities(numbers):
            yield StudyFigure((*place, "severity"), partial(panels_by_severity, numbers, styles))
