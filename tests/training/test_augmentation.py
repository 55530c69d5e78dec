"""Random views for pretraining."""

import dataclasses

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.training.augmentation import AugmentationPolicy, crop_and_flip, jitter_colours, random_view

STILL = AugmentationPolicy(
    minimum_area=1.0,
    aspect_ratio=1.0,
    flip_probability=0.0,
    jitter_probability=0.0,
    grayscale_probability=0.0,
)


def real_pixels(count: int = 6) -> torch.Tensor:
    split = load_domain(DomainArguments("photo-patches")).test
    geometry = Geometry(48, 1.0, "bilinear")
    return torch.stack([evaluation_pixels(split.image(20 * i), geometry) for i in range(count)]).float() / 255


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_seed_decides_the_view_and_images_get_their_own_parameters():
    pixels = real_pixels(1).expand(4, -1, -1, -1)
    view = random_view(pixels, AugmentationPolicy(), generator(1))
    assert torch.equal(view, random_view(pixels, AugmentationPolicy(), generator(1)))
    assert not torch.equal(view, random_view(pixels, AugmentationPolicy(), generator(2)))
    assert not torch.equal(view[0], view[1])
    assert view.shape == pixels.shape
    assert view.min() >= 0
    assert view.max() <= 1


def test_a_policy_without_change_changes_nothing():
    pixels = real_pixels()
    torch.testing.assert_close(random_view(pixels, STILL, generator()), pixels, atol=2e-6, rtol=0)


def test_flip_mirrors():
    pixels = real_pixels()
    flipped = crop_and_flip(pixels, dataclasses.replace(STILL, flip_probability=1.0), generator())
    torch.testing.assert_close(flipped, pixels.flip(-1), atol=2e-6, rtol=0)


def test_grayscale_is_torchvisions():
    pixels = real_pixels()
    gray = jitter_colours(pixels, dataclasses.replace(STILL, grayscale_probability=1.0), generator())
    expected = F.rgb_to_grayscale(pixels, num_output_channels=3)
    torch.testing.assert_close(gray, expected, atol=1e-3, rtol=0)


def test_a_crop_is_a_part_of_the_image():
    ramp = torch.linspace(0, 1, 48)[None, None, None, :].expand(300, 3, 48, 48)
    policy = dataclasses.replace(STILL, minimum_area=0.25)
    crops = crop_and_flip(ramp, policy, generator())
    widths = (crops[:, 0, 0, -1] - crops[:, 0, 0, 0]).numpy()
    areas = widths**2  # square crops of a ramp over the whole width
    assert 0.2 < areas.min() < 0.35
    assert areas.max() <= 1.001
    assert np.abs(areas.mean() - 0.625) < 0.05


def test_strong_jitter_changes_brightness_and_keeps_gray_gray():
    gray = torch.full((50, 3, 8, 8), 0.5)
    policy = dataclasses.replace(STILL, jitter_probability=1.0)
    jittered = jitter_colours(gray, policy, generator())
    torch.testing.assert_close(jittered[:, 0], jittered[:, 1], atol=2e-3, rtol=0)
    assert jittered[:, 0, 0, 0].std() > 0.05
