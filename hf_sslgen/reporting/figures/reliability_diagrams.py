"""Draw reliability diagrams: accuracy against confidence, compared with calibrated models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hf_sslgen.metrics import (
    CalibrationResult,
    ReliabilityBins,
    ReliabilityNullBand,
    TopLabelResult,
    expected_calibration_error,
    reliability_bins,
    reliability_null_band,
)
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE
from hf_sslgen.reporting.figures.figure_style import (
    FONT_SIZE,
    INK,
    MUTED,
    NULL,
    WIDTH_INCHES,
    BackboneStyle,
    Styles,
    empty_figure,
    literal,
    name_legend,
    new_figure,
    shortened,
    style_axes,
    styles_for,
)
from hf_sslgen.study.cells.cell_folder import Cell

PANELS_PER_LINE = 3

Predictions = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Confidences p in [0, 1] and whether the predictions are correct, both of shape (N,)."""


@dataclass(frozen=True)
class _Panel:
    """The content of a model's panel: its bins, the bins of calibrated models, and the calibration error of both."""

    bins: CalibrationResult | ReliabilityBins
    band: ReliabilityNullBand
    error: float
    if_calibrated: float


def reliability_diagram(
    models: Mapping[str, TopLabelResult | tuple[npt.ArrayLike, npt.ArrayLike]],
    num_bins: int = 15,
    styles: Styles | None = None,
) -> Figure:
    """Draw accuracy against confidence per bin, and below it the share of samples in each bin; a panel per model.

    Gray boxes contain the bin's accuracy in 95% of simulations of a perfectly calibrated model with these confidences
    (Broecker and Smith 2007). Points above the diagonal are under-confident, below it over-confident.

    Args:
        models: for each name, a result of `top_label`, or the confidences p in [0, 1] and whether the predictions are
            correct, both of shape (N,).
        num_bins: number of equal-width bins, as in the expected calibration error.
        styles: style of each model; None assigns styles by position.

    Raises:
        ValueError: there is no model, or `expected_calibration_error` rejects its data.
    """
    styles = styles_for(models, styles, "models")
    drawn = {}
    for name, model in models.items():
        if isinstance(model, TopLabelResult):
            model = model.per_sample_confidence, model.per_sample_correct
        confidences, correct = model
        band = reliability_null_band(confidences, num_bins=num_bins)
        measured = expected_calibration_error(confidences, correct, num_bins=num_bins)
        drawn[name] = _Panel(measured, band, measured.expected_calibration_error, measured.ece_if_calibrated)
    return _figure(drawn, styles)


def _figure(drawn: Mapping[str, _Panel], styles: Styles) -> Figure:
    columns = 2 if len(drawn) == 4 else min(PANELS_PER_LINE, len(drawn))
    lines = math.ceil(len(drawn) / columns)
    width = max(columns, 1.4) / PANELS_PER_LINE * WIDTH_INCHES  # the legend needs more room than one panel
    figure = new_figure(3.5 * lines + 0.25, width)
    grid = figure.subplots(2 * lines, columns, squeeze=False, height_ratios=[3, 1] * lines, sharex=True)
    for index in range(lines * columns):
        top, bottom = grid[2 * (index // columns) : 2 * (index // columns) + 2, index % columns]
        if index >= len(drawn):
            top.set_visible(False)
            bottom.set_visible(False)
            continue
        name = list(drawn)[index]
        _draw_panel(top, bottom, name, drawn[name], styles[name])
        if index % columns == 0:
            top.set_ylabel("Accuracy in bin", fontsize=FONT_SIZE)
            bottom.set_ylabel("Images (%)", fontsize=FONT_SIZE)
    handles = [Line2D([], [], color=MUTED, linewidth=1, linestyle="--"), Patch(color=NULL)]
    name_legend(figure, handles, ["perfect calibration", "95% of calibrated models, bin by bin"], columns)
    return figure


def reliability_of_cells(cells: Sequence[Cell], styles: Styles | None = None) -> Figure:
    """Draw `reliability_diagram` of the cells that have predictions with confidences, a panel for each."""
    return _of_panels({cell.backbone: _panel_of(cell) for cell in cells}, styles)


def reliability_before_and_after(cell: Cell, styles: Styles | None = None) -> Figure:
    """Draw the reliability of one cell and, if it has a temperature, its reliability after temperature scaling."""
    temperature = cell.number("temperature")
    if temperature is None or math.isnan(temperature.value):
        return reliability_of_cells([cell], styles)
    scaled = f"scaled, temperature {temperature.value:.2f}"
    style = {} if styles is None else {cell.backbone: styles[cell.backbone], scaled: styles[cell.backbone]}
    panels = {cell.backbone: _panel_of(cell), scaled: _panel_of(cell, AFTER_TEMPERATURE)}
    return _of_panels(panels, style or None)


def _of_panels(panels: Mapping[str, _Panel | None], styles: Styles | None) -> Figure:
    drawn = {name: panel for name, panel in panels.items() if panel is not None}
    if not drawn:
        return empty_figure("no prediction confidence was measured")
    return _figure(drawn, styles_for(drawn, styles, "cells"))


def _panel_of(cell: Cell, ending: str = "") -> _Panel | None:
    """Return a cell's panel, with stored calibration errors if available.

    Args:
        ending: suffix of the names of confidences and numbers.
    """
    predictions = confident_predictions(cell, ending)
    if predictions is None:
        return None
    band = reliability_null_band(predictions[0])
    error = cell.number(f"expected_calibration_error{ending}")
    if_calibrated = cell.number(f"ece_if_calibrated{ending}")
    if error is None or if_calibrated is None:
        measured = expected_calibration_error(*predictions)
        return _Panel(measured, band, measured.expected_calibration_error, measured.ece_if_calibrated)
    return _Panel(reliability_bins(*predictions), band, error.value, if_calibrated.value)


def _draw_panel(top: Axes, bottom: Axes, name: str, panel: _Panel, style: BackboneStyle) -> None:
    table, band = panel.bins, panel.band
    filled = table.bin_counts > 0
    left, width = table.bin_edges[:-1][filled], 1.0 / len(table.bin_counts)
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    top.bar(left, (band.high - band.low)[filled], width, band.low[filled], align="edge", color=NULL, linewidth=0)
    top.plot(
        table.bin_confidence[filled],
        table.bin_accuracy[filled],
        color=style.color,
        marker=style.marker,
        markersize=5,
        linewidth=1,
        markeredgewidth=0,
    )
    top.set_title(
        f"{literal(shortened(name))}\nECE {100 * panel.error:.1f} pt (calibrated: {100 * panel.if_calibrated:.1f} pt)",
        fontsize=FONT_SIZE - 0.5,
        color=INK,
        loc="left",
    )
    top.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    style_axes(top, "both")
    share = 100 * table.bin_counts / table.bin_counts.sum()
    bottom.bar(
        table.bin_edges[:-1],
        share,
        width,
        align="edge",
        color=style.color,
        hatch=style.hatch,
        edgecolor="white",
        linewidth=0.4,
    )
    bottom.set_xlabel("Confidence", fontsize=FONT_SIZE)
    bottom.set_ylim(0, max(5.0, 1.1 * float(np.max(share))))
    bottom.xaxis.set_tick_params(labelbottom=True)
    style_axes(bottom, "y")


def untransformed(records: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of untransformed images."""
    return records[records["transform"].fillna("") == ""] if "transform" in records else records


def confident_predictions(cell: Cell, ending: str = "") -> Predictions | None:
    """Return confidence and correctness of a cell's untransformed images that have a confidence; None if none has.

    Args:
        ending: suffix of the name of the confidence column.
    """
    rows, column = cell.columns().clean, f"confidence{ending}"
    if column not in rows.filled:
        return None
    confident = ~rows.is_missing(column)
    return rows[column][confident], rows["correct"][confident].astype(np.float64)
