"""Draw the figures of a single checkpoint, for an analysis without a comparison."""

from pathlib import Path

from matplotlib.figure import Figure

from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE
from hf_sslgen.reporting.attribution_words import quantity_words
from hf_sslgen.reporting.figures.charts import accuracy_bars, invariance_by_transform
from hf_sslgen.reporting.figures.concentration_distributions import concentration_of_records
from hf_sslgen.reporting.figures.figure_style import figure_png
from hf_sslgen.reporting.figures.overlays import attribution_overlays
from hf_sslgen.reporting.figures.reliability_diagrams import confident_predictions, reliability_before_and_after
from hf_sslgen.reporting.figures.risk_coverage_curves import risk_coverage_of_cells
from hf_sslgen.reporting.figures.severity_curves import invariance_by_severity_of_numbers
from hf_sslgen.reporting.table_rows import shown_accuracy
from hf_sslgen.study.cells.cell_folder import Cell


def checkpoint_figures(cell: Cell) -> dict[str, Figure]:
    """Return the figures that a cell has numbers for, by name."""
    figures = {}
    if cell.number(shown_accuracy(cell)) is not None:
        figures["accuracy"] = accuracy_bars([cell])
    records = cell.records()
    if confident_predictions(cell) is not None:
        figures["reliability"] = reliability_before_and_after(cell)
        figures["risk_coverage"] = risk_coverage_of_cells([cell])
    examples = cell.examples()
    if examples is not None:
        class_names = cell.provenance.get("class_names") or ()
        figures["attribution"] = attribution_overlays(
            {cell.backbone: examples}, class_names, {cell.backbone: records}, quantity=quantity_words(cell)
        )
        grids = {cell.backbone: examples["maps"].shape[1:]}
        figures["concentration"] = concentration_of_records({cell.backbone: records}, grids)
    for stage in (PRETRAINED_STAGE, FINE_TUNED_STAGE):
        if any(number.metric == "invariance" and number.stage == stage for number in cell.numbers):
            name = f"invariance_{stage.replace('-', '_')}"
            figures[name] = invariance_by_transform([cell], stage)
            of_stage = [number for number in cell.numbers if number.stage == stage]
            by_severity = invariance_by_severity_of_numbers({cell.backbone: of_stage})
            if by_severity is not None:
                figures[f"{name}_by_severity"] = by_severity
    return figures


def write_checkpoint_figures(cell: Cell, folder: Path) -> list[Path]:
    """Write `checkpoint_figures` as PNG files into a folder; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {folder / f"{name}.png": figure for name, figure in checkpoint_figures(cell).items()}
    for path, figure in paths.items():
        path.write_bytes(figure_png(figure))
    return list(paths)
