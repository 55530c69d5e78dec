"""Random resized crop and horizontal flip of training pictures, determined by a seed alone."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hf_sslgen.geometry import INTERPOLATIONS, NEAREST_EXACT, Geometry
from hf_sslgen.preprocessing import evaluation_pixels

Picture = Image.Image | NDArray[np.uint8]
"""An RGB picture, or its (H, W, 3) bytes."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom edge in pixels."""

ASPECT_RATIOS = (3 / 4, 4 / 3)
ATTEMPTS = 10


@dataclass(frozen=True)
class Augmentation:
    """Random resized crop and horizontal flip.

    Attributes:
        minimum_area: smallest share of the picture that a crop keeps; 1 disables cropping and keeps the geometry of
            evaluation.
        horizontal_flip: whether to flip each image with probability one half.
    """

    minimum_area: float
    horizontal_flip: bool

    def __call__(self, picture: Picture, geometry: Geometry, seed: int) -> Tensor:
        """Return an augmented (3, S, S) image as bytes, determined by `seed` alone; its values lie channels last."""
        generator = torch.Generator().manual_seed(seed)
        if self.minimum_area < 1:
            box = _random_box(_size(picture), self.minimum_area, generator)
            pixels = np.asarray(_resized(_cut(picture, box), geometry))
        else:
            whole = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
            pixels = evaluation_pixels(whole, geometry).permute(1, 2, 0).numpy()
        if self.horizontal_flip and torch.rand((), generator=generator) < 0.5:
            pixels = pixels[:, ::-1]
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def _size(picture: Picture) -> tuple[int, int]:
    """Return width and height."""
    return picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])


def _random_box(size: tuple[int, int], minimum_area: float, generator: torch.Generator) -> Box:
    """Draw a box as torchvision's `RandomResizedCrop` does, with the same numbers from the same seed."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.empty(1).uniform_(low, high, generator=generator)

    def below(end: int) -> int:
        return int(torch.randint(0, end, (1,), generator=generator))

    width, height = size
    low, high = torch.log(torch.tensor(ASPECT_RATIOS)).tolist()
    for _ in range(ATTEMPTS):
        area = width * height * uniform(minimum_area, 1.0).item()
        ratio = torch.exp(uniform(low, high)).item()
        across, down = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < across <= width and 0 < down <= height:
            top, left = below(height - down + 1), below(width - across + 1)
            return left, top, left + across, top + down
    return _central_box(size)


def _central_box(size: tuple[int, int]) -> Box:
    """Return the largest central box whose aspect ratio is allowed."""
    width, height = size
    narrowest, widest = ASPECT_RATIOS
    if width / height < narrowest:
        across, down = width, round(width / narrowest)
    elif width / height > widest:
        across, down = round(height * widest), height
    else:
        across, down = width, height
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, left + across, top + down


def _cut(picture: Picture, box: Box) -> Image.Image:
    if isinstance(picture, Image.Image):
        return picture.crop(box)
    left, top, right, bottom = box
    return Image.fromarray(picture[top:bottom, left:right])


def _resized(image: Image.Image, geometry: Geometry) -> Image.Image:
    """Resize to the square input; Pillow's nearest neighbour stands in for torch's."""
    side = geometry.image_size
    if image.size == (side, side):
        return image
    name = "nearest" if geometry.interpolation == NEAREST_EXACT else geometry.interpolation
    return image.resize((side, side), INTERPOLATIONS[name])
