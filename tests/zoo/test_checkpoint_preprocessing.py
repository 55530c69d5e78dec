"""What is read off image processors, against what they themselves do to a real photograph."""

import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from transformers import (
    BitImageProcessor,
    ConvNextImageProcessor,
    PoolFormerImageProcessor,
    ViTConfig,
    ViTImageProcessor,
)

from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Geometry, evaluation_pixels, normalise
from hf_sslgen.zoo.preprocessing import IMAGENET_PREPROCESSING, read_preprocessing

MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.25, 0.3]
PROCESSORS = {
    "convnext": (
        ConvNextImageProcessor(size={"shortest_edge": 84}, crop_pct=0.875, image_mean=MEAN, image_std=STD),
        Geometry(84, 0.875, "bicubic"),
    ),
    "convnext, squeezed from 384 px on": (
        ConvNextImageProcessor(size={"shortest_edge": 384}, crop_pct=0.875),
        Geometry(384, None, "bicubic"),
    ),
    "shorter side and crop, where 84 / (84 / 150) rounds down to 149": (
        BitImageProcessor(size={"shortest_edge": 150}, crop_size={"height": 84, "width": 84}, image_mean=MEAN),
        Geometry(84, pytest.approx(84 / 150), "bicubic"),
    ),
    "crop with a share": (
        PoolFormerImageProcessor(size={"shortest_edge": 96}, crop_pct=0.9, crop_size={"height": 96, "width": 96}),
        Geometry(96, 0.9, "bicubic"),
    ),
    "square, nearest": (
        ViTImageProcessor(size={"height": 80, "width": 80}, resample=0),
        Geometry(80, None, "nearest"),
    ),
    "no normalisation": (
        ViTImageProcessor(size={"height": 80, "width": 80}, do_normalize=False),
        Geometry(80, None, "bilinear"),
    ),
    "rescaled to [0, 2]": (
        ViTImageProcessor(size={"height": 80, "width": 80}, rescale_factor=2 / 255, image_mean=[1.0] * 3),
        Geometry(80, None, "bilinear"),
    ),
    "not rescaled": (
        ViTImageProcessor(size={"height": 80, "width": 80}, do_rescale=False, image_mean=[127.5] * 3),
        Geometry(80, None, "bilinear"),
    ),
}


@pytest.mark.parametrize("kind", PROCESSORS)
def test_pixels_are_the_processors_own(kind, tmp_path):
    processor, geometry = PROCESSORS[kind]
    processor.save_pretrained(tmp_path)
    preprocessing = read_preprocessing(tmp_path, ViTConfig())
    assert preprocessing.geometry == geometry
    # With these sides every margin is even: transformers rounds odd ones down, timm and torchvision to even numbers.
    photograph = Image.fromarray(load_sample_image("china.jpg")).resize((512, 384))
    expected = processor(photograph, return_tensors="pt")["pixel_values"][0].float()
    found = normalise(evaluation_pixels(photograph, preprocessing.geometry), preprocessing)
    assert found.shape == expected.shape
    assert float((found - expected).abs().mean() / expected.std()) < 0.02


def test_processor_that_cannot_be_followed_is_refused(tmp_path):
    ViTImageProcessor(size={"max_height": 80, "max_width": 80}).save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"image processor of .* can't be followed"):
        read_preprocessing(tmp_path, ViTConfig())


def test_silent_checkpoint_gets_imagenets_preprocessing_with_a_warning(tmp_path, caplog):
    assert read_preprocessing(tmp_path, ViTConfig()) == IMAGENET_PREPROCESSING
    assert "says nothing about its preprocessing" in caplog.text
