"""Measure colour handling and verify geometry by running a checkpoint's own processor on generated pictures."""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing, evaluation_pixels, normalise

Processor = Callable[[Image.Image], Tensor]
"""Turns an RGB picture into a (3, S, S) input."""

TOLERANCE = 2.01
"""In levels of 255: libraries round at different steps of resizing, and normalisation is undone in float32."""

ORDERS: tuple[Literal["RGB", "BGR"], ...] = ("RGB", "BGR")

PROBE = (255, 128, 0)
"""A colour whose channels differ."""

SIZES = ((97, 131), (160, 120), (64, 64), (301, 203))
"""Widths and heights of the pictures: portrait, landscape and square, odd and even, enlarged and reduced."""


class PixelError(InputError):
    """A processor can't be reproduced; the message says why."""


@dataclass(frozen=True)
class Colours:
    """As in `Preprocessing`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["RGB", "BGR"]


def _centre(processor: Processor, colour: tuple[int, int, int]) -> Tensor:
    """Return (3,) the processed value of a single-colour picture, taken at the centre, away from any margin."""
    made = processor(Image.new("RGB", (64, 64), colour))
    if made.ndim != 3 or made.shape[0] != 3:
        raise PixelError(f"it produces inputs of shape {tuple(made.shape)}, not of 3 channels, height and width")
    return made[:, made.shape[1] // 2, made.shape[2] // 2].double()


def measured_colours(processor: Processor) -> Colours:
    """Measure order, mean and standard deviation of the channels by processing black, white and a colour.

    Raises:
        PixelError: values are not just shifted and scaled, or channels are mixed.
    """
    black, white, colour = (_centre(processor, each) for each in ((0, 0, 0), (255, 255, 255), PROBE))
    scale = white - black
    if not (torch.isfinite(black).all() and torch.isfinite(white).all() and bool((scale > 0).all())):
        raise PixelError("after its rescaling and normalisation, values do not increase with brightness")
    share = (colour - black) / scale
    for channels in ORDERS:
        wanted = torch.tensor(PROBE if channels == "RGB" else PROBE[::-1]).double() / 255
        if float((share - wanted).abs().max()) < 1e-3:
            red, green, blue = (-black / scale).tolist()
            deviations = (1 / scale).tolist()
            return Colours((red, green, blue), (deviations[0], deviations[1], deviations[2]), channels)
    raise PixelError("it changes colours by more than the order, mean and standard deviation of the channels")


@functools.lru_cache(maxsize=16)
def _picture(width: int, height: int) -> Image.Image:
    """Generate a deterministic picture with smooth colours, edges and fine structure.

    It avoids black and white, because libraries clip the overshoot of bicubic interpolation at different steps.
    """
    random = np.random.default_rng(width * 1_000 + height)
    coarse = Image.fromarray(random.integers(60, 196, (5, 5, 3), dtype=np.uint8))
    values = np.asarray(coarse.resize((width, height), Image.Resampling.BILINEAR)).astype(np.int16)
    values[height // 3 : height // 2, width // 3 : width // 2] = (190, 65, 120)
    values += random.integers(-20, 21, (height, width, 1), dtype=np.int16)
    return Image.fromarray(values.astype(np.uint8))


def verify(processor: Processor, preprocessing: Preprocessing) -> None:
    """Compare with the processor's own inputs, in levels of the pictures.

    Raises:
        PixelError: they differ in shape, or by more than `TOLERANCE`.
    """
    side = preprocessing.geometry.image_size
    larger = (math.ceil(side * 1.3) + 1, math.ceil(side * 1.7))
    std = torch.tensor(preprocessing.std)[:, None, None]
    for width, height in (*SIZES, larger):
        picture = _picture(width, height)
        made = processor(picture)
        if tuple(made.shape) != (3, side, side):
            raise PixelError(f"it turns a {width} x {height} px picture into an input of shape {tuple(made.shape)}")
        found = normalise(evaluation_pixels(picture, preprocessing.geometry), preprocessing)
        difference = float(((found - made.float()) * std).abs().max()) * 255
        if not difference <= TOLERANCE:
            raise PixelError(
                f"its pixels for a {width} x {height} px picture differ by up to {difference:.1f} of 255 levels"
            )


def rounded(colours: Colours, stated: tuple[tuple[float, ...], tuple[float, ...]] | None) -> Colours:
    """Return the stated mean and standard deviation if they agree with the measured ones, else the latter, rounded.

    Args:
        stated: mean and standard deviation of values in [0, 1].
    """
    measured = (colours.mean, colours.std)
    complete = stated is not None and len(stated[0]) == len(stated[1]) == len(colours.mean)
    if stated is not None and complete and np.allclose(measured, stated, rtol=1e-4, atol=1e-5):
        (first, second, third), (a, b, c) = stated
        return Colours((first, second, third), (a, b, c), colours.channels)
    (first, second, third), (a, b, c) = ([float(f"{value:.6g}") + 0.0 for value in each] for each in measured)
    return Colours((first, second, third), (a, b, c), colours.channels)


def verified(
    processor: Processor, geometry: Geometry, stated: tuple[tuple[float, ...], tuple[float, ...]] | None
) -> Preprocessing:
    """Combine a geometry with the processor's measured colour handling and verify the result against it.

    Raises:
        PixelError: the processor can't be reproduced.
    """
    colours = rounded(measured_colours(processor), stated)
    preprocessing = Preprocessing(geometry, colours.mean, colours.std, colours.channels)
    verify(processor, preprocessing)
    return preprocessing
