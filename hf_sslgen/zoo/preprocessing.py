"""What a checkpoint says about its input, read from timm's and transformers' configurations."""

import json
import logging
import math
from pathlib import Path
from typing import Any

from timm.data import resolve_data_config
from transformers import AutoImageProcessor
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Geometry, Preprocessing

logger = logging.getLogger(__name__)

IMAGENET_PREPROCESSING = Preprocessing(Geometry(224, 0.875, "bicubic"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")
PIL_INTERPOLATION_NAMES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}

CONVNEXT_WARP_SIZE = 384
"""From this side on, transformers' ConvNext processor squeezes a picture into the square instead of cropping it."""


def read_preprocessing(folder: Path, config: Any, name: str | None = None) -> Preprocessing:
    """What a checkpoint says about its input; ImageNet's usual preprocessing, with a warning, if it says nothing.

    Args:
        name: what messages call the checkpoint; its folder by default.

    Raises:
        InputError: an image processor that needs code of its own, or whose sizes have no equivalent here.
    """
    location = name or str(folder)
    if isinstance(config, TimmWrapperConfig):
        try:
            return _read_timm(location, dict(config.pretrained_cfg or {}))
        except (AssertionError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"pretrained_cfg in the config.json of {location!r} can't be followed: {error}"
            ) from error
    try:
        loaded = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        if "trust_remote_code" in str(error):
            raise _needs_code(location) from error
        if any((folder / file).is_file() for file in PROCESSOR_FILES):
            reason = str(error).strip().splitlines()[0]
            raise InputError(f"the image processor of {location!r} can't be read: {reason}") from error
        logger.warning(
            "%s says nothing about its preprocessing; using 224 px and ImageNet mean and deviation", location
        )
        return IMAGENET_PREPROCESSING
    if _stands_in(folder, type(loaded).__name__):
        raise _needs_code(location)
    processor = loaded.to_dict()
    return Preprocessing(_processor_geometry(location, processor), *_processor_normalisation(processor))


def _needs_code(location: str) -> InputError:
    return InputError(
        f"the image processor of {location!r} needs code from its repository, which is never run here; put its sizes, "
        "mean and deviation into a processor that transformers has"
    )


def _stands_in(folder: Path, loaded: str) -> bool:
    """Whether transformers took the model's usual processor for one whose class is in the repository."""
    path = folder / PROCESSOR_FILES[0]
    if not path.is_file():
        return False
    stated = json.loads(path.read_text(encoding="utf-8"))
    if "AutoImageProcessor" not in stated.get("auto_map", {}):
        return False
    name = stated.get("image_processor_type", "").removesuffix("Fast")
    return not name or not loaded.startswith(name)


def _read_timm(location: str, pretrained_cfg: dict[str, Any]) -> Preprocessing:
    data = resolve_data_config(pretrained_cfg=pretrained_cfg, verbose=False)
    crop_pct: float | None = float(data["crop_pct"])
    if data["crop_mode"] == "squash":
        if crop_pct != 1:
            logger.warning("%s crops %.3g of a squeezed picture; all of it is used here", location, crop_pct)
        crop_pct = None
    elif data["crop_mode"] != "center":
        logger.warning("%s asks for crop mode %r; the centre is cropped here", location, data["crop_mode"])
    geometry = Geometry(int(data["input_size"][-1]), crop_pct, data["interpolation"])
    return Preprocessing(geometry, tuple(data["mean"]), tuple(data["std"]))


def timm_pretrained_cfg(pretrained_cfg: dict[str, Any], geometry: Geometry) -> dict[str, Any]:
    """timm's description of a checkpoint with this geometry in it, so that a saved model says what it was fed."""
    return {
        **pretrained_cfg,
        "input_size": [3, geometry.image_size, geometry.image_size],
        "crop_pct": 1.0 if geometry.crop_pct is None else geometry.crop_pct,
        "crop_mode": "squash" if geometry.crop_pct is None else "center",
        "interpolation": geometry.interpolation,
    }


def resized_processor(processor: dict[str, Any], geometry: Geometry) -> dict[str, Any]:
    """The settings of an image processor that cut out `geometry`, which is theirs but for the size of the input."""
    side, size = geometry.image_size, processor.get("size") or {}
    by_share = processor.get("crop_pct") and size.get("shortest_edge")
    cropped = side if geometry.crop_pct is None or by_share else max(side, math.floor(side / geometry.crop_pct))
    changed: dict[str, Any] = {"size": {"shortest_edge": cropped}}
    if not size.get("shortest_edge"):
        changed["size"] = {"height": cropped, "width": cropped}
    if processor.get("do_center_crop") and processor.get("crop_size"):
        changed["crop_size"] = {"height": side, "width": side}
    return {**processor, **changed}


def _processor_geometry(location: str, processor: dict[str, Any]) -> Geometry:
    """Geometry of a transformers image processor: a squared resize, or a shorter side and a centre crop."""
    size, crop_size = (processor.get(key) or {} for key in ("size", "crop_size"))
    crop_pct: float | None = processor.get("crop_pct")
    resample = processor.get("resample")
    interpolation = PIL_INTERPOLATION_NAMES.get(2 if resample is None else int(resample))
    resized = size.get("shortest_edge") or size.get("height")
    crops = bool(processor.get("do_center_crop") and crop_size)
    side = crop_size.get("height") if crops else resized
    if resized is None or side is None or interpolation is None:
        raise InputError(
            f"the image processor of {location!r} can't be followed (size {size}, crop_size {crop_size}, resample "
            f"{resample}); it has to resize to a square or a shortest_edge"
        )
    if crop_pct and "shortest_edge" in size:
        warps = not crops and resized >= CONVNEXT_WARP_SIZE
        return Geometry(side, None if warps else crop_pct, interpolation)
    if crops or "shortest_edge" in size:
        return Geometry(side, _crop_pct(side, resized), interpolation)
    return Geometry(side, None, interpolation)


def _crop_pct(side: int, resized: int) -> float:
    """The share that resizes the shorter side to exactly `resized` (a plain quotient may round down to one less)."""
    share = side / resized
    return share if math.floor(side / share) == resized else math.nextafter(share, 0)


def _processor_normalisation(
    processor: dict[str, Any],
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation for values in [0, 1], whatever range the processor rescales to."""
    largest = 255 * (processor.get("rescale_factor") or 1 / 255) if processor.get("do_rescale", True) else 255.0
    normalises = processor.get("do_normalize", True)
    red, green, blue = (value / largest for value in (processor["image_mean"] if normalises else (0.0, 0.0, 0.0)))
    mean = (red, green, blue)
    red, green, blue = (value / largest for value in (processor["image_std"] if normalises else (1.0, 1.0, 1.0)))
    return mean, (red, green, blue)
