"""Looks shared by all figures, and their encoding for a page that requests nothing from elsewhere.

Figures are `matplotlib.figure.Figure` objects made without pyplot, so no backend, style or open window of the caller
changes. Every backbone has one colour, marker and hatch in all figures; none of the three is the only distinction.
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
HATCHES = ("", "///", "\\\\\\", "---", "xxx", "|||", "+++")  # of lines: dots make a figure ten times as large
INK = "#222222"
MUTED = "#666666"
NULL = "#c8c8c8"
"""What would be seen without an effect: calibrated predictions, maps of noise."""
FAINT = "#d9d9d9"
FONT_SIZE = 9.0
WIDTH_INCHES = 8.0
PNG_DPI = 150
WEBP_QUALITY = 85


@dataclass(frozen=True)
class BackboneStyle:
    """How one backbone is drawn."""

    color: str
    marker: str
    hatch: str


Styles = Mapping[str, BackboneStyle]


def backbone_styles(backbones: Iterable[str]) -> dict[str, BackboneStyle]:
    """A style per backbone, by position: pass one list to all figures of a page to have them agree.

    Colours repeat after eight; markers and hatches have other cycle lengths, so the combination stays unique.
    """
    return {
        name: BackboneStyle(
            PALETTE[index % len(PALETTE)], MARKERS[index % len(MARKERS)], HATCHES[index % len(HATCHES)]
        )
        for index, name in enumerate(dict.fromkeys(backbones))
    }


def styles_for(names: Iterable[str], styles: Styles | None, argument: str) -> Styles:
    """The styles given, or by position where there are none.

    Raises:
        ValueError: nothing to draw, or a name without a style; `argument` is what the caller calls the names' mapping.
    """
    names = list(names)
    if not names:
        raise ValueError(f"{argument} must map at least one name to what is drawn, got an empty mapping")
    if styles is None:
        return backbone_styles(names)
    unknown = [name for name in names if name not in styles]
    if unknown:
        raise ValueError(f"styles must have an entry for every name of {argument}, got none for {unknown[0]!r}")
    return styles


def literal(text: object) -> str:
    """Text that matplotlib writes as it is: a `$` in a name would otherwise start a formula, or fail to parse."""
    return str(text).replace("$", r"\$")


def shortened(name: str, width: int = 30) -> str:
    """At most `width` characters, cut in the middle: names of one family differ at their ends."""
    return name if len(name) <= width else f"{name[: width - 13]}…{name[-12:]}"


def interval_lengths(value: float, low: float, high: float) -> tuple[float, float]:
    """Distances from the value down to `low` and up to `high`; zero where there is no interval."""
    if math.isnan(low) or math.isnan(high):
        return 0.0, 0.0
    return max(0.0, value - low), max(0.0, high - value)


def interval_marks(style: BackboneStyle) -> dict[str, Any]:
    """Keywords of `Axes.errorbar` with which every figure draws values of a backbone with their intervals."""
    return {
        "marker": style.marker,
        "color": style.color,
        "markersize": 5.5,
        "elinewidth": 1.1,
        "capsize": 2,
        "markeredgewidth": 0,
    }


def name_legend(figure: Figure, handles: Sequence[Any], labels: Sequence[str], columns: int = 3) -> None:
    """A legend above the panels, in as many columns as report width has room for."""
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=min(columns, len(labels)),
        fontsize=FONT_SIZE - 1,
        frameon=False,
    )


def new_figure(height: float, width: float = WIDTH_INCHES) -> Figure:
    """A white figure of this size in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08)
    return Figure(figsize=(width, height), layout=layout, facecolor="white")


def empty_figure(message: str) -> Figure:
    """A figure that says why nothing is drawn."""
    figure = new_figure(1.0)
    figure.text(0.5, 0.5, literal(message), ha="center", va="center", fontsize=FONT_SIZE, color=MUTED)
    return figure


def style_axes(axes: Axes, grid: str = "x") -> None:
    """Thin frame, light grid along one axis (`x`, `y` or `both`) behind the data, readable ticks."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(MUTED)
    axes.tick_params(labelsize=FONT_SIZE - 1, colors=INK, length=3)
    axes.grid(axis=grid, color=FAINT, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def figure_svg(figure: Figure, identifier: str) -> str:
    """The figure as an `<svg>` element to be placed inside HTML.

    Text is drawn as outlines, so it looks the same without the font. Comments, metadata and namespace declarations,
    which HTML does not need, are removed: names then occur nowhere in the markup, nor does any address. Every id
    starts with `identifier`, so that figures of one page don't share clip paths or markers, and markup is kept small.
    """
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": identifier, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :].replace("<svg", '<svg aria-hidden="true"', 1)  # what holds it has the words
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    return _compact(_renamed_ids(text, identifier))


def _renamed_ids(text: str, identifier: str) -> str:
    """Ids that are referred to become `identifier` with a number, the others go: they are a third of the text."""
    referred = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    short = {name: f"{identifier}-{index}" for index, name in enumerate(referred)}
    text = re.sub(
        r'\sid="([^"]*)"', lambda found: f' id="{short[found.group(1)]}"' if found.group(1) in short else "", text
    )
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found.group(1) + short[found.group(2)], text)


def _compact(text: str) -> str:
    """The same drawing in less text: a hundredth of a point is finer than any screen, scales keep their digits."""

    def rounded(found: re.Match[str]) -> str:
        return re.sub(r"(\.\d\d)\d+", r"\1", re.sub(r"\s+", " ", found.group()))

    text = re.sub(r'\b(?:d|x|y)="[^"]*"|translate\([^)]*\)', rounded, text)
    text = re.sub(r'\bd="([^"]*)"', lambda found: f'd="{_short_path(found.group(1))}"', text)
    text = re.sub(r">\s+<", "><", text)
    text = re.sub(r'(<use [^>]*)transform="translate\(([^ )]+) 0\)"/>', r'\1x="\2"/>', text)  # letters of a line
    text = re.sub(r'style="[^"]*"', lambda found: re.sub(r"([:;]) ", r"\1", found.group()), text)
    text = text.replace("xlink:href", "href")
    lone = re.compile(r"<g>(<(?:path|use)\b[^>]*/>|<g\b[^>]*>(?:<(?:path|use)\b[^>]*/>)*</g>)</g>")
    while lone.search(text):  # a group without attributes around one element does nothing
        text = lone.sub(r"\1", text)
    return text


def _short_path(path: str) -> str:
    """An outline without the letters that repeat the command before: points after M or L are joined by lines."""
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
    """The figure as PNG bytes."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def figure_data_uri(figure: Figure, dpi: int = PNG_DPI) -> str:
    """The figure as a `data:` address holding WebP, which takes a third of PNG's space for photographs."""
    buffer = BytesIO()
    figure.savefig(buffer, format="webp", dpi=dpi, pil_kwargs={"quality": WEBP_QUALITY})
    return f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
