"""From a picture to the pixels a network sees.

Geometry (resize, crop, interpolation) is apart from normalisation: backbones of a twin set share the first and keep
their own second, so that all of them see the same pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hf_sslgen.errors import InputError

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


MOST_PIXELS = 2**26
"""Pixels that a picture may have after resizing: a narrow one of a few kilobytes would fill all memory."""


@dataclass(frozen=True)
class Geometry:
    """Which pixels of a picture a network sees.

    Attributes:
        image_size: side of the square input in pixels.
        crop_pct: the shorter side is resized to floor(image_size / crop_pct) and the centre cut out; None resizes both
            sides to `image_size` whatever the aspect ratio.
        interpolation: one of `INTERPOLATIONS`.
    """

    image_size: int
    crop_pct: float | None
    interpolation: str


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input: geometry, then `mean` and `std` of the channels of values in [0, 1]."""

    geometry: Geometry
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def to_pixels(image: Image.Image) -> Tensor:
    """(3, H, W) bytes of an RGB image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def evaluation_pixels(image: Image.Image, geometry: Geometry) -> Tensor:
    """Resize and crop without randomness; the same pixels as timm's and torchvision's evaluation transforms.

    Returns:
        (3, image_size, image_size) bytes.
    """
    resized_size, (left, top) = _resize_and_crop(image.size, geometry)
    if resized_size != image.size:
        image = image.resize(resized_size, INTERPOLATIONS[geometry.interpolation])
    return to_pixels(image.crop((left, top, left + geometry.image_size, top + geometry.image_size)))


def _resize_and_crop(size: tuple[int, int], geometry: Geometry) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height that a picture of this width and height is resized to, and left and top of what is cut out."""
    side = geometry.image_size
    if geometry.crop_pct is None:
        return (side, side), (0, 0)
    shorter = max(side, math.floor(side / geometry.crop_pct))
    longer = int(shorter * max(size) / min(size))
    if shorter * longer > MOST_PIXELS:
        raise InputError(
            f"a picture of {size[0]} x {size[1]} pixels would be resized to {shorter} x {longer} before it is "
            "cropped; leave it out, cut it up, or give a smaller image size"
        )
    width, height = (shorter, longer) if size[0] <= size[1] else (longer, shorter)
    return (width, height), (round((width - side) / 2), round((height - side) / 2))


def evaluation_points(points: NDArray[np.float64], size: tuple[int, int], geometry: Geometry) -> NDArray[np.float64]:
    """Where points of a picture are after `evaluation_pixels`.

    Args:
        points: (..., 2), x and y in pixels; the left edge of a picture is at 0 and the right one at its width.
        size: width and height of the picture, upright.

    Returns:
        (..., 2) in shares of the network's input: its left and upper edges are at 0, the others at 1. Points that are
        cut off lie outside.
    """
    resized, crop = _resize_and_crop(size, geometry)
    return (points * (np.array(resized) / size) - crop) / geometry.image_size


def evaluation_boxes(boxes: NDArray[np.float64], size: tuple[int, int], geometry: Geometry) -> NDArray[np.float64]:
    """Where boxes of a picture are in the network's input.

    Args:
        boxes: (K, 4), x0, y0, x1, y1 in pixels of the picture, as in `evaluation_points`.
        size: width and height of the picture, upright.

    Returns:
        (K', 4) in shares of the input's side, cut at its edges; without the boxes that lie outside altogether.
    """
    moved = evaluation_points(boxes.reshape(-1, 2, 2), size, geometry).clip(0.0, 1.0)
    return moved[(moved[:, 0] < moved[:, 1]).all(axis=1)].reshape(-1, 4)


def normalise(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Subtract the mean and divide by the standard deviation.

    Args:
        pixels: (..., 3, H, W) bytes, or floats in [0, 1].

    Returns:
        (..., 3, H, W) float32.
    """
    values = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels.float()
    mean = torch.tensor(preprocessing.mean, device=values.device)[:, None, None]
    scale = 1 / torch.tensor(preprocessing.std, device=values.device)[:, None, None]
    return torch.addcmul(-mean * scale, values, scale)
