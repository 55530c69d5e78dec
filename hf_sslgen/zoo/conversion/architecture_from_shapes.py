"""The architecture that a trunk's tensors belong to, from their names and shapes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hf_sslgen.errors import InputError

Shapes = Mapping[str, tuple[int, ...]]

RESNETS: Final[Mapping[tuple[bool, tuple[int, ...]], str]] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (2, 2, 2, 2)): "resnet26",
    (True, (3, 4, 6, 3)): "resnet50",
    (True, (3, 4, 23, 3)): "resnet101",
    (True, (3, 8, 36, 3)): "resnet152",
    (True, (3, 24, 36, 3)): "resnet200",
}
"""timm's name by whether blocks are bottlenecks, and blocks of each stage."""

STEM_WIDTH = 64
"""Channels of the first convolution of every ResNet that timm builds with a stem of one convolution."""


@dataclass(frozen=True)
class Architecture:
    """How timm builds a network.

    Attributes:
        name: timm's name.
        model_args: arguments of `timm.create_model` beyond the name and `num_classes`.
        num_features: channels of the features before the classifier.
        image_size: side in pixels that the position embedding was made for; None if there is none.
        notes: what was decided without the shapes saying so, in sentences.
    """

    name: str
    model_args: dict[str, Any] = field(default_factory=dict)
    num_features: int = 0
    image_size: int | None = None
    notes: tuple[str, ...] = ()


def most_common(sizes: Iterable[int]) -> int:
    """Return the size that most tensors have, so that one of a wrong shape does not decide; 0 if there is none."""
    counts = Counter(sizes).most_common(1)
    return counts[0][0] if counts else 0


def resnet_from_shapes(shapes: Shapes) -> Architecture:
    """Find depth and widths of a ResNet.

    Raises:
        InputError: it lacks a stage, or timm can't build its stem.
    """
    depths = []
    for stage in range(1, 5):
        blocks = {int(found[1]) for name in shapes if (found := re.match(rf"layer{stage}\.(\d+)\.", name))}
        if not blocks:
            raise InputError(f"it lacks the stage layer{stage} of a ResNet")
        depths.append(max(blocks) + 1)
    bottleneck = any(re.match(r"layer\d+\.\d+\.conv3\.", name) for name in shapes)
    stem = most_common(shape[0] for name, shape in shapes.items() if name.startswith("bn1.") and len(shape) == 1)
    if stem not in (0, STEM_WIDTH):
        raise InputError(
            f"its first convolution has {stem} channels, and timm's ResNets with a stem of one convolution have "
            f"{STEM_WIDTH}; networks widened or narrowed as a whole can't be converted"
        )
    last, expansion = ("bn3", 4) if bottleneck else ("bn2", 1)
    channels = tuple(_width(shapes, stage, last) // expansion for stage in range(1, 5))
    model_args: dict[str, Any] = {}
    name = RESNETS.get((bottleneck, tuple(depths)))
    if name is None:
        name = "resnet50" if bottleneck else "resnet34"
        model_args["layers"] = tuple(depths)
    if bottleneck and _width(shapes, 1, "bn1") == 2 * channels[0] and name in ("resnet50", "resnet101"):
        name = f"wide_{name}_2"
    if channels != (64, 128, 256, 512):
        model_args["channels"] = channels
    return Architecture(name, model_args, channels[-1] * expansion)


def _width(shapes: Shapes, stage: int, part: str) -> int:
    inside = re.compile(rf"layer{stage}\.\d+\.{part}\.(?:weight|bias|running_mean|running_var)")
    return most_common(shape[0] for name, shape in shapes.items() if inside.fullmatch(name) and len(shape) == 1)
