"""Transforms: the severities of the definition, and independence of batch, order, dtype, layout and device."""

import math

import pytest
import torch
from real_pictures import coordinate_ramps, embedded_pictures, photograph_pictures, stacked
from torch import Tensor

from hf_sslgen.analysis.families import FAMILIES, GEOMETRIC, families_of
from hf_sslgen.analysis.transforms import TRANSFORMS, VARIANTS, Variant, preset_variants
from hf_sslgen.domains.domain_registry import TRANSFORMS as REGISTERED_TRANSFORMS
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
    "elastic": ("1", "2", "4"),
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
EVERY_VARIANT = pytest.mark.parametrize(
    "variant", VARIANTS.values(), ids=lambda variant: f"{variant.transform} {variant.severity}"
)


@pytest.fixture(scope="module")
def photographs() -> Tensor:
    """(2, 3, 224, 224): two photographs, at the side to which severities refer."""
    return stacked(photograph_pictures(224))


@pytest.fixture(scope="module")
def thumbnails() -> Tensor:
    """(5, 3, 64, 64): photographs at the side of the small twins' input."""
    return stacked([*photograph_pictures(64), *embedded_pictures("photo-patches", 3, side=64)])


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


@EVERY_VARIANT
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


@EVERY_VARIANT
def test_neither_batch_nor_order_nor_layout_matters(variant: Variant, thumbnails: Tensor) -> None:
    together = variant(thumbnails, [5, 6, 7, 8, 9], seed=3)
    assert ((together - thumbnails).abs().amax((1, 2, 3)) > 1 / 255).all()
    order = [3, 0, 4]
    some = variant(thumbnails[order], [[5, 6, 7, 8, 9][index] for index in order], seed=3)
    torch.testing.assert_close(some, together[order], rtol=0, atol=1e-6)
    shuffled = variant(thumbnails.contiguous(memory_format=torch.channels_last), [5, 6, 7, 8, 9], seed=3)
    assert shuffled.is_contiguous(memory_format=torch.channels_last)
    assert together.is_contiguous()
    torch.testing.assert_close(shuffled, together, rtol=0, atol=1e-6)


@EVERY_VARIANT
def test_half_precision_is_transformed_in_single(variant: Variant, thumbnails: Tensor) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        halves = thumbnails.to(dtype)
        moved = variant(halves, range(5), seed=3)
        assert moved.dtype == dtype
        assert torch.equal(moved, variant(halves.float(), range(5), seed=3).to(dtype))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@EVERY_VARIANT
def test_a_gpu_draws_and_computes_the_same(variant: Variant, thumbnails: Tensor) -> None:
    moved = variant(thumbnails.cuda(), range(5), seed=3)
    assert moved.is_cuda
    # A value that lies between two 8-bit levels, or two steps of hue, may fall to either side.
    apart = (moved.cpu() - variant(thumbnails, range(5), seed=3)).abs() > 1e-4
    assert apart.float().mean() < 0.001


@pytest.mark.parametrize("num_threads", [1, 2, 3])
def test_threads_do_not_change_jpeg(num_threads: int, photographs: Tensor) -> None:
    images = torch.cat([photographs.roll(shift, -1) for shift in range(13)])
    expected = torch.cat([VARIANTS["jpeg", "30"](image[None], [0], seed=0) for image in images])
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        assert torch.equal(VARIANTS["jpeg", "30"](images, range(26), seed=0), expected)
    finally:
        torch.set_num_threads(before)


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


def test_a_turn_of_hue_keeps_value_and_saturation(thumbnails: Tensor) -> None:
    for severity in SEVERITIES["hue"]:
        turned = VARIANTS["hue", severity](thumbnails, range(5), seed=0)
        torch.testing.assert_close(turned.amax(1), thumbnails.amax(1), rtol=0, atol=1e-6)
        torch.testing.assert_close(turned.amin(1), thumbnails.amin(1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("side", [64, 224])
@pytest.mark.parametrize("severity", SEVERITIES["gaussian_blur"])
def test_a_blurred_dot_has_the_variance_of_the_gaussian(severity: str, side: int) -> None:
    dot = torch.zeros(1, 3, side, side)
    dot[..., side // 2, side // 2] = 1
    spread = VARIANTS["gaussian_blur", severity](dot, [0], seed=0)[0, 0].double()
    offsets = torch.arange(side).double() - side // 2
    expected = (float(severity) * side / 224) ** 2
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    # Samples and the cut at three sigma lose some of it.
    for direction in (0, 1):
        assert (spread.sum(direction) * offsets**2).sum() == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize(("side", "furthest"), [(32, 2.35), (64, 2.85), (224, 3.4)])
def test_elastic_displacement_over_the_whole_image(
    side: int, furthest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = []

    def sampled(pixels: Tensor, grid: Tensor, align_corners: bool) -> Tensor:
        places.append(grid)
        return torch.zeros_like(pixels)

    monkeypatch.setattr("hf_sslgen.analysis.pixel_operations.nn.grid_sample", sampled)
    VARIANTS["elastic", "2"](torch.zeros(16, 3, side, side), list(range(16)), seed=0)
    centres = (2 * torch.arange(side) + 1) / side - 1
    identity = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], -1)
    squares = ((places[0] - identity) * side / 2).square().sum(-1)
    stated = 2 * side / 224
    assert squares.mean().sqrt() == pytest.approx(stated, rel=0.03)
    assert squares.flatten(1).amax(1).sqrt().mean() == pytest.approx(furthest * stated, rel=0.1)


def elastic_displacement(severity: str, side: int, sample_ids: list[int]) -> Tensor:
    """(B, 2, side, side) pixels, right and down, as transformed ramps of coordinates show them; not at the edges."""
    images = coordinate_ramps(side).expand(len(sample_ids), -1, -1, -1)
    moved = VARIANTS["elastic", severity](images, sample_ids, seed=3)
    return ((moved - images) * side)[:, :2]


@pytest.mark.parametrize("severity", SEVERITIES["elastic"])
@pytest.mark.parametrize("side", [64, 224])
def test_elastic_fields_have_the_strength_and_smoothness_of_their_definition(severity: str, side: int) -> None:
    edge, share = side // 11, side / 224
    field = elastic_displacement(severity, side, list(range(8)))[..., edge:-edge, edge:-edge]
    # Pixels move as far as the severity says in shares of the side, in the middle a little less than at the edges.
    assert field.square().sum(1).mean().sqrt() == pytest.approx(float(severity) * share, rel=0.1)
    sigma = 5 * share
    for lag in (round(sigma), round(2 * sigma)):
        pairs = torch.stack([field[..., lag:].flatten(), field[..., :-lag].flatten()])
        assert torch.corrcoef(pairs)[0, 1] == pytest.approx(math.exp(-((lag / (2 * sigma)) ** 2)), abs=0.1)
    assert abs(float(torch.corrcoef(torch.stack([field[:, 0].flatten(), field[:, 1].flatten()]))[0, 1])) < 0.15
