"""ResNets widened or narrowed as a whole, stem included, which timm builds as ResNetV2 without pre-activation.

The wide ResNets of self-supervised methods (SwAV's RN50w2, BYOL's 200-2x) have twice the channels everywhere, whereas
timm's `ResNet` has 64 behind a stem of one convolution. Its `ResNetV2` with `preact=False` has the same layers.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import (
    STEM_WIDTH,
    Architecture,
    Shapes,
    is_bottleneck,
    resnet_depths,
    stage_width,
    vector_width,
)

NAMES: Final[Mapping[tuple[int, ...], str]] = {
    (3, 4, 6, 3): "resnetv2_50",
    (3, 4, 23, 3): "resnetv2_101",
    (3, 8, 36, 3): "resnetv2_152",
}

CHANNELS: Final = (256, 512, 1024, 2048)

CLASSIFIER: Final = "head.fc"

WIDE_CLASSIFIER: Final = f"{CLASSIFIER}.weight"
"""Name of the weight of `ResNetV2`'s classifier, which is a convolution."""

Value = TypeVar("Value")


def is_wide(shapes: Shapes) -> bool:
    """Whether a ResNet's stem is wider or narrower than timm's `ResNet` has it."""
    return vector_width(shapes, r"bn1\.\w+") not in (0, STEM_WIDTH)


def wide_resnet_from_shapes(shapes: Shapes) -> Architecture:
    """Find depth and widths of a ResNet whose stem is not 64 channels wide.

    Raises:
        InputError: it lacks a stage, or its blocks are not bottlenecks of a quarter of their width.
    """
    depths = resnet_depths(shapes)
    stem = vector_width(shapes, r"bn1\.\w+")
    channels = tuple(stage_width(shapes, stage, "bn3") for stage in range(1, 5))
    inner = tuple(stage_width(shapes, stage, "bn1") for stage in range(1, 5))
    if not is_bottleneck(shapes) or channels != tuple(4 * each for each in inner):
        raise InputError(
            f"has a first convolution of {stem} channels, and timm builds ResNets with a stem of other than "
            f"{STEM_WIDTH} channels only from bottlenecks of a quarter of their width"
        )
    name = NAMES.get(depths, "resnetv2_50")
    model_args: dict[str, Any] = {"preact": False}
    if depths not in NAMES:
        model_args["layers"] = depths
    if stem % STEM_WIDTH == 0 and channels == tuple(stem // STEM_WIDTH * each for each in CHANNELS):
        model_args["width_factor"] = stem // STEM_WIDTH
    else:
        model_args |= {"stem_chs": stem, "channels": channels}
    return Architecture(name, model_args, channels[-1], CLASSIFIER)


def wide_resnet_names(values: Mapping[str, Value]) -> dict[str, Value]:
    """Rename tensors from timm's `ResNet` to its `ResNetV2`."""
    return {_wide_name(name): value for name, value in values.items()}


def _wide_name(name: str) -> str:
    if name.startswith("conv1."):
        return f"stem.conv.{name.removeprefix('conv1.')}"
    if name.startswith("bn1."):
        return f"stem.norm.{name.removeprefix('bn1.')}"
    found = re.fullmatch(r"layer(\d+)\.(\d+)\.(.+)", name)
    if found is None:
        return name
    inner = found[3].replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.norm")
    return f"stages.{int(found[1]) - 1}.blocks.{found[2]}.{re.sub(r'^bn', 'norm', inner)}"
