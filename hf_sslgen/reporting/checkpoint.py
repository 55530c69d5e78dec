"""Figures of one checkpoint, for an analysis that has nothing to compare it with."""

from pathlib import Path

from matplotlib.figure import Figure

from hf_sslgen.files import replace_folder
from hf_sslgen.reporting.figures import (
    accuracy_bars,
    attribution_overlays,
    figure_png,
    invariance_by_transform,
    reliability_diagrams,
)
from hf_sslgen.reporting.reliability import clean_records
from hf_sslgen.reporting.rows import headline_metric
from hf_sslgen.reporting.vocabulary import SOURCE_STAGE, TUNED_STAGE
from hf_sslgen.study.cells import Cell


def checkpoint_figures(cell: Cell) -> dict[str, Figure]:
    """The figures a cell has numbers for, by name: `accuracy`, `reliability`, `attribution`, `invariance...`."""
    figures = {}
    if cell.number(headline_metric(cell)) is not None:
        figures["accuracy"] = accuracy_bars([cell])
    records = cell.records()
    if len(clean_records(records)):
        figures["reliability"] = reliability_diagrams({cell.backbone: records})
    examples = cell.examples()
    if examples is not None:
        class_names = cell.provenance.get("class_names") or ()
        figures["attribution"] = attribution_overlays({cell.backbone: examples}, class_names, {cell.backbone: records})
    for stage in (SOURCE_STAGE, TUNED_STAGE):
        if any(number.metric == "invariance" and number.stage == stage for number in cell.numbers):
            figures[f"invariance_{stage.replace('-', '_')}"] = invariance_by_transform([cell], stage)
    return figures


def write_checkpoint_figures(cell: Cell, folder: Path) -> list[Path]:
    """Write `checkpoint_figures` as PNG files into `folder`, which they replace as a whole; returns their paths."""
    with replace_folder(folder) as unfinished:
        figures = checkpoint_figures(cell)
        for name, figure in figures.items():
            (unfinished / f"{name}.png").write_bytes(figure_png(figure))
    return [folder / f"{name}.png" for name in figures]
