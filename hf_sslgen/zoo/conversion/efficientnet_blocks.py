"""EfficientNets whose blocks are numbered through: which of timm's they are, and timm's names of their tensors."""

import functools
import re
from collections.abc import Mapping
from typing import Final, TypeVar

import timm
import torch

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import Architecture, Shapes
from hf_sslgen.zoo.conversion.layout_form import Normalization

LITE: Final = tuple(f"tf_efficientnet_lite{number}" for number in range(5))
WITH_ATTENTION: Final = tuple(f"tf_efficientnet_b{number}" for number in range(9))
"""timm's networks with TensorFlow's padding and epsilon, without and with squeeze-and-excitation."""

IN_BLOCK: Final = re.compile(r"blocks\.(\d+)\.(\w+)\.(.+)")

EXPANDING: Final = {
    "expand_conv": "conv_pw",
    "bn0": "bn1",
    "depthwise_conv": "conv_dw",
    "bn1": "bn2",
    "project_conv": "conv_pwl",
    "bn2": "bn3",
    "se_reduce": "se.conv_reduce",
    "se_expand": "se.conv_expand",
}
WITHOUT_EXPANSION: Final = {
    "depthwise_conv": "conv_dw",
    "bn1": "bn1",
    "project_conv": "conv_pw",
    "bn2": "bn2",
    "se_reduce": "se.conv_reduce",
    "se_expand": "se.conv_expand",
}

Value = TypeVar("Value")


@functools.cache
def _shapes(name: str) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False)
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


@functools.cache
def _blocks(name: str) -> tuple[str, ...]:
    """The blocks of a network in timm's names, such as `blocks.0.0`, in their order."""
    found = (re.match(r"blocks\.\d+\.\d+", key) for key in _shapes(name))
    return tuple(dict.fromkeys(each[0] for each in found if each is not None))


def efficientnet_from_shapes(shapes: Shapes) -> Architecture:
    """Find the EfficientNet that most tensors, numbered through, belong to.

    Raises:
        InputError: no EfficientNet has that number of blocks.
    """
    numbers = {int(found[1]) for key in shapes if (found := IN_BLOCK.fullmatch(key))}
    candidates = WITH_ATTENTION if any(".se_" in key for key in shapes) else LITE
    fitting = [name for name in candidates if numbers and len(_blocks(name)) == max(numbers) + 1]
    if not fitting:
        raise InputError(f"has {len(numbers)} blocks, which no EfficientNet that timm builds has")

    def agreeing(name: str) -> int:
        expected = _shapes(name)
        return sum(expected.get(key) == shape for key, shape in in_stages(shapes, name).items())

    name = max(fitting, key=agreeing)
    # TensorFlow's lite networks take (pixel - 127) / 128; the others were published for several kinds of input
    normalization: Normalization | None = "half" if name in LITE else None
    channels = _shapes(name)["conv_head.weight"][0]
    return Architecture(name, {}, channels, "classifier", normalization=normalization)


def in_stages(values: Mapping[str, Value], name: str) -> dict[str, Value]:
    """Rename tensors to the stages of one of timm's networks."""
    blocks = _blocks(name)
    expanding = {number for number, block in enumerate(blocks) if f"{block}.conv_pwl.weight" in _shapes(name)}
    return {_in_stage(key, blocks, expanding): value for key, value in values.items()}


def _in_stage(key: str, blocks: tuple[str, ...], expanding: set[int]) -> str:
    found = IN_BLOCK.fullmatch(key)
    if found is None or int(found[1]) >= len(blocks):
        return key
    modules = EXPANDING if int(found[1]) in expanding else WITHOUT_EXPANSION
    return f"{blocks[int(found[1])]}.{modules.get(found[2], found[2])}.{found[3]}"
