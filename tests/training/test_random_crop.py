"""The crop and flip of a training picture are torchvision's, drawn from the picture's own seed."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from hf_sslgen.geometry import INTERPOLATIONS, NEAREST_EXACT, Geometry
from hf_sslgen.preprocessing import evaluation_pixels, to_pixels
from hf_sslgen.training.random_crop import Augmentation

SIDE = 24


def picture_of(width: int, height: int) -> Image.Image:
    generator = np.random.default_rng(width * height)
    return Image.fromarray(generator.integers(0, 256, (height, width, 3), dtype=np.uint8))


def reference(picture: Image.Image, geometry: Geometry, minimum_area: float, flips: bool, seed: int) -> torch.Tensor:
    """Seed torch's own generator and let torchvision crop."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if minimum_area < 1:
            mode = v2.InterpolationMode(geometry.interpolation)
            crop = v2.RandomResizedCrop(geometry.image_size, scale=(minimum_area, 1.0), interpolation=mode)
            pixels = to_pixels(crop(picture))
        else:
            pixels = evaluation_pixels(picture, geometry)
        return pixels.flip(-1) if flips and torch.rand(()) < 0.5 else pixels


@pytest.mark.parametrize("size", [(40, 40), (SIDE, SIDE), (7, 300), (300, 7), (33, 61), (1, 1)])
def test_pixels_are_those_of_torchvisions_crop_from_the_same_seed(size):
    picture = picture_of(*size)
    for seed in range(12):
        for minimum_area, flips in ((0.08, True), (0.35, False), (0.9, True), (1.0, True)):
            geometry = Geometry(SIDE, 0.875, "bicubic" if seed % 2 else "bilinear")
            expected = reference(picture, geometry, minimum_area, flips, seed * 2**57)
            augmentation = Augmentation(minimum_area, flips)
            for given in (picture, np.asarray(picture)):
                assert torch.equal(augmentation(given, geometry, seed * 2**57), expected)


@pytest.mark.parametrize("interpolation", [*INTERPOLATIONS, NEAREST_EXACT])
def test_every_interpolation_is_torchvisions(interpolation):
    picture, geometry = picture_of(50, 31), Geometry(SIDE, None, interpolation)
    for seed in range(3):
        made = Augmentation(0.35, True)(np.asarray(picture), geometry, seed)
        assert torch.equal(made, reference(picture, geometry, 0.35, True, seed))
