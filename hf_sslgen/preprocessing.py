"""From an encoded picture to the pixels a network sees.

Geometry (resize, crop, interpolation) is apart from normalisation: backbones of a twin set share the first and keep
their own second, so that all of them see the same pixels.
"""

import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
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

DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises on broken files of one format or another."""


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


def encoded_bytes(value: dict[str, Any] | None) -> bytes:
    """The file's bytes of an undecoded `datasets.Image` value: its `bytes`, or else what its `path` leads to.

    Paths of streamed data sets may be addresses, also of files inside archives. A missing picture has no bytes.
    """
    if value is None:
        return b""
    if value["bytes"] is not None:
        return bytes(value["bytes"])
    if value["path"] is None:
        return b""
    if "://" in value["path"]:
        with fsspec.open(value["path"], "rb") as file:
            return bytes(file.read())
    return Path(value["path"]).read_bytes()


def decode_image(value: dict[str, Any] | None, where: str) -> Image.Image:
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
    except DECODING_ERRORS as error:
        name = f" ({value['path']})" if value is not None and value.get("path") else ""
        raise CorruptImageError(
            f"{where}{name} can't be decoded: {error}. Remove it, or pass --skip_corrupt to leave such images out"
        ) from error


def to_pixels(image: Image.Image) -> Tensor:
    """(3, H, W) bytes of an RGB image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def evaluation_pixels(image: Image.Image, geometry: Geometry) -> Tensor:
    """Resize and crop without randomness; the same pixels as timm's and torchvision's evaluation transforms.

    Returns:
        (3, image_size, image_size) bytes.
    """
    size, resample = geometry.image_size, INTERPOLATIONS[geometry.interpolation]
    if geometry.crop_pct is None:
        return to_pixels(image.resize((size, size), resample))
    shorter = max(size, math.floor(size / geometry.crop_pct))
    longer = int(shorter * max(image.size) / min(image.size))
    width, height = (shorter, longer) if image.width <= image.height else (longer, shorter)
    if (width, height) != image.size:
        image = image.resize((width, height), resample)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return to_pixels(image.crop((left, top, left + size, top + size)))


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
