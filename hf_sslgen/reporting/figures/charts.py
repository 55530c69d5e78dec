"""Chart numbers by backbone: headline accuracy, and invariance by transform."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from hf_sslgen.analysis.families import PAIR
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.reporting.figures.figure_style import (
    FONT_SIZE,
    INK,
    MUTED,
    Styles,
    backbone_styles,
    empty_figure,
    interval_lengths,
    interval_marks,
    literal,
    name_legend,
    new_figure,
    style_axes,
)
from hf_sslgen.reporting.table_rows import (
    domains_of,
    order_backbones,
    rows_of,
    settings_of,
    shown_accuracy,
)
from hf_sslgen.reporting.vocabulary import FAMILIES, MISSING, format_value, setting_words, transform_words, words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell

OUTLINE = [withStroke(linewidth=3.2, foreground="white")]
"""Keeps an interval visible over a dark or hatched bar."""


def accuracy_bars(cells: Sequence[Cell], styles: Styles | None = None) -> Figure:
    """Draw headline accuracy in percent with its 95% interval: a panel per domain and setting, a bar per backbone and
    seed.

    The dotted line is the expected accuracy of uniform guessing among the classes.
    """
    styles = styles or backbone_styles(order_backbones(cells))
    panels = [
        (domain, setting, rows)
        for domain in domains_of(cells)
        for setting in settings_of(cells, domain)
        if (rows := rows_of(cells, domain, setting)) and setting[0] != PRETRAINED_PROTOCOL
    ]
    if not panels:
        return empty_figure("no accuracy was measured")
    heights = [0.75 + 0.32 * len(rows) for _, _, rows in panels]
    figure = new_figure(sum(heights) + 0.3)
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)
    for axes, (domain, setting, rows) in zip(grid[:, 0], panels, strict=True):
        metric = shown_accuracy(rows[0].cell)
        for position, row in enumerate(rows):
            number = row.number(metric)
            if number is None or math.isnan(number.value):
                axes.text(1, position, f"{MISSING} not measured", va="center", fontsize=FONT_SIZE - 1, color=MUTED)
                continue
            style = styles[row.cell.backbone]
            low, high = (100 * length for length in interval_lengths(number.value, number.low, number.high))
            axes.barh(
                position,
                number.value * 100,
                height=0.62,
                color=style.color,
                hatch=style.hatch,
                edgecolor="white",
                linewidth=0,
                xerr=[[low], [high]],
                error_kw={"ecolor": INK, "capsize": 3, "elinewidth": 1.2, "path_effects": OUTLINE},
            )
            axes.annotate(
                format_value(number.value, metric, with_unit=True),
                (number.value * 100 + high, position),
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=FONT_SIZE - 1,
                color=INK,
            )
        classes = len(rows[0].provenance.get("class_names") or ())
        guessing = ""
        if classes and rows[0].number("mean_confidence") is not None:  # episodes have fewer classes
            axes.axvline(100 / classes, color=INK, linewidth=1, linestyle=":")
            guessing = f"; dotted: guessing among {classes} classes"
        axes.set_yticks(range(len(rows)), [literal(row.label) for row in rows])
        axes.set_ylim(len(rows) - 0.45, -0.55)
        axes.set_xlim(0, 108)  # room for the value of a bar at 100%
        axes.set_xticks(range(0, 101, 20))
        axes.set_title(literal(f"{domain}, {setting_words(*setting)}"), loc="left", fontsize=FONT_SIZE, color=INK)
        axes.set_xlabel(f"{words(metric).title} (%){guessing}", fontsize=FONT_SIZE)
        axes.xaxis.set_tick_params(labelbottom=True)
        style_axes(axes)
    return figure


def invariance_by_transform(
    cells: Sequence[Cell], stage: str = PRETRAINED_STAGE, styles: Styles | None = None
) -> Figure:
    """Draw chance-corrected invariance per transform with 95% intervals, backbones side by side; a panel per domain.

    The line at 0 is chance: a transformed image is then no closer to its original than to other images.
    """
    styles = styles or backbone_styles(order_backbones(cells))
    panels = []
    for domain in domains_of(cells):
        series = _invariance_series([cell for cell in cells if cell.domain == domain], stage)
        if series:
            panels.append((domain, series, _transform_order(series)))
    if not panels:
        return empty_figure(f"no invariance was measured at the {stage} stage")
    names = list(dict.fromkeys(name for _, series, _ in panels for name in series))
    step = max(0.08 + 0.1 * len(names), 0.26)
    heights = [0.6 + step * len(order) for _, _, order in panels]
    figure = new_figure(sum(heights) + 0.35 + 0.2 * math.ceil(len(names) / 3))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (domain, series, order) in zip(grid[:, 0], panels, strict=True):
        positions = {key: index for index, key in enumerate(order)}
        for index in range(1, len(order), 2):
            axes.axhspan(index - 0.5, index + 0.5, color="#f4f4f4", zorder=0)
        for rank, (name, numbers) in enumerate(series.items()):
            offset = (rank - (len(series) - 1) / 2) * 0.8 / len(series)
            drawn = [n for n in numbers if not math.isnan(n.value)]
            style = styles[name]
            axes.errorbar(
                [n.value for n in drawn],
                [positions[n.transform, n.severity] + offset for n in drawn],
                xerr=np.array([interval_lengths(n.value, n.low, n.high) for n in drawn]).reshape(-1, 2).T,
                linestyle="none",
                label=literal(name),
                **interval_marks(style),
            )
            for n in numbers:
                if math.isnan(n.value):
                    y = positions[n.transform, n.severity] + offset
                    axes.annotate(
                        f"{MISSING} undefined",  # a dash alone would look like a value
                        (0, y),
                        (5, 0),
                        textcoords="offset points",
                        color=INK,
                        va="center",
                        fontsize=FONT_SIZE - 2.5,
                    )
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(order)), [literal(transform_words(*key)) for key in order])
        for label, key in zip(axes.get_yticklabels(), order, strict=True):
            label.set_fontweight("bold" if key[0] in FAMILIES else "normal")
        axes.set_ylim(len(order) - 0.5, -0.5)
        axes.set_title(literal(domain), loc="left", fontsize=FONT_SIZE, color=INK)
        axes.set_xlabel("Chance-corrected invariance (0: chance, 1: unchanged representation)", fontsize=FONT_SIZE)
        style_axes(axes)
        axes.set_xlim(right=max(1.02, axes.get_xlim()[1]))
    handles, labels = grid[0, 0].get_legend_handles_labels()
    name_legend(figure, handles, labels)
    return figure


def _invariance_series(cells: Sequence[Cell], stage: str) -> dict[str, list[Number]]:
    """Return invariance numbers by backbone, of the lowest seed if there are several, in the order of backbones."""
    found: dict[str, list[Number]] = {}
    for name in order_backbones(cells):
        for cell in sorted((c for c in cells if c.backbone == name), key=lambda c: c.seed):
            numbers = [n for n in cell.numbers if n.metric == "invariance" and n.stage == stage]
            if numbers:
                found[name] = numbers
                break
    return found


def _transform_order(series: Mapping[str, Sequence[Number]]) -> list[tuple[str, str]]:
    """Return family means and real pairs first, then transforms and severities in stored order."""
    keys = dict.fromkeys((n.transform, n.severity) for numbers in series.values() for n in numbers)
    first = [*FAMILIES, PAIR]
    return sorted(keys, key=lambda key: first.index(key[0]) if key[0] in first else len(first))
