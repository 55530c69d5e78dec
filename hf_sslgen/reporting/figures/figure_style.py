"""Define the appearance shared by all figures, and encode them for a page that loads nothing else.

Figures are `matplotlib.figure.Figure` objects made without pyplot, so the caller's backend, styles and open windows
are unaffected. Every backbone has the same colour, marker and hatch in all figures; none of the three is the only
distinction.
"""

import base64
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
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
SVG_DPI = 72
"""Resolution of matplotlib's vector graphics, whose unit is the point."""

WEBP_QUALITY = 80


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


def figure_svg(figure: Figure, identifier: str) -> str:
    """Return the figure as an `<svg>` element for HTML.

    Text is drawn as outlines, so it looks the same without the font. Comments, metadata and namespace declarations,
    which HTML does not need, are removed, so the markup contains no names and no addresses. Every id starts with
    `identifier`, so that figures on a page don't share clip paths or markers, and the markup is kept small.
    """
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": identifier, "svg.fonttype": "path", "path.simplify_threshold": 0.3}):
        lay_out(figure, SVG_DPI)
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :].replace("<svg", '<svg aria-hidden="true"', 1)  # its container has the text
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    return _compact(_renamed_ids(text, identifier))


def lay_out(figure: Figure, dpi: float) -> None:
    """Place the axes of a figure once, as they are when it is saved at this resolution.

    Saving a figure with a layout engine would draw it twice and place its axes both times.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.set_dpi(dpi)
        engine.execute(figure)
        with matplotlib.rc_context({"figure.autolayout": False, "figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)


def _renamed_ids(text: str, identifier: str) -> str:
    """Replace referenced ids by `identifier` with a number and remove the others, a third of the text."""
    referred = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    short = {name: f"{identifier}-{index}" for index, name in enumerate(referred)}
    text = re.sub(
        r'\sid="([^"]*)"', lambda found: f' id="{short[found.group(1)]}"' if found.group(1) in short else "", text
    )
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found.group(1) + short[found.group(2)], text)


def _compact(text: str) -> str:
    """Shorten the markup: a hundredth of a point is finer than any screen; scales keep their digits."""

    def rounded(found: re.Match[str]) -> str:
        return re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"\s+", " ", found.group()))

    text = re.sub(r'\b(?:d|x|y)="[^"]*"|translate\([^)]*\)', rounded, text)
    text = re.sub(r'\bd="([^"]*)"', lambda found: f'd="{_short_path(found.group(1))}"', text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r'(<use [^>]*)transform="translate\(([^ )]+) 0\)"/>', r'\1x="\2"/>', text)  # letters on a line
    text = re.sub(r'style="[^"]*"', lambda found: re.sub(r"([:;]) ", r"\1", found.group()), text)
    text = text.replace("xlink:href", "href")
    lone = re.compile(r"<g>(<(?:path|use)\b[^>]*/>|<g\b[^>]*>(?:<(?:path|use)\b[^>]*/>)*</g>)</g>")
    while lone.search(text):  # a group without attributes around one element does nothing
        text = lone.sub(r"\1", text)
    return text


def _short_path(path: str) -> str:
    """Remove the letters that repeat the previous command of an outline; points after M or L are joined by lines."""
    kept, command = [], ""
    for token in path.split():
        if token.isalpha():
            repeats = token in ("L", "Q") and token == ("L" if command == "M" else command)
            command = token
            if repeats:
                continue
        kept.append(token)
    return " ".join(kept)


def figure_png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """Return the figure as PNG bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def figure_data_uri(figure: Figure, dpi: int = PNG_DPI) -> str:
    """Return the figure as a `data:` address with WebP, which needs a third of the space of PNG for photographs."""
    buffer = BytesIO()
    lay_out(figure, dpi)
    figure.savefig(buffer, format="webp", dpi=dpi, pil_kwargs={"quality": WEBP_QUALITY, "method": 6})
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
