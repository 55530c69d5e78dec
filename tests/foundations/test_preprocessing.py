"""From pictures to pixels, against Pillow, torchvision and timm on real photographs."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data import create_transform
from torchvision.transforms import v2

from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing, evaluation_pixels, normalise

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """640 x 427 pixels."""
    return Image.fromarray(load_sample_image("china.jpg"))


SIZES = [(640, 427), (427, 640), (213, 211), (97, 130), (48, 48), (31, 90)]


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "lanczos", "nearest"])
@pytest.mark.parametrize(("image_size", "crop_pct"), [(96, 0.875), (97, 0.9), (64, 0.95), (64, 1.0), (33, 0.7)])
def test_pixels_are_those_of_timms_evaluation(photograph, image_size, crop_pct, interpolation):
    transform = create_transform((3, image_size, image_size), interpolation=interpolation, crop_pct=crop_pct)
    preprocessing = Preprocessing(Geometry(image_size, crop_pct, interpolation), MEAN, STD)
    for size in SIZES:
        image = photograph.resize(size)
        pixels = evaluation_pixels(image, preprocessing.geometry)
        assert pixels.dtype == torch.uint8 and pixels.shape == (3, image_size, image_size)
        assert torch.allclose(normalise(pixels, preprocessing), transform(image), atol=1e-6)


def test_squeezed_pixels_are_torchvisions(photograph):
    expected = v2.Resize((50, 50), v2.InterpolationMode.BICUBIC)(photograph)
    pixels = evaluation_pixels(photograph, Geometry(50, None, "bicubic"))
    assert np.array_equal(pixels.permute(1, 2, 0).numpy(), np.asarray(expected))


def test_normalise_takes_bytes_and_floats(photograph):
    preprocessing = Preprocessing(Geometry(32, 1.0, "bicubic"), MEAN, STD)
    pixels = evaluation_pixels(photograph, preprocessing.geometry)[None]
    expected = v2.Normalize(MEAN, STD)(pixels.float() / 255)
    for values in (pixels, pixels.float() / 255, pixels.double() / 255):
        normalised = normalise(values, preprocessing)
        assert normalised.dtype == torch.float32
        assert torch.allclose(normalised, expected, atol=1e-6)
