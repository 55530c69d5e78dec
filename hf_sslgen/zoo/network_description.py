"""What a loaded network is, whatever its weights: by which two networks are recognised as one architecture."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn
from transformers import PreTrainedModel
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.zoo.anatomy import find_classifier

DIGITS = 16

HEADS = ("num_heads", "num_attention_heads")
"""Names of the number of heads in the attention modules of timm and transformers."""

FUSED = ".qkv."
"""Part of the name of timm's projection to queries, keys and values, three matrices in one."""

MASK = "mask_token"
"""Stands for masked patches during pretraining; transformers keeps it."""

WITHOUT_EFFECT = ("Identity", "Dropout", "DropPath", "Sequential", "ModuleList")
"""Modules that change nothing of what a network computes in evaluation mode, and containers."""


@dataclass(frozen=True)
class NetworkDescription:
    """A network without its classifier.

    Attributes:
        library: `timm` or `transformers`.
        architecture: timm's name, such as `resnet50`, or the model type of transformers, such as `vit`.
        trunk: identifies the shapes of all tensors and the numbers of attention heads, in either library.
        layers: identifies the kinds of layers as the library names them, and the strides of convolutions.
        num_features: inputs of the classifier.
    """

    library: str
    architecture: str
    trunk: str
    layers: str
    num_features: int


def describe_network(model: PreTrainedModel) -> NetworkDescription:
    """Describe a network that ends in a linear classifier; raises InputError if it does not."""
    name, classifier = find_classifier(model)
    is_timm = isinstance(model.config, TimmWrapperConfig)
    return NetworkDescription(
        library="timm" if is_timm else "transformers",
        architecture=str(model.config.architecture if is_timm else model.config.model_type),
        trunk=_digest([*_shapes(model, name), *_heads(model)]),
        layers=_digest(_layers(model, name)),
        num_features=classifier.in_features,
    )


def _shapes(model: nn.Module, classifier: str) -> Iterator[str]:
    """Yield the shape of each parameter of the trunk; queries, keys and values are three, as in transformers."""
    for name, parameter in model.named_parameters():
        if name.startswith(f"{classifier}.") or name.endswith(MASK):
            continue
        shape = list(parameter.shape)
        parts = 3 if FUSED in name and shape[0] % 3 == 0 else 1
        for _ in range(parts):
            yield str([shape[0] // parts, *shape[1:]] if shape else shape)


def _heads(model: nn.Module) -> Iterator[str]:
    """Yield the number of heads of each attention; those of a block are one in timm, and may be two in transformers,
    so each number counts once."""
    yield from {
        f"{vars(module)[key]} heads"
        for module in model.modules()
        for key in HEADS
        if isinstance(vars(module).get(key), int)
    }


def _layers(model: nn.Module, classifier: str) -> Iterator[str]:
    for name, module in model.named_modules():
        kind = type(module).__name__
        if name == classifier or kind in WITHOUT_EFFECT or any(True for _ in module.children()):
            continue
        yield f"{kind} {module.stride}" if isinstance(module, nn.Conv2d) else kind


def _digest(parts: Iterator[str] | list[str]) -> str:
    text = json.dumps(sorted(Counter(parts).items()))
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
