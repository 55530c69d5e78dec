"""Settings of transformers' image processors: which geometry they describe, class by class where classes differ."""

import math
from collections.abc import Mapping
from typing import Any

from hf_sslgen.geometry import NEAREST_EXACT, Geometry
from hf_sslgen.zoo.pixel_check import PixelError

INTERPOLATION_NAMES = {0: NEAREST_EXACT, 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}

"""By the numbers of Pillow; the processors themselves use torch's."""

CONVNEXT_WARP_SIZE = 384
"""From this side on, transformers' ConvNext processor squeezes a picture into the square instead of cropping it."""

LEVIT_SHARE = 256 / 224
"""What transformers' LeViT processor multiplies a shorter side with before it resizes."""

FOLLOWED = frozenset(
    {
        "do_resize",
        "do_center_crop",
        "do_rescale",
        "do_normalize",
        "do_convert_rgb",
        "do_flip_channel_order",
        "size",
        "crop_size",
        "crop_pct",
        "resample",
        "rescale_factor",
        "rescale_offset",
        "include_top",
        "image_mean",
        "image_std",
        "image_processor_type",
        "default_to_square",
        "data_format",
        "return_tensors",
        "device",
        "disable_grouping",
    }
)
"""Settings whose effect is read or measured."""

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


def _sides(settings: Mapping[str, Any], key: str) -> dict[str, int]:
    """The sides that a size states; a number alone is both."""
    value = settings.get(key)
    if value is None:
        return {}
    if isinstance(value, int):
        return {"height": value, "width": value}
    return {name: side for name, side in dict(value).items() if side is not None}


def _square(sides: dict[str, int], key: str) -> int:
    height, width = sides.get("height"), sides.get("width")
    if height is None or width is None:
        raise PixelError(f"{key} {sides} is not a height and width")
    if height != width:
        raise PixelError(f"{key} {sides} is not square")
    return height


def _interpolation(settings: Mapping[str, Any]) -> str:
    resample = settings.get("resample")
    name = INTERPOLATION_NAMES.get(2 if resample is None else int(resample))
    if name is None:
        raise PixelError(f"resample {resample} is unknown")
    return name


def _crop_pct(side: int, resized: int, stated: float | None = None) -> float:
    """The share by which `Geometry` comes from `side` to exactly `resized`: the stated one where it does."""
    share = stated or side / resized
    for candidate in (share, side / resized, math.nextafter(side / resized, 0)):
        if math.floor(side / candidate) == resized:
            return candidate
    raise PixelError(f"no crop_pct leads from {side} to {resized} px")


def _crop_side(settings: Mapping[str, Any]) -> int | None:
    """Side of the square that is cut out of the centre; None where nothing is."""
    if not settings.get("do_center_crop"):
        return None
    return _square(_sides(settings, "crop_size"), "crop_size")


def _of_shorter_side(settings: Mapping[str, Any], kind: str, edge: int) -> tuple[int, float | None]:
    """What the shorter side is resized to, and the share that says so, if one does."""
    share = settings.get("crop_pct")
    if kind.startswith("LevitImageProcessor"):
        return int(LEVIT_SHARE * edge), None
    if share is not None and kind.startswith(("ConvNextImageProcessor", "PoolFormerImageProcessor")):
        return int(edge / share), float(share)
    return edge, None


def processor_geometry(settings: Mapping[str, Any], kind: str) -> Geometry:
    """The geometry that an image processor's settings describe.

    Args:
        settings: all of them, with the class's own defaults for those that no file states.
        kind: name of its class.

    Raises:
        PixelError: names the setting that no `Geometry` describes.
    """
    interpolation, side = _interpolation(settings), _crop_side(settings)
    if not settings.get("do_resize"):
        if side is None:
            raise PixelError("do_resize is false and nothing is cropped, so that every picture keeps its own size")
        return Geometry(side, 1.0, interpolation, "none", "down")
    size = _sides(settings, "size")
    if kind.startswith("PerceiverImageProcessor") and side is not None:
        input_side = _square(size, "size")
        return Geometry(input_side, input_side / side, interpolation, "cropped", "down")
    others = size.keys() - {"height", "width", "shortest_edge"}
    if others or ("shortest_edge" in size and len(size) > 1):
        raise PixelError(f"size {size} gives inputs of different shapes; it has to be a square or a shortest_edge")
    if kind.startswith("ConvNextImageProcessor") and "shortest_edge" in size:
        edge = size["shortest_edge"]
        if side not in (None, edge):
            raise PixelError(f"do_center_crop with crop_size {side} crops a second time")
        if edge >= CONVNEXT_WARP_SIZE:
            return Geometry(edge, None, interpolation)
        side = edge
    if "shortest_edge" not in size and not (kind.startswith("PoolFormerImageProcessor") and settings.get("crop_pct")):
        resized = _square(size, "size")
        if side in (None, resized):
            return Geometry(resized, None, interpolation)
        return Geometry(side, _crop_pct(side, resized), interpolation, "both_sides", "down")
    if side is None:
        raise PixelError("size has a shortest_edge and do_center_crop is false, so that pictures keep their aspect")
    edge = size.get("shortest_edge") or _square(size, "size")
    resized, share = _of_shorter_side(settings, kind, edge)
    return Geometry(side, _crop_pct(side, resized, share), interpolation, "shorter_side", "down")


def stated_colours(settings: Mapping[str, Any]) -> Statistics | None:
    """Mean and deviation for values in [0, 1] as the settings of most classes say; None where they are incomplete."""
    largest = 255 * (settings.get("rescale_factor") or 1 / 255) if settings.get("do_rescale", True) else 255.0
    if not settings.get("do_normalize", True):
        return (0.0, 0.0, 0.0), (1 / largest,) * 3
    mean, std = settings.get("image_mean"), settings.get("image_std")
    if not isinstance(mean, (list, tuple)) or not isinstance(std, (list, tuple)):
        return None
    return tuple(value / largest for value in mean), tuple(value / largest for value in std)


def unfollowed(settings: Mapping[str, Any]) -> str:
    """The settings that nothing here reads and that are not switched off, for a message; "" where there are none."""
    active = [f"{key} {value!r}"[:60] for key, value in settings.items() if key not in FOLLOWED and value]
    return ", ".join(sorted(active))
