"""Pictures that say where they belong: each differs from all others, and its class and split can be read off it."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

NUM_CLASSES = 3
TRAIN_IMAGES, TEST_IMAGES = 4, 3
"""A class's pictures in each split."""

SIZES = ((24, 24), (20, 32), (40, 24))
"""Height and width of the pictures of a class and split in turns."""

LEVELS = np.linspace(0, 255, 16).round().astype(np.uint8)
"""Shades that pictures are made of: few enough for a palette."""


@dataclass(frozen=True)
class Picture:
    """A picture of a class (by number) in a split, the `index`-th there."""

    class_index: int
    split: str
    index: int

    @property
    def stem(self) -> str:
        return f"{self.split}_{self.class_index}_{self.index}"


def pictures(split: str) -> tuple[Picture, ...]:
    """All pictures of a split."""
    number = {"train": TRAIN_IMAGES, "test": TEST_IMAGES}[split]
    return tuple(Picture(label, split, index) for label in range(NUM_CLASSES) for index in range(number))


@cache
def shades(picture: Picture) -> NDArray[np.uint8]:
    """(height, width) shades of `LEVELS`, black and white among them, in patches large enough to survive resizing."""
    height, width = SIZES[picture.index % len(SIZES)]
    seed = [picture.class_index, picture.split == "test", picture.index]
    patches = np.random.default_rng(seed).integers(0, len(LEVELS), (height // 4, width // 4))
    patches[0, 0], patches[-1, -1] = 0, len(LEVELS) - 1
    return np.kron(LEVELS[patches], np.ones((4, 4), dtype=np.uint8))


@cache
def colours(picture: Picture) -> NDArray[np.uint8]:
    """(height, width, 3) colours: red falls, green is the shade and blue tells the class."""
    gray = shades(picture)
    blue = np.full_like(gray, LEVELS[3 + 5 * picture.class_index])
    return np.stack([255 - gray, gray, blue], axis=-1)
