"""Every variant against torchvision's version for Pillow images, on real pictures."""

import io
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from real_pictures import coordinate_ramps, embedded_pictures, photograph_pictures, pictures_of, stacked
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from hf_sslgen.analysis.transforms import VARIANTS

BILINEAR = F.InterpolationMode.BILINEAR
WAYS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
RANDOM = ("resized_crop", "elastic", "gaussian_noise")
LOOSER = ("rotation", "shear", "hue")
"""Where Pillow interpolates or counts in integers: a mean and a share are asked for, not every pixel."""

OF_COLOUR = ("saturation", "hue", "grayscale")
SOURCES = ("photographs", "photo-patches", "digits", "tiny-imagenet-100")

Picture = Image.Image


def recompressed(picture: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def reference(transform: str, severity: str, side: int) -> Callable[[Picture], Picture]:
    """What torchvision does to a Pillow image (Pillow itself, where torchvision has no such function)."""
    number = float(severity.split()[-1]) if severity else 0.0
    sigma = number * side / 224
    size = 2 * math.ceil(3 * sigma) + 1
    right, down = WAYS[severity.split()[0]] if transform == "translation" else (0, 0)
    moved = [round(number * side) * right, round(number * side) * down]

    def affine(picture: Picture, translate: list[int], scale: float = 1, shear: float = 0) -> Picture:
        return F.affine(picture, 0.0, translate, scale, [shear, 0.0], interpolation=BILINEAR)

    functions: dict[str, Callable[[Picture], Picture]] = {
        "rotation": lambda picture: F.rotate(picture, number, interpolation=BILINEAR),
        "translation": lambda picture: affine(picture, moved),
        "scale": lambda picture: affine(picture, [0, 0], scale=number),
        "shear": lambda picture: affine(picture, [0, 0], shear=number),
        "horizontal_flip": F.horizontal_flip,
        "vertical_flip": F.vertical_flip,
        "grayscale": lambda picture: F.rgb_to_grayscale(picture, 3),
        "gaussian_blur": lambda picture: F.gaussian_blur(picture, [size, size], [sigma, sigma]),
        "posterize": lambda picture: F.posterize(picture, int(number)),
        "solarize": lambda picture: F.solarize(picture, 128),
        "invert": F.invert,
        "equalize": F.equalize,
        "jpeg": lambda picture: recompressed(picture, int(number)),
        "brightness": lambda picture: F.adjust_brightness(picture, number),
        "contrast": lambda picture: F.adjust_contrast(picture, number),
        "saturation": lambda picture: F.adjust_saturation(picture, number),
        "hue": lambda picture: F.adjust_hue(picture, number),
        "sharpness": lambda picture: F.adjust_sharpness(picture, number),
    }
    return functions[transform]


@pytest.fixture(scope="module", params=SOURCES)
def pictures(request: pytest.FixtureRequest) -> list[Picture]:
    """Photographs at 224 pixels, and those of three domains at 64 (digits are gray)."""
    if request.param == "photographs":
        return photograph_pictures(224)
    if request.param != "tiny-imagenet-100":
        return embedded_pictures(request.param, 40, side=64)
    shared: Path = request.getfixturevalue("shared_data")
    file = shared / "tiny-imagenet-100" / "data" / "validation-00000-of-00001.parquet"
    if not file.exists():
        pytest.skip(f"no {file}")
    return pictures_of(file, 40)


def levels_apart(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs() * 255


@pytest.mark.parametrize("key", [key for key in VARIANTS if key[0] not in RANDOM], ids=" ".join)
def test_variants_agree_with_those_of_pillow_images(key: tuple[str, str], pictures: list[Picture]) -> None:
    images, side = stacked(pictures), pictures[0].width
    if key[0] == "gaussian_blur" and float(key[1]) * side / 224 < 0.5:
        pytest.skip("torchvision's blur of less than half a pixel does nothing; ours is tested by its variance")
    moved = VARIANTS[key](images, range(len(pictures)), seed=0)
    apart = levels_apart(moved, stacked([reference(*key, side)(picture) for picture in pictures]))
    if key[0] in LOOSER:
        assert apart.mean() <= 1.5
        assert (apart.amax(1) > 2.001).float().mean() <= 0.03
    else:
        assert apart.max() <= 2.001


@pytest.mark.parametrize("key", VARIANTS, ids=" ".join)
def test_no_severity_is_the_identity(key: tuple[str, str], pictures: list[Picture]) -> None:
    images = stacked(pictures)
    gray = bool((images == images[:, :1]).all())
    if key[0] in OF_COLOUR and gray:
        pytest.skip("colour of gray images")
    if key == ("gaussian_blur", "0.5") and gray:
        pytest.skip("digits of 8 pixels, enlarged to 64, are smooth: no blur of a seventh of a pixel changes them")
    moved = VARIANTS[key](images, range(len(pictures)), seed=0)
    assert (levels_apart(moved, images).amax((1, 2, 3)) > 1.001).float().mean() > 0.5


@pytest.mark.parametrize("severity", ["0.25", "0.5", "0.75"])
def test_resized_crops_agree_with_those_of_pillow_images(severity: str, pictures: list[Picture]) -> None:
    side = pictures[0].width
    cut = round(side * math.sqrt(float(severity)))
    variant = VARIANTS["resized_crop", severity]
    places = set()
    for sample_id, picture in enumerate(pictures[:10]):
        seen = variant(coordinate_ramps(side), [sample_id], seed=0)[0] * side
        left, top = (round(float(plane.mean()) - cut / 2) for plane in seen[:2])
        places.add((left, top))
        expected = F.resized_crop(picture, top, left, cut, cut, [side, side], interpolation=BILINEAR)
        moved = variant(stacked([picture]), [sample_id], seed=0)
        assert levels_apart(moved, stacked([expected])).max() <= 2.001
    assert len(places) > min(len(pictures), 10) / 2


@pytest.mark.parametrize("severity", ["1", "2", "4"])
def test_elastic_agrees_with_that_of_pillow_images_in_the_same_field(severity: str) -> None:
    side, edge = 224, 20  # where the field leads outside, a ramp does not show it
    variant = VARIANTS["elastic", severity]
    for sample_id, picture in enumerate(photograph_pictures(side)):
        field = (variant(coordinate_ramps(side), [sample_id], seed=0) - coordinate_ramps(side))[:, :2] * 2
        expected = F.elastic(picture, field.permute(0, 2, 3, 1), interpolation=BILINEAR)
        apart = levels_apart(variant(stacked([picture]), [sample_id], seed=0), stacked([expected]))
        assert apart[..., edge:-edge, edge:-edge].max() <= 2.001
