"""Draw attribution maps over the images they explain, as small pictures for a page."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hf_sslgen.study.pictures.small_picture import small_picture

SIDE = 128
"""Largest width and height of an overlay, in pixels."""

DIMMED = 0.55
"""Share of brightness that a picture keeps below a map, so that more evidence looks lighter on any picture."""

MOST_OPAQUE = 0.85

INFERNO = np.array(
    [
        (147, 38, 103),
        (177, 50, 90),
        (204, 66, 72),
        (228, 90, 49),
        (243, 120, 25),
        (251, 153, 6),
        (251, 190, 35),
        (243, 227, 90),
        (252, 255, 164),
    ],
    dtype=float,
)
"""Nine colours of rising lightness, from the upper part of matplotlib's colour map of that name."""

Box = NDArray[np.floating[Any]]


def plain_picture(image: NDArray[np.uint8], box: Box | None = None) -> bytes:
    """Return an image (S, S, 3) as WebP, with an object's box: x0, y0, x1, y1 in shares of the image."""
    return small_picture(_outlined(Image.fromarray(image), box), SIDE)


def overlay_picture(image: NDArray[np.uint8], attribution: NDArray[Any], box: Box | None = None) -> bytes:
    """Return an image (S, S, 3) in dark gray below the positive part of a map (h, w), as WebP.

    The map is divided by its own maximum and enlarged only for display. Lighter means more.
    """
    gray = DIMMED * (image.astype(float) @ np.array([0.299, 0.587, 0.114]))[..., None]
    if has_evidence(attribution):
        positive = np.maximum(attribution, 0.0).astype(np.float32)
        shares = Image.fromarray(positive / positive.max()).resize(image.shape[1::-1], Image.Resampling.BILINEAR)
        share = np.asarray(shares)
        steps = np.linspace(0.0, 1.0, len(INFERNO))
        colours = np.stack([np.interp(share, steps, channel) for channel in INFERNO.T], axis=-1)
        opacity = MOST_OPAQUE * share[..., None]
        mixed = (1.0 - opacity) * gray + opacity * colours
    else:
        mixed = np.broadcast_to(gray, image.shape)
    return small_picture(_outlined(Image.fromarray(mixed.round().astype(np.uint8)), box), SIDE)


def has_evidence(attribution: NDArray[Any]) -> bool:
    """Whether a map (h, w) is finite and positive anywhere."""
    return bool(np.isfinite(attribution).all() and attribution.max() > 0)


def _outlined(image: Image.Image, box: Box | None) -> Image.Image:
    """Draw a box as a white line within a dark one, visible on any picture."""
    if box is None or not np.isfinite(box).all():
        return image
    size = np.array([*image.size, *image.size])
    x0, y0, x1, y1 = np.clip(np.round(box * size - [0, 0, 1, 1]), 0, size - 1).astype(int).tolist()
    draw = ImageDraw.Draw(image)
    draw.rectangle((x0, y0, max(x0, x1), max(y0, y1)), outline="white")
    if x1 - x0 > 2 and y1 - y0 > 2:
        draw.rectangle((x0 + 1, y0 + 1, x1 - 1, y1 - 1), outline="black")
    return image
