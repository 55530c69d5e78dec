"""From a picture to the pixels a network sees, resized and cropped by a `Geometry` and normalised."""

import functools
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from hf_sslgen.geometry import INTERPOLATIONS, NEAREST_EXACT, Geometry, place


@dataclass(frozen=True)
class Preprocessing:
    """Conversion of a picture to a network's input.

    Attributes:
        geometry: the pixels used.
        mean: mean subtracted from values in [0, 1], per channel in the network's channel order.
        std: standard deviation to divide by, in the same order.
        channels: the network's channel order.
    """

    geometry: Geometry
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["RGB", "BGR"] = "RGB"


def to_pixels(image: Image.Image) -> Tensor:
    """Return an RGB image as (3, H, W) bytes."""
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy())


def evaluation_pixels(image: Image.Image, geometry: Geometry) -> Tensor:
    """Resize and crop deterministically, giving the same pixels as timm's and torchvision's evaluation transforms.

    Returns:
        (3, image_size, image_size) bytes.
    """
    placement, side = place(image.size, geometry), geometry.image_size
    if placement.box != (0, 0, *image.size):
        image = image.crop(placement.box)
    if placement.size != image.size:
        image = _resized(image, placement.size, geometry.interpolation)
    left, top = placement.corner
    return to_pixels(image.crop((left, top, left + side, top + side)))


def _resized(image: Image.Image, size: tuple[int, int], interpolation: str) -> Image.Image:
    """Resize an image to this width and height."""
    if interpolation != NEAREST_EXACT:
        return image.resize(size, INTERPOLATIONS[interpolation])
    pixels = F.interpolate(to_pixels(image)[None], size[::-1], mode=NEAREST_EXACT)[0]
    return Image.fromarray(pixels.permute(1, 2, 0).numpy())


def normalise(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Reorder the channels, subtract the mean and divide by the standard deviation.

    Args:
        pixels: (..., 3, H, W) bytes, or floats in [0, 1]; RGB.

    Returns:
        (..., 3, H, W) float32.
    """
    is_bytes = pixels.dtype == torch.uint8
    values = pixels.float()
    if is_bytes:
        values.div_(255)  # in place, as the result below: fresh memory for each step costs several times as much
    if preprocessing.channels == "BGR":
        values = values.flip(-3)
    scale, shift = _scale_and_shift(preprocessing, values.device)
    return torch.addcmul(shift, values, scale, out=values if is_bytes else None)


@functools.cache
def _scale_and_shift(preprocessing: Preprocessing, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return factors and summands (3, 1, 1); kept, because copying numbers to a GPU waits for all of its work."""
    with torch.inference_mode(False):
        mean = torch.tensor(preprocessing.mean, device=device)[:, None, None]
        scale = 1 / torch.tensor(preprocessing.std, device=device)[:, None, None]
        return scale, -mean * scale
