"""The transforms that invariance is measured on, with their severities.

They act on pixels in [0, 1] at the network's input resolution, before normalisation. Randomness (a crop's position, an
elastic field, noise) is drawn for each image from (seed, transform, severity, sample id), so results do not depend on
batch size, order or device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from hf_sslgen.analysis import pixel_operations as operations
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.randomness import derive_seed

Apply = Callable[[Tensor, Sequence[int]], Tensor]


@dataclass(frozen=True)
class Variant:
    """One transform at one severity.

    Attributes:
        transform: the transform's name.
        severity: as written in records, such as `+20` or `right 0.1`; empty if there is only one.
        apply: maps (B, 3, S, S) float32 in [0, 1] and a seed per image to new images of that shape and range.
        is_random: whether `apply` uses the seeds; if not, none are derived.
    """

    transform: str
    severity: str
    apply: Apply
    is_random: bool = True

    def __call__(self, pixels: Tensor, sample_ids: Sequence[int], seed: int) -> Tensor:
        """Transform images to values in [0, 1]; shape, device, dtype and memory format are those of `pixels`.

        Half-precision images are transformed in float32. Contiguous (not channels-last) float32 input is fastest.
        """
        drawn_for = sample_ids if self.is_random else ()
        seeds = [derive_seed(seed, self.transform, self.severity, int(sample_id)) for sample_id in drawn_for]
        moved = self.apply(pixels.float(), seeds).to(pixels.dtype)
        channels_last = pixels.is_contiguous(memory_format=torch.channels_last)
        return moved.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


RANDOM = ("resized_crop", "elastic", "gaussian_noise")
"""Transforms with random draws for each image."""


def _plain(function: Callable[..., Tensor], **settings: float) -> Apply:
    """Adapt an operation without randomness."""
    return lambda pixels, _: function(pixels, **settings)


def _on_bytes(function: Callable[[Tensor], Tensor]) -> Apply:
    return _plain(operations.on_bytes(function))


def _signed(value: float) -> str:
    return f"{value:+g}"


def _all_variants() -> tuple[Variant, ...]:
    variants: list[Variant] = []

    def add(transform: str, severity: str, apply: Apply) -> None:
        variants.append(Variant(transform, severity, apply, is_random=transform in RANDOM))

    for degrees in (-45, -30, -20, -10, 10, 20, 30, 45):
        add("rotation", _signed(degrees), _plain(operations.rotation, degrees=degrees))
    for share in (0.05, 0.1, 0.2):
        for name, (right, down) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
            move = _plain(operations.translation, right=right * share, down=down * share)
            add("translation", f"{name} {share:g}", move)
    for factor in (0.6, 0.8, 1.25, 1.6):
        add("scale", f"{factor:g}", _plain(operations.scale, factor=factor))
    for degrees in (-20, -10, 10, 20):
        add("shear", _signed(degrees), _plain(operations.shear, degrees=degrees))
    for area in (0.25, 0.5, 0.75):
        add("resized_crop", f"{area:g}", partial(operations.resized_crop, area=area))
    add("horizontal_flip", "", _plain(F.horizontal_flip))
    add("vertical_flip", "", _plain(F.vertical_flip))
    for displacement in (1, 2, 4):
        add("elastic", f"{displacement}", partial(operations.elastic, displacement=displacement))
    for transform, function in (
        ("brightness", operations.brightness),
        ("contrast", operations.contrast),
        ("saturation", operations.saturation),
    ):
        for factor in (0.4, 0.7, 1.4, 1.8):
            add(transform, f"{factor:g}", _plain(function, factor=factor))
    for turn in (-0.2, -0.1, 0.1, 0.2):
        add("hue", _signed(turn), _plain(operations.hue, turn=turn))
    add("grayscale", "", _plain(F.rgb_to_grayscale, num_output_channels=3))
    for sigma in (0.5, 1, 2):
        add("gaussian_blur", f"{sigma:g}", _plain(operations.gaussian_blur, sigma=sigma))
    for factor in (2, 5):
        add("sharpness", f"{factor:g}", _plain(operations.sharpness, factor=factor))
    for bits in (2, 4):
        add("posterize", f"{bits}", _on_bytes(partial(F.posterize, bits=bits)))
    add("solarize", "0.5", _plain(F.solarize, threshold=0.5))
    add("invert", "", _plain(F.invert))
    add("equalize", "", _on_bytes(F.equalize))
    for quality in (10, 30, 60):
        add("jpeg", f"{quality}", _plain(operations.jpeg, quality=quality))
    for deviation in (0.02, 0.05, 0.1):
        add("gaussian_noise", f"{deviation:g}", partial(operations.gaussian_noise, deviation=deviation))
    return tuple(variants)


VARIANTS = {(variant.transform, variant.severity): variant for variant in _all_variants()}
TRANSFORMS = tuple(dict.fromkeys(transform for transform, _ in VARIANTS))

_QUICK = (
    ("rotation", "+20"),
    ("translation", "right 0.1"),
    ("resized_crop", "0.5"),
    ("horizontal_flip", ""),
    ("brightness", "1.4"),
    ("hue", "+0.1"),
    ("gaussian_blur", "1"),
    ("jpeg", "30"),
)
_STANDARD_SEVERITIES = {
    "rotation": ("+20", "-30"),
    "translation": ("right 0.1", "down 0.1"),
    "scale": ("0.8", "1.25"),
    "shear": ("+10", "-20"),
    "resized_crop": ("0.5", "0.25"),
    "elastic": ("2", "4"),
    "brightness": ("0.7", "1.4"),
    "contrast": ("0.7", "1.4"),
    "saturation": ("0.7", "1.4"),
    "hue": ("-0.1", "+0.1"),
    "gaussian_blur": ("1", "2"),
    "sharpness": ("2", "5"),
    "posterize": ("4", "2"),
    "jpeg": ("30", "10"),
    "gaussian_noise": ("0.05", "0.1"),
}
PRESETS = ("quick", "standard", "full")


def preset_variants(preset: str, gray: bool, not_label_preserving: Sequence[str] = ()) -> tuple[Variant, ...]:
    """Return the variants of a preset.

    Args:
        gray: whether the domain's images are grayscale; `quick` then changes contrast instead of hue.
        not_label_preserving: transforms that may change a label of the domain; `quick` omits the flip if it may.

    Raises:
        InputError: the preset is unknown.
    """
    if preset == "full":
        return tuple(VARIANTS.values())
    if preset == "standard":
        return tuple(
            VARIANTS[transform, severity]
            for transform in TRANSFORMS
            for severity in _STANDARD_SEVERITIES.get(transform, [s for t, s in VARIANTS if t == transform])
        )
    if preset == "quick":
        chosen = [("contrast", "0.7") if gray and transform == "hue" else (transform, s) for transform, s in _QUICK]
        mirrored = ("horizontal_flip", "")
        return tuple(VARIANTS[key] for key in chosen if key != mirrored or key[0] not in not_label_preserving)
    raise InputError(
        hinted(f"transforms {preset!r} is not a preset; choose from {', '.join(PRESETS)}", preset, PRESETS)
    )
