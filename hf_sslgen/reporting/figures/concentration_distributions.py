"""Draw the distributions of concentration and lift over attribution maps, with those for noise and the control."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from hf_sslgen.metrics import ConcentrationResult, noise_null
from hf_sslgen.metrics.catalogue.rows import CONTROL, drawn_maps
from hf_sslgen.metrics.inputs import FloatArray, float_array
from hf_sslgen.reporting.figures.figure_style import (
    FONT_SIZE,
    INK,
    MUTED,
    NULL,
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

NUM_BINS = 30
DASHES = (0, (3, 1.5))
CHANCE = {"lift": 1.0}
"""Numbers with a known value at chance, drawn as a line in place of noise."""

TAIL = 99.0
"""Percentile above which values of a long-tailed number fall into the last bin."""

Maps = ConcentrationResult | Mapping[str, npt.ArrayLike]


def concentration_distribution(
    results: Mapping[str, Maps],
    nulls: Maps | Mapping[str, ConcentrationResult] | None = None,
    numbers: tuple[str, ...] = ("gini", "spread"),
    styles: Styles | None = None,
    controls: Mapping[str, Maps] | None = None,
) -> Figure:
    """Draw histograms of concentration over maps, a row per backbone and a column per number.

    Gray: the number for rectified Gaussian noise on the same grid. Noise has the Gini coefficient of a clean blob, so
    only spread distinguishes the two: keep both. Dashed: the control. Heights are relative to each histogram's own
    peak; the last bin of lift holds all larger values.

    Args:
        results: for each name, a result of `attribution_concentration`, or per-sample arrays of shape (N,) by the
            names in `numbers`; NaN marks an all-zero map.
        nulls: one result of `noise_null` for all names, or one for each name if grids differ; None draws none.
        numbers: numbers to draw, such as `gini`, `spread`, `effective_area` or `entropy`.
        styles: style of each backbone; None assigns styles by position.
        controls: as `results`, for the re-initialised controls of the names that have one.

    Raises:
        ValueError: there is nothing to draw, a number is unknown, or a name lacks its array, null or style.
    """
    styles = styles_for(results, styles, "results")
    axis_titles = {field: metric.axis_title for field, metric in drawn_maps()}
    unknown = [number for number in numbers if number not in axis_titles]
    if unknown or not numbers:
        raise ValueError(f"numbers must name some of {', '.join(axis_titles)}, got {', '.join(unknown) or 'nothing'}")
    null_of = _nulls_by_name(results, nulls)
    figure = new_figure(1.1 + 0.62 * len(results))
    panels = figure.subplots(1, len(numbers), squeeze=False, sharey=True)[0]
    for axes, number in zip(panels, numbers, strict=True):
        values = {name: _values(result, number, f"results[{name!r}]") for name, result in results.items()}
        noise = {name: _values(null, number, "nulls") for name, null in null_of.items() if number not in CHANCE}
        control = {name: _values(of_name, number, "controls") for name, of_name in (controls or {}).items()}
        edges = _common_edges(number, [*values.values(), *noise.values(), *control.values()])
        if number in CHANCE:
            axes.axvline(CHANCE[number], color=INK, linewidth=1, linestyle=":")
        for row, (name, of_name) in enumerate(values.items()):
            if name in noise:
                _histogram(axes, row, noise[name], edges, None)
            _histogram(axes, row, of_name, edges, styles[name])
            if name in control and len(control[name]):
                axes.stairs(
                    _tops(row, control[name], edges), edges, baseline=row, color=INK, linewidth=1, linestyle=DASHES
                )
        axes.set_xlim(edges[0], edges[-1])
        axes.set_xlabel(_wrapped(axis_titles[number], len(numbers)), fontsize=FONT_SIZE)
        style_axes(axes)
    panels[0].set_yticks(range(len(results)), [_label(name, result) for name, result in results.items()])
    panels[0].set_ylim(len(results) - 0.85, -0.95)
    handles: list[Any] = [Line2D([], [], color=MUTED, linestyle="none", marker="o", markersize=5)]
    labels = ["mean over maps"]
    if null_of:
        handles.append(Patch(color=NULL))
        labels.append("maps of noise on the same grid")
    if controls:
        handles.append(Line2D([], [], color=INK, linewidth=1, linestyle=DASHES))
        labels.append("re-initialised control")
    name_legend(figure, handles, labels)
    return figure


def concentration_of_records(
    records_by_backbone: Mapping[str, pd.DataFrame],
    grids: Mapping[str, tuple[int, int]],
    styles: Styles | None = None,
) -> Figure:
    """Draw `concentration_distribution` from cells' records, each with noise on its own grid.

    Args:
        records_by_backbone: records of a cell for each backbone; records without attribution are skipped.
        grids: height and width of each backbone's maps.
    """
    attributed = {
        name: records[records["zero_map"].notna()]
        for name, records in records_by_backbone.items()
        if "zero_map" in records and records["zero_map"].notna().any()
    }
    if not attributed:
        return empty_figure("no attribution was measured")
    columns = {field: metric.columns[0].name for field, metric in drawn_maps(tested=True)}
    with_lift = any("lift" in records and records["lift"].notna().any() for records in attributed.values())
    drawn = {number: column for number, column in columns.items() if with_lift or number not in CHANCE}
    results = {name: _columns(records, drawn, "") for name, records in attributed.items()}
    controls = {
        name: _columns(records, drawn, CONTROL)
        for name, records in attributed.items()
        if f"{CONTROL}gini" in records and records[f"{CONTROL}gini"].notna().any()
    }
    nulls = {grid: noise_null(*grid) for grid in {grids[name] for name in results}}
    of_names = {name: nulls[grids[name]] for name in results}
    return concentration_distribution(results, of_names, tuple(drawn), styles, controls)


def _columns(records: pd.DataFrame, drawn: Mapping[str, str], prefix: str) -> dict[str, npt.ArrayLike]:
    """Return the per-sample values to draw; NaN if the records lack a column."""
    return {
        number: records[prefix + column] if prefix + column in records else np.full(len(records), np.nan)
        for number, column in drawn.items()
    }


def _nulls_by_name(results: Mapping[str, Maps], nulls: Any) -> Mapping[str, Maps]:
    if nulls is None:
        return {}
    if isinstance(nulls, ConcentrationResult):
        return dict.fromkeys(results, nulls)
    missing = [name for name in results if name not in nulls]
    if missing:
        raise ValueError(f"nulls must have an entry for every name of results, got none for {missing[0]!r}")
    found: Mapping[str, Maps] = {name: nulls[name] for name in results}
    return found


def _values(result: Maps, number: str, argument: str) -> FloatArray:
    """Return the defined per-sample values of a number."""
    if isinstance(result, ConcentrationResult):
        values = vars(result)[f"per_sample_{number}"]
    elif number in result:
        values = result[number]
    else:
        raise ValueError(f"{argument} must hold per-sample values of {number!r}, got {', '.join(result) or 'nothing'}")
    array = float_array(values, f"{argument}[{number!r}]", ("N",), allow_nan=True)
    defined: FloatArray = array[~np.isnan(array)]
    return defined


def _label(name: str, result: Maps) -> str:
    """Return the name, with the share of maps without concentration unless it is zero."""
    of_first = result.per_sample_gini if isinstance(result, ConcentrationResult) else next(iter(result.values()))
    share = float(np.isnan(np.asarray(of_first, dtype=float)).mean())
    note = f"\n{100 * share:.1f}% of maps all-zero" if share else ""
    return literal(shortened(name)) + note


def _common_edges(number: str, arrays: list[FloatArray]) -> FloatArray:
    """Return bin edges for all rows of a panel: from 0 to 1, extended for larger values, and restricted to the upper
    half or less if all values lie there."""
    if not any(len(array) for array in arrays):
        return np.linspace(0.0, 1.0, NUM_BINS + 1)
    values = np.concatenate([*arrays, [1.0]])
    largest = float(np.percentile(values, TAIL) if number in CHANCE else values.max())
    high = max(1.0, 1.02 * largest)
    smallest = float(values.min())
    return np.linspace(math.floor(10 * smallest) / 10 if smallest > high / 2 else 0.0, high, NUM_BINS + 1)


def _wrapped(title: str, num_panels: int) -> str:
    """Fit an axis title below its panel: the text in brackets gets its own line if panels are narrow."""
    return title.replace(" (", "\n(") if num_panels > 2 else title


def _tops(row: int, values: FloatArray, edges: FloatArray) -> FloatArray:
    """Return the heights of a histogram that stands on `row` of an inverted axis."""
    counts = np.histogram(np.minimum(values, edges[-1]), edges)[0]
    tops: FloatArray = row - 0.8 * counts / counts.max()
    return tops


def _histogram(axes: Axes, row: int, values: FloatArray, edges: FloatArray, style: BackboneStyle | None) -> None:
    """Draw a row's histogram upwards from its base line at `row` of the inverted axis; noise has no style."""
    if not len(values):
        middle = (edges[0] + edges[-1]) / 2
        axes.text(middle, row - 0.25, "undefined for every map", ha="center", fontsize=FONT_SIZE - 1, color=MUTED)
        return
    tops = _tops(row, values, edges)
    if style is None:
        axes.stairs(tops, edges, baseline=row, fill=True, color=NULL, linewidth=0)
        return
    axes.stairs(
        tops, edges, baseline=row, fill=True, facecolor=(style.color, 0.35), edgecolor=style.color, linewidth=1.2
    )
    axes.plot(
        values.mean(), row, color=style.color, marker=style.marker, markersize=6, markeredgecolor="white", zorder=5
    )
    axes.axhline(row, color=INK, linewidth=0.6, zorder=1)
