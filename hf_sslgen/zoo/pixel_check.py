"""What a checkpoint's own processor makes of generated pictures: it tells the colours, and verifies the geometry."""

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
"""Makes a (3, S, S) input of an RGB picture."""

TOLERANCE = 2.01
"""Of 255 levels: libraries round in different places when they resize, and normalisation is undone in float32."""

ORDERS: tuple[Literal["RGB", "BGR"], ...] = ("RGB", "BGR")

PROBE = (255, 128, 0)
"""A colour whose channels differ."""

SIZES = ((97, 131), (160, 120), (64, 64), (301, 203))
"""Widths and heights of the pictures: upright, lying and square, odd and even, enlarged and reduced."""


class PixelError(InputError):
    """What of a processor can't be reproduced, in words."""


@dataclass(frozen=True)
class Colours:
    """As in `Preprocessing`."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channels: Literal["RGB", "BGR"]


def _centre(processor: Processor, colour: tuple[int, int, int]) -> Tensor:
    """(3,) what a picture of one colour becomes, in the middle, where no margin reaches."""
    made = processor(Image.new("RGB", (64, 64), colour))
    if made.ndim != 3 or made.shape[0] != 3:
        raise PixelError(f"it makes inputs of shape {tuple(made.shape)}, not of 3 channels, height and width")
    return made[:, made.shape[1] // 2, made.shape[2] // 2].double()


def measured_colours(processor: Processor) -> Colours:
    """Order, mean and deviation of the channels, from what becomes of black, white and a colour.

    Raises:
        PixelError: values are changed in another way than by subtracting and dividing, or channels are mixed.
    """
    black, white, colour = (_centre(processor, each) for each in ((0, 0, 0), (255, 255, 255), PROBE))
    scale = white - black
    if not (torch.isfinite(black).all() and torch.isfinite(white).all() and bool((scale > 0).all())):
        raise PixelError("its rescaling and normalisation leave no values that grow with brightness")
    share = (colour - black) / scale
    for channels in ORDERS:
        wanted = torch.tensor(PROBE if channels == "RGB" else PROBE[::-1]).double() / 255
        if float((share - wanted).abs().max()) < 1e-3:
            red, green, blue = (-black / scale).tolist()
            deviations = (1 / scale).tolist()
            return Colours((red, green, blue), (deviations[0], deviations[1], deviations[2]), channels)
    raise PixelError("it changes colours in other ways than by the order, mean and deviation of channels")


@functools.lru_cache(maxsize=16)
def _picture(width: int, height: int) -> Image.Image:
    """A picture with smooth colours, edges and fine structure, the same whenever it is made.

    It keeps away from black and white, where libraries cut off what bicubic interpolation overshoots at different
    steps.
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
            raise PixelError(f"it makes an input of shape {tuple(made.shape)} of a picture of {width} x {height} px")
        found = normalise(evaluation_pixels(picture, preprocessing.geometry), preprocessing)
        difference = float(((found - made.float()) * std).abs().max()) * 255
        if not difference <= TOLERANCE:
            raise PixelError(
                f"its pixels of a picture of {width} x {height} px differ by up to {difference:.1f} of 255 levels"
            )


def rounded(colours: Colours, stated: tuple[tuple[float, ...], tuple[float, ...]] | None) -> Colours:
    """The mean and deviation that were stated where those measured are the same, else the measured ones, rounded.

    Args:
        stated: mean and deviation of values in [0, 1].
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
    """A geometry with the colours that a processor makes, compared with the processor.

    Raises:
        PixelError: they can't be made the same.
    """
    colours = rounded(measured_colours(processor), stated)
    preprocessing = Preprocessing(geometry, colours.mean, colours.std, colours.channels)
    verify(processor, preprocessing)
    return preprocessing
