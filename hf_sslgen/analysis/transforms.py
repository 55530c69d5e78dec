"""The transforms whose invariance is measured, with their severities.

They act on pixels in [0, 1] at the network's input resolution, before normalisation. Randomness (a crop's place, an
elastic field, noise) is drawn for each image from (seed, transform, severity, sample id), so a result depends neither
on the batch size nor on the order.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.randomness import derive_seed

REFERENCE_SIDE = 224
"""Blur and elastic strengths are stated in pixels of an image of this side and scaled to others."""

BILINEAR = InterpolationMode.BILINEAR


@dataclass(frozen=True)
class Variant:
    """One transform at one severity.

    Attributes:
        transform: its name.
        severity: as written in records, such as `+20` or `right 0.1`; empty where there is only one.
        apply: (B, 3, S, S) floats in [0, 1] and a generator for each image, to transformed images.
    """

    transform: str
    severity: str
    apply: Callable[[Tensor, Sequence[torch.Generator]], Tensor]

    def __call__(self, pixels: Tensor, sample_ids: Sequence[int], seed: int) -> Tensor:
        """Transformed images, same shape and device, values in [0, 1]."""
        generators = [
            torch.Generator().manual_seed(derive_seed(seed, self.transform, self.severity, int(sample_id)))
            for sample_id in sample_ids
        ]
        return self.apply(pixels, generators).clamp(0, 1)


def _plain(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Sequence[torch.Generator]], Tensor]:
    return lambda pixels, _: function(pixels)


def _on_bytes(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Sequence[torch.Generator]], Tensor]:
    """For operations that are defined on 8-bit images."""
    return lambda pixels, _: function((pixels * 255).round().to(torch.uint8)).to(pixels.dtype) / 255


def _affine(pixels: Tensor, translate: tuple[float, float] = (0, 0), scale: float = 1, shear: float = 0) -> Tensor:
    side = pixels.shape[-1]
    moved = [round(share * side) for share in translate]
    return F.affine(pixels, 0.0, moved, scale, [shear, 0.0], interpolation=BILINEAR)


def _resized_crop(area: float) -> Callable[[Tensor, Sequence[torch.Generator]], Tensor]:
    def apply(pixels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        side = pixels.shape[-1]
        cut = round(side * math.sqrt(area))
        cropped = []
        for image, generator in zip(pixels, generators, strict=True):
            top, left = torch.randint(0, side - cut + 1, (2,), generator=generator).tolist()
            cropped.append(F.resized_crop(image, top, left, cut, cut, [side, side], BILINEAR, antialias=True))
        return torch.stack(cropped)

    return apply


def _elastic(alpha: float) -> Callable[[Tensor, Sequence[torch.Generator]], Tensor]:
    def apply(pixels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        side = pixels.shape[-1]
        strength = alpha * side / REFERENCE_SIDE
        bent = []
        for image, generator in zip(pixels, generators, strict=True):
            noise = torch.rand(2, side, side, generator=generator).to(pixels.device) * 2 - 1
            kernel = min(8 * 5 + 1, 2 * ((side - 1) // 2) - 1)
            field = F.gaussian_blur(noise, [kernel, kernel], [5.0, 5.0]) * (2 * strength / side)
            bent.append(F.elastic(image, field.permute(1, 2, 0)[None], interpolation=BILINEAR))
        return torch.stack(bent)

    return apply


def _blur(sigma: float) -> Callable[[Tensor], Tensor]:
    def apply(pixels: Tensor) -> Tensor:
        scaled = sigma * pixels.shape[-1] / REFERENCE_SIDE
        kernel = 2 * math.ceil(3 * scaled) + 1
        return F.gaussian_blur(pixels, [kernel, kernel], [scaled, scaled])

    return apply


def _jpeg(quality: int) -> Callable[[Tensor], Tensor]:
    def apply(pixels: Tensor) -> Tensor:
        return torch.stack([F.jpeg(image.cpu(), quality) for image in pixels]).to(pixels.device)

    return apply


def _noise(deviation: float) -> Callable[[Tensor, Sequence[torch.Generator]], Tensor]:
    def apply(pixels: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        noise = torch.stack([torch.randn(pixels.shape[1:], generator=generator) for generator in generators])
        return pixels + deviation * noise.to(pixels)

    return apply


def _adjusted(function: Callable[[Tensor, float], Tensor], amount: float) -> Callable[[Tensor], Tensor]:
    return lambda pixels: function(pixels, amount)


def _signed(value: float) -> str:
    return f"{value:+g}"


def _all_variants() -> tuple[Variant, ...]:
    variants: list[Variant] = []

    def add(transform: str, severity: str, apply: Callable[[Tensor, Sequence[torch.Generator]], Tensor]) -> None:
        variants.append(Variant(transform, severity, apply))

    for angle in (-45, -30, -20, -10, 10, 20, 30, 45):
        add("rotation", _signed(angle), _plain(partial(F.rotate, angle=angle, interpolation=BILINEAR)))
    for share in (0.05, 0.1, 0.2):
        for name, (right, down) in {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}.items():
            move = (right * share, down * share)
            add("translation", f"{name} {share:g}", _plain(partial(_affine, translate=move)))
    for factor in (0.6, 0.8, 1.25, 1.6):
        add("scale", f"{factor:g}", _plain(partial(_affine, scale=factor)))
    for angle in (-20, -10, 10, 20):
        add("shear", _signed(angle), _plain(partial(_affine, shear=angle)))
    for area in (0.25, 0.5, 0.75):
        add("resized_crop", f"{area:g}", _resized_crop(area))
    add("horizontal_flip", "", _plain(F.horizontal_flip))
    add("vertical_flip", "", _plain(F.vertical_flip))
    for alpha in (25, 50, 100):
        add("elastic", f"{alpha:g}", _elastic(alpha))
    for transform, function in (
        ("brightness", F.adjust_brightness),
        ("contrast", F.adjust_contrast),
        ("saturation", F.adjust_saturation),
    ):
        for factor in (0.4, 0.7, 1.4, 1.8):
            add(transform, f"{factor:g}", _plain(_adjusted(function, factor)))
    for turn in (-0.2, -0.1, 0.1, 0.2):
        add("hue", _signed(turn), _plain(_adjusted(F.adjust_hue, turn)))
    add("grayscale", "", _plain(partial(F.rgb_to_grayscale, num_output_channels=3)))
    for sigma in (0.5, 1, 2):
        add("gaussian_blur", f"{sigma:g}", _plain(_blur(sigma)))
    for factor in (2, 5):
        add("sharpness", f"{factor:g}", _plain(_adjusted(F.adjust_sharpness, factor)))
    for bits in (2, 4):
        add("posterize", f"{bits}", _on_bytes(_adjusted(F.posterize, bits)))
    add("solarize", "0.5", _plain(_adjusted(F.solarize, 0.5)))
    add("invert", "", _plain(F.invert))
    add("equalize", "", _on_bytes(F.equalize))
    for quality in (10, 30, 60):
        add("jpeg", f"{quality}", _on_bytes(_jpeg(quality)))
    for deviation in (0.02, 0.05, 0.1):
        add("gaussian_noise", f"{deviation:g}", _noise(deviation))
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
    "elastic": ("50", "100"),
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
    """The variants of a preset.

    Args:
        gray: whether the domain's images have no colour; `quick` then changes contrast where it would change hue.
        not_label_preserving: transforms that may change a label of the domain; `quick` mirrors only where it may.

    Raises:
        InputError: an unknown preset.
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
        f"transforms {preset!r} is no preset; choose from {', '.join(PRESETS)}. "
        f"{nearest_names(preset, PRESETS)}".rstrip()
    )
