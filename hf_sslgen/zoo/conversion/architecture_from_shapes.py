"""The architecture that a trunk's tensors belong to, from their names and shapes."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.layout_form import Normalization

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

WIDE_INSIDE: Final = ("wide_resnet50_2", "wide_resnet101_2")
"""timm's ResNets with twice the channels inside their bottlenecks."""

CHANNELS: Final = (64, 128, 256, 512)
"""Channels of the stages of a ResNet, before the expansion of bottlenecks."""

STEM_WIDTH: Final = 64
"""Channels of the first convolution of every `ResNet` that timm builds with a stem of one convolution."""


@dataclass(frozen=True)
class Architecture:
    """How timm builds a network.

    Attributes:
        name: timm's name.
        model_args: arguments of `timm.create_model` beyond the name and `num_classes`.
        num_features: channels of the features before the classifier.
        classifier: name of its classifier.
        image_size: side in pixels that the position embedding was made for; None if there is none.
        normalization: of the input, if all networks of this architecture have the same; None otherwise.
        notes: what was decided without the shapes saying so, in sentences.
    """

    name: str
    model_args: dict[str, Any]
    num_features: int
    classifier: str
    image_size: int | None = None
    normalization: Normalization | None = None
    notes: tuple[str, ...] = ()


def most_common(sizes: Iterable[int]) -> int:
    """Return the size that most tensors have, so that one of a wrong shape does not decide; 0 if there is none."""
    counts = Counter(sizes).most_common(1)
    return counts[0][0] if counts else 0


def vector_width(shapes: Shapes, pattern: str) -> int:
    """Return the size that most one-dimensional tensors with names of a pattern have; 0 if there is none."""
    return most_common(shape[0] for name, shape in shapes.items() if len(shape) == 1 and re.fullmatch(pattern, name))


def stage_width(shapes: Shapes, stage: int, part: str) -> int:
    """Return the channels of a batch normalisation, such as `bn1`, in a ResNet's stage.

    Raises:
        InputError: the stage has none.
    """
    width = vector_width(shapes, rf"layer{stage}\.\d+\.{part}\.\w+")
    if width == 0:
        raise InputError(f"lacks every {part!r} of the stage layer{stage} of a ResNet, in timm's names")
    return width


def is_bottleneck(shapes: Shapes) -> bool:
    """Whether a ResNet's blocks have three convolutions."""
    return any(re.match(r"layer\d+\.\d+\.conv3\.", name) for name in shapes)


def resnet_depths(shapes: Shapes) -> tuple[int, ...]:
    """Return the number of blocks in each of a ResNet's stages.

    Raises:
        InputError: it lacks a stage, or a block between others.
    """
    return tuple(number_of_blocks(shapes, f"layer{stage}") for stage in range(1, 5))


def number_of_blocks(shapes: Shapes, sequence: str) -> int:
    """Return the number of blocks in a sequence, such as `layer1`, in timm's names.

    Raises:
        InputError: there are none, or one between others is missing.
    """
    blocks = {int(found[1]) for name in shapes if (found := re.match(rf"{sequence}\.(\d+)\.", name))}
    if not blocks:
        raise InputError(f"lacks every tensor of '{sequence}', in timm's names")
    for block in range(len(blocks)):
        if block not in blocks:
            raise InputError(f"lacks every tensor of '{sequence}.{block}', in timm's names, and has later blocks")
    return len(blocks)


def resnet_from_shapes(shapes: Shapes) -> Architecture:
    """Find depth and widths of a ResNet whose stem is 64 channels wide.

    Raises:
        InputError: it lacks a stage, or a batch normalisation in all its blocks.
    """
    depths, bottleneck = resnet_depths(shapes), is_bottleneck(shapes)
    last, expansion = ("bn3", 4) if bottleneck else ("bn2", 1)
    channels = tuple(stage_width(shapes, stage, last) // expansion for stage in range(1, 5))
    model_args: dict[str, Any] = {}
    name = RESNETS.get((bottleneck, depths))
    if name is None:
        name = "resnet50" if bottleneck else "resnet34"
        model_args["layers"] = depths
    inner = stage_width(shapes, 1, "bn1")
    if bottleneck and inner != channels[0]:
        if inner == 2 * channels[0] and f"wide_{name}_2" in WIDE_INSIDE:
            name = f"wide_{name}_2"
        else:
            model_args["base_width"] = STEM_WIDTH * inner // channels[0]
    if channels != CHANNELS:
        model_args["channels"] = channels
    return Architecture(name, model_args, channels[-1] * expansion, "fc")
