"""From an encoded picture to the pixels a network sees.

Geometry (resize, crop, interpolation) is apart from normalisation: backbones of a twin set share the first and keep
their own second, so that all of them see the same pixels.
"""

import io
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from hf_sslgen.errors import InputError

INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


class CorruptImageError(InputError):
    """An image that can't be decoded; the message names it."""


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


def encoded_bytes(value: dict[str, Any]) -> bytes:
    """The file's bytes of an undecoded `datasets.Image` value (`bytes`, or else a `path` to read)."""
    if value["bytes"] is not None:
        return bytes(value["bytes"])
    return Path(value["path"]).read_bytes()


def decode_image(value: dict[str, Any], where: str) -> Image.Image:
    """Decode an undecoded `datasets.Image` value to RGB, upright as its EXIF orientation says.

    16-bit grayscale is scaled to 8 bits (Pillow alone would clip it to white).

    Args:
        where: what to call the image in an error, such as "image 3 of split 'train' of cifar10".

    Raises:
        CorruptImageError: the bytes are no picture, or a broken one.
    """
    try:
        with Image.open(io.BytesIO(encoded_bytes(value))) as opened:
            image = ImageOps.exif_transpose(opened)
            image.load()
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, Image.DecompressionBombError) as error:
        name = f" ({value['path']})" if value.get("path") else ""
        raise CorruptImageError(
            f"{where}{name} can't be decoded: {error}. Remove it, or pass --skip_corrupt to leave such images out"
        ) from error


def to_pixels(image: Image.Image) -> Tensor:
    """(3, H, W) bytes of an RGB image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def evaluation_pixels(image: Image.Image, geometry: Geometry) -> Tensor:
    """Resize and crop without randomness.

    Returns:
        (3, image_size, image_size) bytes.
    """
    size, resample = geometry.image_size, INTERPOLATIONS[geometry.interpolation]
    if geometry.crop_pct is None:
        return to_pixels(image.resize((size, size), resample))
    shorter = max(size, math.floor(size / geometry.crop_pct))
    width, height = image.size
    scale = shorter / min(width, height)
    width, height = max(shorter, round(width * scale)), max(shorter, round(height * scale))
    if (width, height) != image.size:
        image = image.resize((width, height), resample)
    left, top = (width - size) // 2, (height - size) // 2
    return to_pixels(image.crop((left, top, left + size, top + size)))


def normalise(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Subtract the mean and divide by the standard deviation.

    Args:
        pixels: (..., 3, H, W) bytes, or floats in [0, 1].

    Returns:
        (..., 3, H, W) float32.
    """
    values = pixels.float() / 255 if pixels.dtype == torch.uint8 else pixels
    mean = torch.tensor(preprocessing.mean, device=values.device)[:, None, None]
    std = torch.tensor(preprocessing.std, device=values.device)[:, None, None]
    return (values - mean) / std
