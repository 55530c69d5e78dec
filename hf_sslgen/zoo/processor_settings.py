"""Derive the geometry from the settings of transformers' image processors, which differ between classes."""

import math
from collections.abc import Mapping
from typing import Any

from hf_sslgen.geometry import NEAREST_EXACT, Geometry
from hf_sslgen.zoo.pixel_check import PixelError

INTERPOLATION_NAMES = {0: NEAREST_EXACT, 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}

"""Keyed by Pillow's numbers; the processors themselves use torch's interpolation."""

CONVNEXT_WARP_SIZE = 384
"""From this size on, transformers' ConvNext processor squeezes a picture into the square instead of cropping it."""

LEVIT_SHARE = 256 / 224
"""Factor by which transformers' LeViT processor multiplies the shorter side before resizing."""

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
    """Return the height and width stated by a size; a single number means both."""
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
    """Return the crop share that takes `Geometry` from `side` to exactly `resized`, preferably the stated one."""
    share = stated or side / resized
    for candidate in (share, side / resized, math.nextafter(side / resized, 0)):
        if math.floor(side / candidate) == resized:
            return candidate
    raise PixelError(f"no crop_pct leads from {side} to {resized} px")


def _crop_side(settings: Mapping[str, Any]) -> int | None:
    """Return the side of the centre crop; None if there is none."""
    if not settings.get("do_center_crop"):
        return None
    return _square(_sides(settings, "crop_size"), "crop_size")


def _of_shorter_side(settings: Mapping[str, Any], kind: str, edge: int) -> tuple[int, float | None]:
    """Return the resized length of the shorter side and the crop share that states it, if any."""
    share = settings.get("crop_pct")
    if kind.startswith("LevitImageProcessor"):
        return int(LEVIT_SHARE * edge), None
    if share is not None and kind.startswith(("ConvNextImageProcessor", "PoolFormerImageProcessor")):
        return int(edge / share), float(share)
    return edge, None


def processor_geometry(settings: Mapping[str, Any], kind: str) -> Geometry:
    """Derive the geometry from an image processor's settings.

    Args:
        settings: all settings, with the class's defaults for those not stated in a file.
        kind: name of the processor's class.

    Raises:
        PixelError: names the setting that `Geometry` can't express.
    """
    interpolation, side = _interpolation(settings), _crop_side(settings)
    if not settings.get("do_resize"):
        if side is None:
            raise PixelError("do_resize is false and nothing is cropped, so every picture keeps its own size")
        return Geometry(side, 1.0, interpolation, "none", "down")
    size = _sides(settings, "size")
    if kind.startswith("PerceiverImageProcessor") and side is not None:
        input_side = _square(size, "size")
        return Geometry(input_side, input_side / side, interpolation, "cropped", "down")
    others = size.keys() - {"height", "width", "shortest_edge"}
    if others or ("shortest_edge" in size and len(size) > 1):
        raise PixelError(f"size {size} gives inputs of different shapes; it must be square or a shortest_edge")
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
        raise PixelError("size has a shortest_edge and do_center_crop is false, so pictures keep their aspect ratio")
    edge = size.get("shortest_edge") or _square(size, "size")
    resized, share = _of_shorter_side(settings, kind, edge)
    return Geometry(side, _crop_pct(side, resized, share), interpolation, "shorter_side", "down")


def stated_colours(settings: Mapping[str, Any]) -> Statistics | None:
    """Read mean and standard deviation for values in [0, 1], as most classes state them; None if incomplete."""
    largest = 255 * (settings.get("rescale_factor") or 1 / 255) if settings.get("do_rescale", True) else 255.0
    if not settings.get("do_normalize", True):
        return (0.0, 0.0, 0.0), (1 / largest,) * 3
    mean, std = settings.get("image_mean"), settings.get("image_std")
    if not isinstance(mean, (list, tuple)) or not isinstance(std, (list, tuple)):
        return None
    return tuple(value / largest for value in mean), tuple(value / largest for value in std)


def unfollowed(settings: Mapping[str, Any]) -> str:
    """List the settings that are in effect but not supported here, for a message; "" if there are none."""
    active = [f"{key} {value!r}"[:60] for key, value in settings.items() if key not in FOLLOWED and value]
    return ", ".join(sorted(active))
