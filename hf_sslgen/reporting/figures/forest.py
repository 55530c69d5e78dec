"""Draw differences by domain group: each target as a dot, and the mean of the group with its interval."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hf_sslgen.reporting.figures.figure_style import (
    FONT_SIZE,
    INK,
    MARKERS,
    PALETTE,
    empty_figure,
    literal,
    new_figure,
    style_axes,
)
from hf_sslgen.reporting.vocabulary import group_words, words
from hf_sslgen.study.inference.target_groups import Comparison, GroupDifference

ROW_INCHES = 0.62
DOT_SIZE = 3.5
MEAN_SIZE = 7.0


def group_forest(groups: Sequence[GroupDifference], names: Mapping[Comparison, str]) -> Figure:
    """Draw a line per comparison and group for one number: dots are targets, the large marker is their mean.

    Bars are 95% Student t intervals over targets; a mean of fewer than two targets has none.

    Args:
        groups: estimates of one metric.
        names: the name of each comparison.
    """
    if not groups:
        return empty_figure("no difference was measured")
    metric = words(groups[0].comparison.metric)
    found = dict.fromkeys(g.group for g in groups)
    kinds: list[str] = [kind for kind in ("similar", "different") if kind in found]
    kinds += [kind for kind in found if kind not in kinds]
    comparisons = list(dict.fromkeys(g.comparison for g in groups))
    figure = new_figure(0.95 + ROW_INCHES * len(comparisons))
    axes = figure.subplots()
    for index in range(1, len(comparisons), 2):
        axes.axhspan(index - 0.5, index + 0.5, color="#f4f4f4", zorder=0)
    for g in groups:
        kind = kinds.index(g.group)
        color, marker = PALETTE[kind % len(PALETTE)], MARKERS[kind % len(MARKERS)]
        y = comparisons.index(g.comparison) + (kind - (len(kinds) - 1) / 2) * 0.36
        values = [member.value * metric.scale for member in g.members]
        axes.plot(values, [y + 0.11] * len(values), marker, color=color, markersize=DOT_SIZE, alpha=0.65, mew=0)
        if not math.isnan(g.low):
            axes.plot([g.low * metric.scale, g.high * metric.scale], [y - 0.05] * 2, color=color, linewidth=1.6)
        axes.plot([g.value * metric.scale], [y - 0.05], marker, color=color, markersize=MEAN_SIZE, mew=0)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_yticks(range(len(comparisons)), [literal(names[scope]) for scope in comparisons])
    axes.set_ylim(len(comparisons) - 0.5, -0.5)
    unit = f" ({metric.difference_unit.strip()})" if metric.difference_unit else ""
    axes.set_xlabel(f"{metric.title}: self-supervised minus supervised{unit}", fontsize=FONT_SIZE)
    style_axes(axes)
    handles = [
        Line2D([], [], color=PALETTE[i % len(PALETTE)], marker=MARKERS[i % len(MARKERS)], linewidth=1.6, markersize=6)
        for i in range(len(kinds))
    ]
    labels = [literal(group_words(kind)) for kind in kinds]
    figure.legend(handles, labels, loc="outside upper left", ncols=len(kinds), fontsize=FONT_SIZE - 1, frameon=False)
    return figure
