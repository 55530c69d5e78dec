"""Draw attribution maps over the images they explain."""

import re
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from hf_sslgen.reporting.figures.figure_style import FONT_SIZE, INK, empty_figure, literal
from hf_sslgen.reporting.figures.reliability_diagrams import untransformed

EVIDENCE = "Positive evidence"
COLORMAP_NAME = "inferno"
DIMMED = 0.55
"""Share of brightness that a picture keeps below a map, so that more evidence looks lighter on any picture."""

MIDDLE_GRAY = str(DIMMED / 2)
MAX_SIDE_INCHES = 1.45
MAX_WIDTH_INCHES = 9.0
GAP_INCHES = 0.12
LINE_INCHES = 0.14
CAPTION_INCHES = 0.27
COLORBAR_INCHES = 0.75
CHARACTERS_PER_INCH = 13


def attribution_overlays(
    examples_by_backbone: Mapping[str, Mapping[str, npt.NDArray]],
    class_names: Sequence[str] = (),
    records_by_backbone: Mapping[str, pd.DataFrame] | None = None,
    max_images: int = 6,
    objectives: Mapping[str, str] | None = None,
    quantity: str = EVIDENCE,
) -> Figure:
    """Draw each image in a row: first unchanged, then overlaid with each backbone's map.

    Only positive values are drawn, each map divided by its own maximum. A map is measured on the grid of its layer and
    enlarged here only for display. If examples have boxes, the object's box is outlined.

    Args:
        examples_by_backbone: `images` (E, S, S, 3) bytes, `maps` (E, h, w) and `sample_ids` (E,) per backbone, and
            optionally `boxes` (E, 4): x0, y0, x1, y1 in shares of the image, NaN for an image without a box. Images
            that any backbone lacks are skipped.
        class_names: names of labels, for captions.
        records_by_backbone: records with `sample_id`, `reference` and optionally `prediction`, for captions.
        max_images: maximum number of rows.
        objectives: objective of each backbone, written below its name.
        quantity: what the maps show.
    """
    positions = {
        name: {str(sample): index for index, sample in enumerate(examples["sample_ids"])}
        for name, examples in examples_by_backbone.items()
    }
    names = list(positions)
    shared = [s for s in positions[names[0]] if all(s in found for found in positions.values())] if names else []
    shared = shared[:max_images]
    if not shared:
        return empty_figure("these backbones share no example images")
    captions = {
        name: _classes(records_by_backbone[name]) if records_by_backbone and name in records_by_backbone else {}
        for name in names
    }
    first = examples_by_backbone[names[0]]
    titles = [
        _title("image", "", len(names)),
        *(_title(name, (objectives or {}).get(name, ""), len(names)) for name in names),
    ]
    page = _Layout(titles, len(shared))
    for line, sample in enumerate(shared):
        at = positions[names[0]][sample]
        image, box = first["images"][at], first["boxes"][at] if "boxes" in first else None
        truth = next((found[sample][0] for found in captions.values() if sample in found), None)
        axes = page.axes(line, 0, _label("true: ", truth, class_names))
        axes.imshow(image)
        _outline(axes, box, image.shape[:2])
        for column, name in enumerate(names, start=1):
            reference, prediction = captions[name].get(sample, (None, None))
            mark = "right: " if reference == prediction else "wrong: "
            axes = page.axes(line, column, _label(mark, prediction, class_names))
            draw_map(axes, image, examples_by_backbone[name]["maps"][positions[name][sample]])
            _outline(axes, box, image.shape[:2])
    page.colorbar(quantity)
    return page.figure


class _Layout:
    """Lay out square images in rows and columns, placed in inches: titles above, a caption below each image."""

    def __init__(self, titles: Sequence[str], num_rows: int) -> None:
        self.side = _side(len(titles) - 1)
        self.top = 0.1 + LINE_INCHES * max(title.count("\n") + 1 for title in titles)
        self.width = GAP_INCHES + len(titles) * (self.side + GAP_INCHES)
        self.height = self.top + num_rows * (self.side + CAPTION_INCHES) + COLORBAR_INCHES
        self.figure = Figure(figsize=(self.width, self.height), facecolor="white")
        for column, title in enumerate(titles):
            self._text(self._left(column) + self.side / 2, self.top - 0.04, title, "bottom", FONT_SIZE - 1.5)

    def axes(self, line: int, column: int, caption: str) -> Axes:
        """Return axes without a frame for one image."""
        left, top = self._left(column), self.top + line * (self.side + CAPTION_INCHES)
        self._text(left + self.side / 2, top + self.side + 0.04, caption, "top", FONT_SIZE - 2)
        axes = self._add_axes(left, top, self.side, self.side)
        axes.set_axis_off()
        return axes

    def colorbar(self, quantity: str) -> None:
        """Draw the scale of all maps at the bottom, over the gray of a picture of medium brightness."""
        width = min(4.0, self.width - 0.6)
        axes = self._add_axes((self.width - width) / 2, self.height - COLORBAR_INCHES + 0.1, width, 0.12)
        bar = self.figure.colorbar(ScalarMappable(Normalize(0, 1), _translucent()), cax=axes, orientation="horizontal")
        axes.set_facecolor(MIDDLE_GRAY)
        characters = int((self.width - 2 * GAP_INCHES) * CHARACTERS_PER_INCH)
        label = "\n".join(textwrap.wrap(f"{quantity} (share of the map's maximum)", characters))
        bar.set_label(label, fontsize=FONT_SIZE - 1.5)
        axes.tick_params(labelsize=FONT_SIZE - 2)

    def _left(self, column: int) -> float:
        return GAP_INCHES + column * (self.side + GAP_INCHES)

    def _add_axes(self, left: float, top: float, width: float, height: float) -> Axes:
        bottom = self.height - top - height
        return self.figure.add_axes(
            (left / self.width, bottom / self.height, width / self.width, height / self.height)
        )

    def _text(self, x: float, top: float, text: str, alignment: str, size: float) -> None:
        y = 1 - top / self.height
        self.figure.text(x / self.width, y, literal(text), ha="center", va=alignment, fontsize=size, color=INK)


def _side(num_backbones: int) -> float:
    """Return the side of an image in inches."""
    return min(MAX_SIDE_INCHES, MAX_WIDTH_INCHES / (num_backbones + 1))


def draw_map(axes: Axes, image: npt.NDArray, attribution: npt.NDArray) -> None:
    """Draw a map (h, w) over an image (S, S, 3) of bytes in dark gray: colour and brightness mean evidence."""
    side = image.shape[:2]
    gray = image.astype(float) @ np.array([0.299, 0.587, 0.114])
    positive = np.maximum(np.asarray(attribution, dtype=float), 0.0)
    axes.imshow(gray, cmap="gray", vmin=0, vmax=255 / DIMMED)
    if not np.isfinite(positive).all() or positive.max() <= 0:
        message = "no map" if not np.isfinite(positive).all() else "no positive\nevidence"
        axes.text(
            0.5,
            0.5,
            message,
            transform=axes.transAxes,
            ha="center",
            va="center",
            fontsize=FONT_SIZE - 1,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": INK, "linewidth": 0.6, "boxstyle": "round,pad=0.3"},
        )
        return
    axes.imshow(
        positive / positive.max(),
        cmap=_translucent(),
        vmin=0,
        vmax=1,
        interpolation="bilinear",
        extent=(-0.5, side[1] - 0.5, side[0] - 0.5, -0.5),
    )


def _translucent() -> ListedColormap:
    """Return a colour map of rising lightness whose low end is transparent."""
    from matplotlib import colormaps

    colors = colormaps[COLORMAP_NAME](np.linspace(0.4, 1.0, 256))
    colors[:, 3] = np.linspace(0.0, 0.85, 256)
    return ListedColormap(colors)


def _outline(axes: Axes, box: npt.NDArray | None, side: tuple[int, int]) -> None:
    """Draw the object's box: a white line with a dark outline, visible on any picture."""
    if box is None or not np.isfinite(box).all():
        return
    (height, width), (x0, y0, x1, y1) = side, box
    inset = 0.012 * width  # the picture's edge would cut off a line drawn on it
    left, right = max(x0 * width, inset) - 0.5, min(x1 * width, width - inset) - 0.5
    top, bottom = max(y0 * height, inset) - 0.5, min(y1 * height, height - inset) - 0.5
    axes.add_patch(
        Rectangle(
            (left, top),
            right - left,
            bottom - top,
            fill=False,
            edgecolor="white",
            linewidth=1.1,
            path_effects=[withStroke(linewidth=2.6, foreground="black")],
        )
    )


def _classes(records: pd.DataFrame) -> dict[str, tuple[int, int | None]]:
    """Return (reference, prediction) of clean rows by sample id; the prediction is None in records without one."""
    clean = untransformed(records)
    if "reference" not in clean:
        return {}
    clean = clean.dropna(subset=["reference"])
    if "prediction" not in clean:
        return {
            str(sample): (int(reference), None)
            for sample, reference in zip(clean["sample_id"], clean["reference"], strict=True)
        }
    clean = clean.dropna(subset=["prediction"])
    pairs = zip(clean["sample_id"], clean["reference"], clean["prediction"], strict=True)
    return {str(sample): (int(reference), int(prediction)) for sample, reference, prediction in pairs}


def _label(prefix: str, index: int | None, class_names: Sequence[str]) -> str:
    if index is None:
        return ""
    name = str(class_names[index]) if 0 <= index < len(class_names) else f"class {index}"
    return prefix + (name if len(name) <= 18 else f"{name[:17]}…")


def _title(name: str, objective: str, num_backbones: int) -> str:
    """Return a backbone's name, with its objective in brackets unless the name contains it."""
    title = _broken(name, _side(num_backbones))
    return f"{title}\n({objective})" if objective and objective.lower() not in name.lower() else title


def _broken(title: str, side: float) -> str:
    """Break a title into lines that fit over a column of `side` inches, after separators if possible."""
    width = max(8, int(side * CHARACTERS_PER_INCH))
    lines = [""]
    for part in re.findall(r"[^-_/. ]+[-_/. ]*|[-_/. ]+", title):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line[start : start + width] for line in lines for start in range(0, len(line), width))
