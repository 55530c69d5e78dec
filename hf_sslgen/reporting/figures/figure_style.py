"""Define the appearance shared by all figures.

Figures are `matplotlib.figure.Figure` objects made without pyplot, so the caller's backend, styles and open windows
are unaffected. Every backbone has the same colour, marker and hatch in all figures; none of the three is the only
distinction.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

# Okabe and Ito (2008): distinguishable with any common colour vision deficiency. Gray takes the place of their
# yellow, which is faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#777777")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
HATCHES = ("", "///", "\\\\\\", "---", "xxx", "|||", "+++")  # of lines: dots make a figure ten times larger
INK = "#222222"
MUTED = "#666666"
NULL = "#c8c8c8"
"""For what is expected without an effect: calibrated predictions, maps of noise."""
FAINT = "#d9d9d9"
FONT_SIZE = 9.0
WIDTH_INCHES = 8.0
PNG_DPI = 150


@dataclass(frozen=True)
class BackboneStyle:
    """The appearance of one backbone."""

    color: str
    marker: str
    hatch: str


Styles = Mapping[str, BackboneStyle]


def backbone_styles(backbones: Iterable[str]) -> dict[str, BackboneStyle]:
    """Assign each backbone a style by position; use the same list for all figures of a page so that they agree.

    Colours repeat after eight; markers and hatches have other cycle lengths, so the combination stays unique.
    """
    return {
        name: BackboneStyle(
            PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)], HATCHES[index % len(HATCHES)]
        )
        for index, name in enumerate(dict.fromkeys(backbones))
    }


def styles_for(names: Iterable[str], styles: Styles | None, argument: str) -> Styles:
    """Return the given styles, or styles by position if there are none.

    Args:
        argument: the caller's name for the mapping that holds the names, for messages.

    Raises:
        ValueError: there is nothing to draw, or a name has no style.
    """
    names = list(names)
    if not names:
        raise ValueError(f"{argument} must map at least one name to data, got an empty mapping")
    if styles is None:
        return backbone_styles(names)
    unknown = [name for name in names if name not in styles]
    if unknown:
        raise ValueError(f"styles must have an entry for every name of {argument}, got none for {unknown[0]!r}")
    return styles


def literal(text: object) -> str:
    """Escape text for matplotlib: a `$` in a name would otherwise start a formula, or fail to parse."""
    return str(text).replace("$", r"\$")


def shortened(name: str, width: int = 30) -> str:
    """Shorten to `width` characters in the middle, because names of one family differ at their ends."""
    return name if len(name) <= width else f"{name[: width - 13]}…{name[-12:]}"


def interval_lengths(value: float, low: float, high: float) -> tuple[float, float]:
    """Return the distances from the value down to `low` and up to `high`; zero without an interval."""
    if math.isnan(low) or math.isnan(high):
        return 0.0, 0.0
    return max(0.0, value - low), max(0.0, high - value)


def interval_marks(style: BackboneStyle) -> dict[str, Any]:
    """Return the keywords of `Axes.errorbar` that all figures use for a backbone's values and intervals."""
    return {
        "marker": style.marker,
        "color": style.color,
        "markersize": 5.5,
        "elinewidth": 1.1,
        "capsize": 2,
        "markeredgewidth": 0,
    }


def name_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int = 3) -> None:
    """Draw a legend above the panels, in as many columns as fit the width of the report."""
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=min(columns, len(labels)),
        fontsize=FONT_SIZE - 1,
        frameon=False,
    )


def new_figure(height: float, width: float = WIDTH_INCHES) -> Figure:
    """Return a white figure of this size in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def empty_figure(message: str) -> Figure:
    """Return a figure that states why nothing is drawn."""
    figure = new_figure(1.0)
    figure.text(0.5, 0.5, literal(message), ha="center", va="center", fontsize=FONT_SIZE, color=MUTED)
    return figure


def style_axes(axes: Axes, grid: str = "x") -> None:
    """Give axes a thin frame, a light grid along `x`, `y` or `both` behind the data, and readable ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(labelsize=FONT_SIZE - 1, colors=INK, length=3)
    axes.grid(axis=grid, color=FAINT, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def figure_png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """Return the figure as PNG bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()
