"""Transforms: the severities of the definition, real pictures, Pillow's versions, and independence of the batch."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from hf_sslgen.analysis.families import FAMILIES, GEOMETRIC, families_of
from hf_sslgen.analysis.transforms import TRANSFORMS, VARIANTS, Variant, preset_variants
from hf_sslgen.domains.registry import EMBEDDED_FOLDER
from hf_sslgen.domains.registry import TRANSFORMS as REGISTERED_TRANSFORMS
from hf_sslgen.errors import InputError

FACTORS = ("0.4", "0.7", "1.4", "1.8")
SEVERITIES = {
    "rotation": ("-45", "-30", "-20", "-10", "+10", "+20", "+30", "+45"),
    "translation": tuple(f"{way} {share}" for share in (0.05, 0.1, 0.2) for way in ("left", "right", "up", "down")),
    "scale": ("0.6", "0.8", "1.25", "1.6"),
    "shear": ("-20", "-10", "+10", "+20"),
    "resized_crop": ("0.25", "0.5", "0.75"),
    "horizontal_flip": ("",),
    "vertical_flip": ("",),
    "elastic": ("25", "50", "100"),
    "brightness": FACTORS,
    "contrast": FACTORS,
    "saturation": FACTORS,
    "hue": ("-0.2", "-0.1", "+0.1", "+0.2"),
    "grayscale": ("",),
    "gaussian_blur": ("0.5", "1", "2"),
    "sharpness": ("2", "5"),
    "posterize": ("2", "4"),
    "solarize": ("0.5",),
    "invert": ("",),
    "equalize": ("",),
    "jpeg": ("10", "30", "60"),
    "gaussian_noise": ("0.02", "0.05", "0.1"),
}
QUICK = [
    ("rotation", "+20"),
    ("translation", "right 0.1"),
    ("resized_crop", "0.5"),
    ("horizontal_flip", ""),
    ("brightness", "1.4"),
    ("hue", "+0.1"),
    ("gaussian_blur", "1"),
    ("jpeg", "30"),
]
RANDOM = ("resized_crop", "elastic", "gaussian_noise")
IDS = [7, 11]
BILINEAR = F.InterpolationMode.BILINEAR


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """(2, 3, 224, 224): two photographs, at the side to which severities refer."""
    bytes_ = [load_sample_image(name)[100:324, 200:424] for name in ("china.jpg", "flower.jpg")]
    return torch.from_numpy(np.stack(bytes_)).permute(0, 3, 1, 2).float() / 255


def embedded_pictures(domain: str, count: int) -> list[Image.Image]:
    rows = pq.read_table(EMBEDDED_FOLDER / domain / "test.parquet")["image"].slice(0, count).to_pylist()
    return [Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in rows]


def stacked(pictures: list[Image.Image]) -> Tensor:
    return torch.stack([F.pil_to_tensor(picture) for picture in pictures]).float() / 255


def keys(variants: tuple[Variant, ...]) -> list[tuple[str, str]]:
    return [(variant.transform, variant.severity) for variant in variants]


def test_full_has_every_severity_of_the_definition() -> None:
    expected = [(transform, severity) for transform, of_one in SEVERITIES.items() for severity in of_one]
    assert keys(preset_variants("full", gray=False)) == expected
    assert len(expected) == 69
    assert list(VARIANTS) == expected


def test_standard_has_two_severities_where_there_are_two() -> None:
    chosen = keys(preset_variants("standard", gray=False))
    assert len(chosen) == len(set(chosen))
    assert all(severity in SEVERITIES[transform] for transform, severity in chosen)
    of_each = {transform: sum(name == transform for name, _ in chosen) for transform in SEVERITIES}
    assert of_each == {transform: min(2, len(of_one)) for transform, of_one in SEVERITIES.items()}


def test_quick_is_the_list_of_the_definition() -> None:
    assert keys(preset_variants("quick", gray=False)) == QUICK
    on_gray = [("contrast", "0.7") if key[0] == "hue" else key for key in QUICK]
    assert keys(preset_variants("quick", gray=True)) == on_gray
    unmirrored = keys(preset_variants("quick", gray=False, not_label_preserving=("horizontal_flip", "invert")))
    assert unmirrored == [key for key in QUICK if key[0] != "horizontal_flip"]


def test_an_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"quick, standard, full.*did you mean 'quick'"):
        preset_variants("quik", gray=False)


def test_the_registry_of_domains_speaks_of_the_same_transforms() -> None:
    assert REGISTERED_TRANSFORMS == TRANSFORMS
    assert set(GEOMETRIC) < set(TRANSFORMS)


def test_families_take_label_preserving_variants_that_change_two_images() -> None:
    assert FAMILIES == ("mean", "mean_geometric", "mean_appearance")
    assert families_of("rotation", 2, ()) == ("mean", "mean_geometric")
    assert families_of("hue", 100, ("rotation",)) == ("mean", "mean_appearance")
    assert families_of("hue", 1, ()) == ()
    assert families_of("rotation", 100, ("rotation",)) == ()


@pytest.mark.parametrize("variant", VARIANTS.values(), ids=lambda variant: f"{variant.transform} {variant.severity}")
def test_a_variant_changes_photographs_one_by_one(variant: Variant, photographs: Tensor) -> None:
    before = photographs.clone()
    moved = variant(photographs, IDS, seed=3)
    assert torch.equal(photographs, before)
    assert moved.shape == photographs.shape
    assert moved.dtype == torch.float32
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert ((moved - photographs).abs().amax((1, 2, 3)) > 2 / 255).all()
    alone = torch.cat([variant(photographs[[index]], [IDS[index]], seed=3) for index in (1, 0)]).flip(0)
    assert torch.equal(alone, moved) or (alone - moved).abs().max() < 1e-6


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_only_random_transforms_depend_on_seed_and_image(transform: str, photographs: Tensor) -> None:
    variant = VARIANTS[transform, SEVERITIES[transform][0]]
    one, same = photographs[:1], variant(photographs[:1], [7], seed=3)
    for other in (variant(one, [7], seed=4), variant(one, [8], seed=3)):
        assert torch.equal(other, same) == (transform not in RANDOM)


def test_severities_of_one_random_transform_draw_apart(photographs: Tensor) -> None:
    weak, strong = (
        VARIANTS["gaussian_noise", severity](torch.full((1, 3, 64, 64), 0.5), [7], seed=3) - 0.5
        for severity in ("0.02", "0.05")
    )
    assert weak.std() == pytest.approx(0.02, rel=0.05)
    assert strong.std() == pytest.approx(0.05, rel=0.05)
    assert abs(float(torch.corrcoef(torch.stack([weak.flatten(), strong.flatten()]))[0, 1])) < 0.05


def enhanced(function: Callable[..., Any], *arguments: Any) -> Callable[[Image.Image], Image.Image]:
    return lambda picture: function(picture, *arguments)


def moved_right(picture: Image.Image) -> Image.Image:
    return F.affine(picture, 0.0, [round(0.2 * picture.width), 0], 1.0, [0.0, 0.0])


PILLOW = {
    ("rotation", "+30"): lambda picture: picture.rotate(30, Image.Resampling.BILINEAR),
    ("rotation", "-20"): lambda picture: picture.rotate(-20, Image.Resampling.BILINEAR),
    ("translation", "right 0.2"): moved_right,
    ("scale", "1.25"): lambda picture: F.affine(picture, 0.0, [0, 0], 1.25, [0.0, 0.0], interpolation=BILINEAR),
    ("shear", "+20"): lambda picture: F.affine(picture, 0.0, [0, 0], 1.0, [20.0, 0.0], interpolation=BILINEAR),
    ("horizontal_flip", ""): lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    ("vertical_flip", ""): lambda picture: picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    ("brightness", "1.4"): enhanced(F.adjust_brightness, 1.4),
    ("contrast", "0.4"): enhanced(F.adjust_contrast, 0.4),
    ("saturation", "1.8"): enhanced(F.adjust_saturation, 1.8),
    ("hue", "+0.1"): enhanced(F.adjust_hue, 0.1),
    ("sharpness", "5"): enhanced(F.adjust_sharpness, 5),
    ("grayscale", ""): lambda picture: picture.convert("L").convert("RGB"),
    ("posterize", "2"): enhanced(F.posterize, 2),
    ("solarize", "0.5"): enhanced(F.solarize, 128),
    ("invert", ""): enhanced(F.invert),
    ("equalize", ""): enhanced(F.equalize),
}


@pytest.mark.parametrize("key", PILLOW, ids=" ".join)
def test_variants_agree_with_pillow(key: tuple[str, str]) -> None:
    pictures = embedded_pictures("photo-patches", 6)
    moved = VARIANTS[key](stacked(pictures), range(6), seed=0)
    expected = stacked([PILLOW[key](picture) for picture in pictures])
    assert (moved - expected).abs().mean() < 1.5 / 255


def test_translations_go_where_they_say() -> None:
    side, share = 40, 4
    dot = torch.zeros(1, 3, side, side)
    dot[..., 20, 20] = 1
    for way, (row, column) in {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}.items():
        moved = VARIANTS["translation", f"{way} 0.1"](dot, [0], seed=0)
        assert moved[0, 0, 20 + share * row, 20 + share * column] == 1


def test_resized_crops_show_part_of_the_image(photographs: Tensor) -> None:
    ramp = torch.linspace(0, 1, 224).expand(1, 3, 224, 224)
    shown = VARIANTS["resized_crop", "0.25"](ramp, [1], seed=0)
    assert shown.max() - shown.min() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("key", [("hue", "+0.1"), ("hue", "-0.2"), ("saturation", "1.8"), ("grayscale", "")])
def test_colour_transforms_leave_gray_images_alone(key: tuple[str, str]) -> None:
    digits = stacked(embedded_pictures("digits", 6))
    assert (VARIANTS[key](digits, range(6), seed=0) - digits).abs().max() < 0.5 / 255
