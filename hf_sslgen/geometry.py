"""Which pixels of a picture a network sees: how it is resized and cropped, and where points and boxes of it end up.

Geometry is apart from normalisation: backbones of a twin set share the first and keep their own second, so that all
of them see the same pixels.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hf_sslgen.errors import InputError

Resize = Literal["shorter_side", "both_sides", "cropped", "none"]

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "hamming": Image.Resampling.HAMMING,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

NEAREST_EXACT = "nearest-exact"
"""torch's nearest-neighbour interpolation, which differs from Pillow's if two pixels are equally near."""


MOST_PIXELS = 2**26
"""Maximum number of pixels after resizing, since a narrow picture of a few kilobytes could fill all memory."""


@dataclass(frozen=True)
class Geometry:
    """The pixels of a picture that a network sees.

    Attributes:
        image_size: side of the square input in pixels.
        crop_pct: the picture is resized to floor(image_size / crop_pct) and cropped at the centre, with a black margin
            where it is smaller; None resizes both sides to `image_size` regardless of the aspect ratio.
        interpolation: one of `INTERPOLATIONS`, or `NEAREST_EXACT`.
        resize: what is resized: the shorter side, keeping the aspect ratio; both sides, ignoring it; the centre square
            with side `crop_pct` of the shorter side, cropped beforehand; or nothing.
        margins: how half a pixel of a margin is rounded: to an even number, as timm and torchvision do, or down, as
            transformers does.
    """

    image_size: int
    crop_pct: float | None
    interpolation: str
    resize: Resize = "shorter_side"
    margins: Literal["even", "down"] = "even"

    def __str__(self) -> str:
        if self.crop_pct is None:
            return "squeezed to the square"
        if self.resize == "none":
            return "not resized, the centre cut out"
        if self.resize == "cropped":
            return f"the centre square of {self.crop_pct:.4g} of the shorter side cut out and resized"
        what = "the shorter side" if self.resize == "shorter_side" else "both sides"
        return f"{what} resized to {math.floor(self.image_size / self.crop_pct)} px and the centre cut out"


@dataclass(frozen=True)
class Placement:
    """Placement of a picture in the input.

    The picture's `box` (left, top, right, bottom) is resized to `size` (width, height), in which the input begins at
    `corner` (left, top).
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    corner: tuple[int, int]


def _margin(length: int, kept: int, geometry: Geometry) -> int:
    """Return the number of pixels before the central `kept` of `length`; negative for padding."""
    if length < kept:
        return -((kept - length) // 2)
    return (length - kept) // 2 if geometry.margins == "down" else round((length - kept) / 2)


def place(size: tuple[int, int], geometry: Geometry) -> Placement:
    """Compute the placement of a picture with this width and height."""
    side = geometry.image_size
    whole = (0, 0, *size)
    if geometry.crop_pct is None:
        return Placement(whole, (side, side), (0, 0))
    if geometry.resize == "cropped":
        kept = int(geometry.crop_pct * min(size))
        left, top = (_margin(length, kept, geometry) for length in size)
        return Placement((left, top, left + kept, top + kept), (side, side), (0, 0))
    resized = math.floor(side / geometry.crop_pct)
    width, height = size
    if geometry.resize == "both_sides":
        width, height = resized, resized
    elif geometry.resize == "shorter_side":
        longer = int(resized * max(size) / min(size))
        if resized * longer > MOST_PIXELS:
            raise InputError(
                f"a picture of {size[0]} x {size[1]} pixels would be resized to {resized} x {longer} before it is "
                "cropped; remove it, cut it up, or give a smaller image size"
            )
        width, height = (resized, longer) if width <= height else (longer, resized)
    return Placement(whole, (width, height), (_margin(width, side, geometry), _margin(height, side, geometry)))


def evaluation_points(points: NDArray[np.float64], size: tuple[int, int], geometry: Geometry) -> NDArray[np.float64]:
    """Map points of a picture to their positions after `evaluation_pixels`.

    Args:
        points: (..., 2), x and y in pixels; the left edge of a picture is at 0 and its right edge at its width.
        size: width and height of the upright picture.

    Returns:
        (..., 2) in fractions of the network's input: its left and upper edges are at 0, the others at 1. Cropped
        points lie outside.
    """
    placement = place(size, geometry)
    left, top, right, bottom = placement.box
    scale = np.array(placement.size) / (right - left, bottom - top)
    return ((points - (left, top)) * scale - placement.corner) / geometry.image_size


def evaluation_boxes(boxes: NDArray[np.float64], size: tuple[int, int], geometry: Geometry) -> NDArray[np.float64]:
    """Map boxes of a picture to the network's input.

    Args:
        boxes: (K, 4), x0, y0, x1, y1 in pixels of the picture, as in `evaluation_points`.
        size: width and height of the upright picture.

    Returns:
        (K', 4) in fractions of the input's side, clipped at its edges, without boxes that lie completely outside.
    """
    moved = evaluation_points(boxes.reshape(-1, 2, 2), size, geometry).clip(0.0, 1.0)
    return moved[(moved[:, 0] < moved[:, 1]).all(axis=1)].reshape(-1, 4)
