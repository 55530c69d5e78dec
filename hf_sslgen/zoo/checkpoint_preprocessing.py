"""Read a checkpoint's preprocessing from its timm or transformers configuration."""

import json
import logging
import math
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub.errors import StrictDataclassError
from PIL import Image
from timm.data import create_transform, resolve_data_config
from torch import Tensor
from transformers import AutoImageProcessor
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.errors import InputError
from hf_sslgen.geometry import INTERPOLATIONS, Geometry, Resize
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.zoo.pixel_check import PixelError, verified
from hf_sslgen.zoo.processor_settings import processor_geometry, stated_colours, unfollowed

logger = logging.getLogger(__name__)

IMAGENET_PREPROCESSING = Preprocessing(Geometry(224, 0.875, "bicubic"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PROCESSOR_FILES = ("preprocessor_config.json", "processor_config.json")

DESCRIBED = (
    "input_size",
    "mean",
    "std",
    "interpolation",
    "crop_pct",
    "crop_mode",
    "first_conv",
    "classifier",
    "pool_size",
)
"""timm's settings for a network's input and layer names."""

CROP_MODES: dict[str, Resize] = {"center": "shorter_side", "squash": "both_sides"}

LONGEST_REASON = 500

UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    ImportError,
    StrictDataclassError,
)
"""Exceptions that libraries raise for invalid settings."""


def read_preprocessing(folder: Path, config: Any, name: str | None = None) -> Preprocessing:
    """Read a checkpoint's preprocessing, falling back to ImageNet's with a warning if it states none.

    The result is compared with the output of the checkpoint's own processor on a few generated pictures.

    Args:
        name: the checkpoint's name in messages; its folder by default.

    Raises:
        InputError: the image processor needs its own code, or its pixels can't be reproduced; names the setting.
    """
    location = name or str(folder)
    if isinstance(config, TimmWrapperConfig):
        try:
            return _read_timm(stated_pretrained_cfg(folder, config))
        except (PixelError, *UNREADABLE) as error:
            raise InputError(
                f"pretrained_cfg in the config.json of {location!r} can't be reproduced: {_line(error)}"
            ) from error
    try:
        loaded = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
    except UNREADABLE as error:
        if "trust_remote_code" in str(error):
            raise _needs_code(location) from error
        if any((folder / file).is_file() for file in PROCESSOR_FILES):
            raise InputError(f"the image processor of {location!r} can't be read: {_line(error)}") from error
        logger.warning(
            "%s does not state its preprocessing; using 224 px and ImageNet's mean and standard deviation", location
        )
        return IMAGENET_PREPROCESSING
    if _stands_in(folder, type(loaded).__name__):
        raise _needs_code(location)
    try:
        return _read_processor(loaded)
    except (PixelError, *UNREADABLE) as error:
        raise InputError(
            f"the image processor of {location!r} ({type(loaded).__name__}) can't be reproduced: {_line(error)}"
        ) from error


def preprocessing_of_processor(processor: Any) -> Preprocessing:
    """Read the preprocessing of an image processor of transformers.

    Raises:
        InputError: its pixels can't be reproduced.
    """
    try:
        return _read_processor(processor)
    except (PixelError, *UNREADABLE) as error:
        raise InputError(f"processor {type(processor).__name__} can't be reproduced: {_line(error)}") from error


def preprocessing_of_timm(description: Mapping[str, Any]) -> Preprocessing:
    """Read the preprocessing of a timm network's `pretrained_cfg` or data configuration.

    Raises:
        InputError: it can't be reproduced.
    """
    try:
        return _read_timm(dict(description))
    except (PixelError, *UNREADABLE) as error:
        raise InputError(f"timm's data configuration can't be reproduced: {_line(error)}") from error


def _line(error: Exception) -> str:
    """Return the first line of a library's message, truncated if it is long."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return textwrap.shorten(lines[0], LONGEST_REASON, placeholder=" ...") if lines else type(error).__name__


def _read_processor(loaded: Any) -> Preprocessing:
    settings, kind = loaded.to_dict(), type(loaded).__name__

    def processor(picture: Image.Image) -> Tensor:
        made = loaded(picture, return_tensors="pt")
        if not isinstance(made, Mapping) or not isinstance(made.get("pixel_values"), Tensor):
            raise PixelError("it produces something other than pixel_values")
        pixels: Tensor = made["pixel_values"]
        return pixels[0]

    geometry = processor_geometry(settings, kind)
    try:
        return verified(processor, geometry, stated_colours(settings))
    except PixelError as error:
        others = unfollowed(settings)
        raise PixelError(f"{error}; its other settings are {others}" if others else str(error)) from error


def _needs_code(location: str) -> InputError:
    return InputError(
        f"the image processor of {location!r} needs code from its repository, which is never run; store its sizes, "
        "mean and standard deviation in the configuration of a processor that transformers has"
    )


def _stands_in(folder: Path, loaded: str) -> bool:
    """Whether transformers substituted the model's usual processor for a class in the repository."""
    path = folder / PROCESSOR_FILES[0]
    if not path.is_file():
        return False
    stated = json.loads(path.read_text(encoding="utf-8"))
    if "AutoImageProcessor" not in stated.get("auto_map", {}):
        return False
    name = stated.get("image_processor_type", "").removesuffix("Fast")
    return not name or not loaded.startswith(name)


def stated_pretrained_cfg(folder: Path, config: Any) -> dict[str, Any]:
    """Return timm's description of a checkpoint; in older files it is the whole `config.json`."""
    nested = config.to_dict().get("pretrained_cfg")
    if nested:
        return dict(nested)
    whole = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return {key: value for key, value in whole.items() if key in DESCRIBED}


def _read_timm(pretrained_cfg: dict[str, Any]) -> Preprocessing:
    data = resolve_data_config(args={"in_chans": 3}, pretrained_cfg=pretrained_cfg, verbose=False)
    _, height, width = data["input_size"]
    if height != width:
        raise PixelError(f"input_size {list(data['input_size'])} is not square")
    if data["crop_mode"] not in CROP_MODES:
        raise PixelError(f"crop_mode {data['crop_mode']!r} is not one of {', '.join(CROP_MODES)}")
    if data["interpolation"] not in INTERPOLATIONS:
        raise PixelError(f"interpolation {data['interpolation']!r} is not one of {', '.join(INTERPOLATIONS)}")
    crop_pct: float | None = float(data["crop_pct"])
    if data["crop_mode"] == "squash" and crop_pct == 1:
        crop_pct = None
    resize = CROP_MODES[data["crop_mode"]] if crop_pct is not None else "shorter_side"
    geometry = Geometry(int(height), crop_pct, data["interpolation"], resize)
    return verified(create_transform(**data, is_training=False), geometry, (tuple(data["mean"]), tuple(data["std"])))


def timm_pretrained_cfg(pretrained_cfg: dict[str, Any], geometry: Geometry) -> dict[str, Any]:
    """Add this geometry to timm's description of a checkpoint, so that a saved model states its preprocessing."""
    return {
        **pretrained_cfg,
        "input_size": [3, geometry.image_size, geometry.image_size],
        "crop_pct": 1.0 if geometry.crop_pct is None else geometry.crop_pct,
        "crop_mode": "squash" if geometry.crop_pct is None or geometry.resize == "both_sides" else "center",
        "interpolation": geometry.interpolation,
    }


def resized_processor(processor: dict[str, Any], geometry: Geometry) -> dict[str, Any]:
    """Adapt an image processor's settings to `geometry`, which differs from theirs only in the input size."""
    side, size = geometry.image_size, processor.get("size") or {}
    by_share = processor.get("crop_pct") and size.get("shortest_edge")
    resized = side if geometry.crop_pct is None or by_share else math.floor(side / geometry.crop_pct)
    changed: dict[str, Any] = {"size": {"height": resized, "width": resized}}
    if geometry.resize == "cropped":
        changed = {"size": {"height": side, "width": side}}
        side = round(side / (geometry.crop_pct or 1.0))
    elif size.get("shortest_edge"):
        changed = {"size": {"shortest_edge": resized}}
    if processor.get("do_center_crop") and processor.get("crop_size"):
        changed["crop_size"] = {"height": side, "width": side}
    return {**processor, **changed}
