"""Where things are in a network: its classifier, the layer whose attribution is measured, its last stage.

Rules of the measurements: for networks that pool a spatial map (ResNet, ConvNeXt, RegNet, EfficientNet) the layer is
the tensor that enters global pooling; for vision transformers it is the tokens that enter the last block's attention,
because on the last block's output the patch gradients of a class-token head are exactly zero.
"""

from dataclasses import dataclass
from typing import Literal

from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool, SelectAdaptivePool2d
from torch import nn
from transformers import PreTrainedModel
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.errors import InputError, nearest_names

TOKEN_NORMS = ("norm1", "layernorm_before")
"""Names of the normalisation in front of a block's attention: timm's and transformers'."""


CHANNELS_LAST = (1, 2)
"""Spatial dimensions of a (B, h, w, D) tensor."""


@dataclass(frozen=True)
class AttributionLayer:
    """Which tensor's attribution is measured.

    Attributes:
        module_name: name of the module inside the model.
        side: whether the tensor enters or leaves that module.
        patch_size: for tokens, the side of the pixels each patch token stands for; None for (B, D, h, w) maps.
    """

    module_name: str
    side: Literal["input", "output"]
    patch_size: int | None

    def __str__(self) -> str:
        kind = "spatial map" if self.patch_size is None else f"patch tokens ({self.patch_size} px each)"
        return f"{kind} at the {self.side} of {self.module_name}"


def find_classifier(model: PreTrainedModel) -> tuple[str, nn.Linear]:
    """Name and module of the linear layer that makes the logits: the last one, with one output per class."""
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not linear or linear[-1][1].out_features != model.config.num_labels:
        raise InputError(
            f"{type(model).__name__} does not end in one linear layer with {model.config.num_labels} outputs; its "
            "features can't be read"
        )
    return linear[-1]


def _patch_size(model: PreTrainedModel) -> int | None:
    """Side of a patch: the kernel of the first convolution, where kernel and stride are equal."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            square = module.kernel_size[0] == module.kernel_size[1]
            return int(module.kernel_size[0]) if square and module.kernel_size == module.stride else None
    return None


def _pools_channels_last(module: nn.Module) -> bool:
    """Whether timm pools a (B, h, w, D) tensor here, as in Swin, whose axes would be confused with (B, D, h, w)."""
    return (
        isinstance(module, SelectAdaptivePool2d)
        and isinstance(module.pool, FastAdaptiveAvgPool)
        and module.pool.dim == CHANNELS_LAST
    )


def transformer_blocks(model: PreTrainedModel) -> list[str]:
    """Names of a vision transformer's blocks, from input to output; empty for networks that pool a spatial map."""
    names = dict(model.named_modules())
    if any(isinstance(module, SelectAdaptivePool2d | nn.AdaptiveAvgPool2d) for module in names.values()):
        return []
    return [name.rpartition(".")[0] for name in names if name.rpartition(".")[2] in TOKEN_NORMS]


def find_attribution_layer(model: PreTrainedModel, module_name: str | None = None) -> AttributionLayer:
    """The layer by the rule above, or the output of the module a user names.

    Raises:
        InputError: no such module, or a network the rule can't read; says how to name the layer.
    """
    modules = dict(model.named_modules())
    if module_name is not None:
        if module_name not in modules:
            raise InputError(
                f"attribution_layer {module_name!r} is no module of {type(model).__name__}. "
                f"{nearest_names(module_name, modules)}".rstrip()
            )
        is_token_norm = isinstance(modules[module_name], nn.LayerNorm)
        return AttributionLayer(module_name, "output", _patch_size(model) if is_token_norm else None)
    pools = [name for name, module in modules.items() if isinstance(module, SelectAdaptivePool2d)]
    pools = pools or [name for name, module in modules.items() if isinstance(module, nn.AdaptiveAvgPool2d)]
    if pools and not _pools_channels_last(modules[pools[-1]]):
        return AttributionLayer(pools[-1], "input", None)
    norms = [name for name in modules if name.rpartition(".")[2] in TOKEN_NORMS]
    patch_size = _patch_size(model)
    if norms and patch_size is not None and not pools:
        return AttributionLayer(norms[-1], "output", patch_size)
    raise InputError(
        f"the final layer of {type(model).__name__} could not be found; name a module that puts out a (B, D, h, w) "
        "map or a LayerNorm over patch tokens with --attribution_layer"
    )


def _first_of_last_stage(model: PreTrainedModel, names: list[str]) -> str:
    """Prefix of the parameters of the last stage."""
    if isinstance(model, TimmWrapperForImageClassification):
        return f"timm_model.{model.timm_model.feature_info[-1]['module']}."
    stages = []
    for name in names:
        parts = name.split(".")
        depth = next((depth for depth, part in enumerate(parts) if part.isdigit()), None)
        if depth is not None and not name.startswith("classifier."):
            stages.append(".".join(parts[: depth + 1]) + ".")
    if not stages:
        raise InputError(f"the stages of {type(model).__name__} can't be told apart; use --trainable all or head")
    return stages[-1]


def freeze_all_but(model: PreTrainedModel, trainable: Literal["all", "last_stage", "head"]) -> list[nn.Module]:
    """Freeze what is not to be trained.

    Returns:
        The modules without any trainable parameter of their own or below: they must stay in evaluation mode, so that
        frozen batch normalisation keeps its statistics.
    """
    if trainable == "all":
        return []
    names = [name for name, _ in model.named_parameters()]
    start = find_classifier(model)[0] if trainable == "head" else _first_of_last_stage(model, names)
    first = next((index for index, name in enumerate(names) if name.startswith(start)), None)
    if first is None:
        raise InputError(f"the last stage of {type(model).__name__} can't be found; use --trainable all or head")
    for index, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(index >= first)
    return [
        module
        for module in model.modules()
        if any(True for _ in module.parameters()) and not any(p.requires_grad for p in module.parameters())
    ]
