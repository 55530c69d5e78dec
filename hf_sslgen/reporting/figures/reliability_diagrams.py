"""Reliability diagrams: accuracy against confidence, with what calibrated models would show."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hf_sslgen.metrics import (
    CalibrationResult,
    ReliabilityNullBand,
    TopLabelResult,
    expected_calibration_error,
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

PANELS_PER_LINE = 3


def reliability_diagram(
    models: Mapping[str, TopLabelResult | tuple[npt.ArrayLike, npt.ArrayLike]],
    num_bins: int = 15,
    styles: Styles | None = None,
) -> Figure:
    """Accuracy against confidence per bin, and below it the share of samples in each bin; a panel per model.

    Gray boxes hold the bin's accuracy in 95% of simulations of a perfectly calibrated model with these confidences
    (Broecker and Smith 2007). Points above the diagonal are under-confident, below it over-confident.

    Args:
        models: for each name a result of `top_label`, or the confidences p in [0, 1] and whether the predictions are
            correct, both of shape (N,).
        num_bins: equal-width bins, as in the expected calibration error.
        styles: how each model is drawn; by position where it is None.

    Raises:
        ValueError: no model, or what `expected_calibration_error` refuses.
    """
    styles = styles_for(models, styles, "models")
    drawn = {}
    for name, model in models.items():
        if isinstance(model, TopLabelResult):
            model = model.per_sample_confidence, model.per_sample_correct
        confidences, correct = model
        band = reliability_null_band(confidences, num_bins=num_bins)
        drawn[name] = expected_calibration_error(confidences, correct, num_bins=num_bins), band
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
        _panel(top, bottom, name, *drawn[name], styles[name])
        if index % columns == 0:
            top.set_ylabel("Accuracy in bin", fontsize=FONT_SIZE)
            bottom.set_ylabel("Images (%)", fontsize=FONT_SIZE)
    handles = [Line2D([], [], color=MUTED, linewidth=1, linestyle="--"), Patch(color=NULL)]
    name_legend(figure, handles, ["perfect calibration", "95% of calibrated models, bin by bin"], columns)
    return figure


def reliability_diagrams(
    records_by_backbone: Mapping[str, pd.DataFrame], num_bins: int = 15, styles: Styles | None = None
) -> Figure:
    """`reliability_diagram` of cells' records.

    Args:
        records_by_backbone: records of a cell, with columns `confidence` and `correct`; rows of transformed images
            and rows without confidence are left out.
    """
    models = confident_predictions(records_by_backbone)
    if not models:
        return empty_figure("no prediction confidence was measured")
    return reliability_diagram(models, num_bins, styles)


def reliability_before_and_after(
    name: str, records: pd.DataFrame, temperature: float, num_bins: int = 15, styles: Styles | None = None
) -> Figure:
    """The reliability of one backbone, beside that after temperature scaling where its records have it.

    Args:
        temperature: NaN where there is none.
    """
    before = {name: records}
    column = f"confidence{AFTER_TEMPERATURE}"
    if math.isnan(temperature) or column not in records:
        return reliability_diagrams(before, num_bins, styles)
    scaled = f"scaled, temperature {temperature:.2f}"
    after = {scaled: records.assign(confidence=records[column])}
    style = {} if styles is None else {name: styles[name], scaled: styles[name]}
    return reliability_diagrams(before | after, num_bins, style or None)


def _panel(
    top: Axes, bottom: Axes, name: str, table: CalibrationResult, band: ReliabilityNullBand, style: BackboneStyle
) -> None:
    filled = table.bin_counts > 0
    left, width = table.bin_edges[:-1][filled], 1.0 / table.num_bins
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
    ece, null = table.expected_calibration_error, table.ece_if_calibrated
    top.set_title(
        f"{literal(shortened(name))}\nECE {100 * ece:.1f} pt (calibrated: {100 * null:.1f} pt)",
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
    """Rows of images as they are."""
    return records[records["transform"].fillna("") == ""] if "transform" in records else records


def clean_records(records: pd.DataFrame) -> pd.DataFrame:
    """Rows of untransformed images that have a prediction confidence."""
    clean = untransformed(records)
    return clean[clean["confidence"].notna()] if "confidence" in clean else clean.iloc[:0]


def confident_predictions(
    records_by_backbone: Mapping[str, pd.DataFrame],
) -> dict[str, tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
    """Confidences and correctness of the untransformed images, of those backbones that have them."""
    clean = {name: clean_records(records) for name, records in records_by_backbone.items()}
    return {
        name: (records["confidence"].to_numpy(dtype=float), records["correct"].to_numpy(dtype=float))
        for name, records in clean.items()
        if len(records)
    }
