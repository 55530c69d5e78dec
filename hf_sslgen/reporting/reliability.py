"""Reliability diagrams: accuracy against confidence, with what calibrated models would show."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_sslgen.metrics import expected_calibration_error, reliability_null_band
from hf_sslgen.reporting.figure_style import (
    FONT_SIZE,
    INK,
    MUTED,
    WIDTH_INCHES,
    BackboneStyle,
    Styles,
    backbone_styles,
    empty_figure,
    literal,
    new_figure,
    style_axes,
)


def reliability_diagrams(
    records_by_backbone: Mapping[str, pd.DataFrame], num_bins: int = 15, styles: Styles | None = None
) -> Figure:
    """Accuracy against confidence per bin, and below it the share of samples in each bin.

    Gray boxes hold the bin's accuracy in 95% of simulations of a perfectly calibrated model with these confidences.

    Args:
        records_by_backbone: records of a cell, with columns `confidence` and `correct`; rows of transformed images
            and rows without confidence are left out.
        num_bins: equal-width bins, as in the expected calibration error.
        styles: how each backbone is drawn; by position where it is None.
    """
    styles = styles or backbone_styles(records_by_backbone)
    clean = {name: clean_records(records) for name, records in records_by_backbone.items()}
    clean = {name: records for name, records in clean.items() if len(records)}
    if not clean:
        return empty_figure("no prediction confidence was measured")
    columns = min(3, len(clean))
    lines = math.ceil(len(clean) / columns)
    figure = new_figure(3.5 * lines, WIDTH_INCHES * columns / 3 if columns < 3 else WIDTH_INCHES)
    grid = figure.subplots(2 * lines, columns, squeeze=False, height_ratios=[3, 1] * lines, sharex=True)
    for index in range(lines * columns):
        top, bottom = grid[2 * (index // columns) : 2 * (index // columns) + 2, index % columns]
        if index >= len(clean):
            top.set_visible(False)
            bottom.set_visible(False)
            continue
        name = list(clean)[index]
        _reliability_panel(top, bottom, name, clean[name], num_bins, styles[name])
        if index % columns == 0:
            top.set_ylabel("Accuracy in bin", fontsize=FONT_SIZE)
            bottom.set_ylabel("Images (%)", fontsize=FONT_SIZE)
    return figure


def _reliability_panel(
    top: Axes, bottom: Axes, name: str, records: pd.DataFrame, num_bins: int, style: BackboneStyle
) -> None:
    confidences = records["confidence"].to_numpy(dtype=float)
    correct = records["correct"].to_numpy(dtype=float)
    table = expected_calibration_error(confidences, correct, num_bins=num_bins)
    band = reliability_null_band(confidences, num_bins=num_bins)
    filled = table.bin_counts > 0
    left, width = table.bin_edges[:-1][filled], 1.0 / num_bins
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle="--")
    top.bar(left, (band.high - band.low)[filled], width, band.low[filled], align="edge", color="#c8c8c8", linewidth=0)
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
        f"{literal(_wrapped(name))}\nECE {100 * ece:.1f} pt (calibrated: {100 * null:.1f} pt)",
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


def clean_records(records: pd.DataFrame) -> pd.DataFrame:
    """Rows of untransformed images that have a prediction confidence."""
    clean = records[records["transform"].fillna("") == ""] if "transform" in records else records
    return clean[clean["confidence"].notna()] if "confidence" in clean else clean.iloc[:0]


def _wrapped(name: str, width: int = 30) -> str:
    return name if len(name) <= width else f"{name[: width - 13]}…{name[-12:]}"
