"""Locate the parts of a network: its classifier, the layer to attribute and its last stage.

For networks that pool a spatial map (ResNet, ConvNeXt, RegNet, EfficientNet, Swin), attribution uses the tensor that
enters global pooling. For vision transformers it uses the tokens that enter the last block's attention, because at the
last block's output the patch gradients of a class-token head are exactly zero.
"""

from dataclasses import dataclass
from typing import Literal

from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool, SelectAdaptivePool2d
from torch import nn
from transformers import PreTrainedModel
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.errors import InputError, hinted

TOKEN_NORMS = ("norm1", "layernorm_before")
"""Names of the normalisation before a block's attention, in timm and transformers."""

PREFIX_TOKENS = ("cls_token", "dist_token", "distillation_token", "reg_token", "register_tokens")
"""Names of the (1, n, D) parameters prepended to the patch tokens, in timm and transformers."""

POOLS = (nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool1d)
"""Pooling layers in transformers: those of ResNet and RegNet, of EfficientNet, and of Swin, which pools tokens."""

CHANNELS_LAST = (1, 2)
"""Spatial dimensions of a (B, h, w, D) tensor."""


@dataclass(frozen=True)
class AttributionLayer:
    """The tensor to attribute and the layout of its grid.

    Attributes:
        module_name: name of the module inside the model.
        side: whether the tensor enters or leaves that module.
        patch_size: for tokens, side in pixels of the network's input patches; None for networks with only maps.
        num_prefix_tokens: number of leading tokens that are not patches (class, distillation, registers).
        channels_last: (B, h, w, D) maps or (B, N, D) tokens, not (B, D, h, w) or (B, D, N). If None, tokens are
            (B, N, D), and a map's height and width are the two axes with the image's aspect ratio.
    """

    module_name: str
    side: Literal["input", "output"]
    patch_size: int | None = None
    num_prefix_tokens: int = 0
    channels_last: bool | None = None

    def __str__(self) -> str:
        where = f"at the {self.side} of {self.module_name}"
        if self.channels_last is None:
            return f"tensor {where}, as named"
        if self.patch_size is None:
            return f"spatial map{' with channels last' if self.channels_last else ''} {where}"
        if not self.channels_last:
            return f"tokens (from patches of {self.patch_size} px) that are pooled, {where}"
        count = self.num_prefix_tokens
        prefix = f", after {count} prefix token{'s' if count > 1 else ''}" if count else ""
        return f"patch tokens ({self.patch_size} px each{prefix}) {where}"


def find_classifier(model: PreTrainedModel) -> tuple[str, nn.Linear]:
    """Find the linear layer that produces the logits, as timm states it or else the last linear layer.

    Its input is what this package calls a network's features. For transformers' DINOv2 these are 2 D numbers: the
    class token and the mean of the patch tokens.

    Returns:
        The layer's name and module.

    Raises:
        InputError: the network does not end in one linear layer with an output per class.
    """
    linear = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if isinstance(model, TimmWrapperForImageClassification):
        classifier = model.timm_model.get_classifier()
        if isinstance(classifier, tuple):
            raise InputError(
                f"{type(model.timm_model).__name__} produces its logits in {len(classifier)} classifiers, so its "
                "features can't be read from one of them; use the checkpoint of the transformers library, which has "
                "one classifier (such as facebook/deit-small-distilled-patch16-224), or one that was not distilled"
            )
        linear = [(name, module) for name, module in linear if module is classifier]
    if not linear or linear[-1][1].out_features != model.config.num_labels:
        raise InputError(
            f"{type(model).__name__} does not end in one linear layer with {model.config.num_labels} outputs, so its "
            "features can't be read; use another architecture"
        )
    return linear[-1]


def _patch_size(model: PreTrainedModel) -> int | None:
    """Return the patch size: the kernel of the first convolution, if kernel and stride are equal."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            square = module.kernel_size[0] == module.kernel_size[1]
            return int(module.kernel_size[0]) if square and module.kernel_size == module.stride else None
    return None


def _num_prefix_tokens(model: PreTrainedModel) -> int:
    return sum(
        int(parameter.shape[1])
        for name, parameter in model.named_parameters()
        if name.rpartition(".")[2] in PREFIX_TOKENS
    )


def _global_pool(model: PreTrainedModel) -> tuple[str, nn.Module] | None:
    """Find the layer that pools the whole image: timm's class for it, or the first pooling after the last convolution.

    A pooling before a convolution is part of a block (squeeze-and-excitation, or a strided shortcut).
    """
    last: tuple[str, nn.Module] | None = None
    for name, module in model.named_modules():
        if isinstance(module, SelectAdaptivePool2d):
            return name, module
        if isinstance(module, nn.Conv2d):
            last = None
        elif isinstance(module, POOLS) and last is None:
            last = name, module
    return last


def _pools_channels_last(pool: nn.Module) -> bool:
    """Whether timm pools a (B, h, w, D) tensor here, as in Swin, which could be mistaken for (B, D, h, w)."""
    return (
        isinstance(pool, SelectAdaptivePool2d)
        and isinstance(pool.pool, FastAdaptiveAvgPool)
        and pool.pool.dim == CHANNELS_LAST
    )


def _token_norms(model: PreTrainedModel) -> list[str]:
    """Name the normalisations before a vision transformer's attentions; empty for networks that pool a map."""
    if _global_pool(model) is not None:
        return []
    return [name for name, _ in model.named_modules() if name.rpartition(".")[2] in TOKEN_NORMS]


def transformer_blocks(model: PreTrainedModel) -> list[str]:
    """Name a vision transformer's blocks, from input to output; empty for networks that pool a spatial map."""
    return [name.rpartition(".")[0] for name in _token_norms(model)]


def is_convolutional(model: nn.Module) -> bool:
    """Whether a network has more convolutions than the one that embeds the patches of a transformer."""
    return sum(isinstance(module, nn.Conv2d) for module in model.modules()) > 1


def numbered_stages(names: list[str]) -> list[str]:
    """Return the stage prefixes in a transformers network, one per parameter in a stage, from input to output.

    The first number in a parameter's name is the number of its stage or, in a vision transformer, of its block.
    """
    stages = []
    for name in names:
        parts = name.split(".")
        depth = next((depth for depth, part in enumerate(parts) if part.isdigit()), None)
        if depth is not None and parts[0] != "classifier":
            stages.append(".".join(parts[: depth + 1]) + ".")
    return stages


def _averaged_stage(model: PreTrainedModel) -> str | None:
    """Find the last stage of a network that averages its map without a pooling layer, like transformers' ConvNeXt.

    None if that stage has no convolutions, or if more than a layer normalisation separates it from the classifier,
    because the average is then not that of the stage's map.
    """
    names = [name for name, _ in model.named_parameters()]
    stages = numbered_stages(names)
    if not stages:
        return None
    last = max(index for index, name in enumerate(names) if name.startswith(stages[-1]))
    behind = {name.rpartition(".")[0] for name in names[last + 1 :] if not name.startswith("classifier.")}
    convolves = any(
        isinstance(module, nn.Conv2d) for name, module in model.named_modules() if name.startswith(stages[-1])
    )
    if convolves and all(isinstance(model.get_submodule(name), nn.LayerNorm) for name in behind):
        return stages[-1].rstrip(".")
    return None


def _named_layer(model: PreTrainedModel, module_name: str) -> AttributionLayer:
    """Return the layer at the output of the module a user names."""
    modules = dict(model.named_modules())
    if module_name not in modules:
        raise InputError(
            hinted(
                f"attribution_layer {module_name!r} is not a module of {type(model).__name__}", module_name, modules
            )
        )
    pool = _global_pool(model)
    if pool is not None and _pools_channels_last(pool[1]) and not isinstance(modules[module_name], nn.Conv2d):
        return AttributionLayer(module_name, "output", channels_last=True)
    return AttributionLayer(module_name, "output", _patch_size(model), _num_prefix_tokens(model))


def find_attribution_layer(model: PreTrainedModel, module_name: str | None = None) -> AttributionLayer:
    """Find the layer by the rule above, or at the output of the module a user names.

    Raises:
        InputError: the module does not exist, or the rule does not fit the network; says how to name the layer.
    """
    if module_name is not None:
        return _named_layer(model, module_name)
    pool, norms, patch_size = _global_pool(model), _token_norms(model), _patch_size(model)
    if pool is not None:
        name, module = pool
        if not isinstance(module, nn.AdaptiveAvgPool1d):
            return AttributionLayer(name, "input", channels_last=_pools_channels_last(module))
        if patch_size is not None:
            return AttributionLayer(name, "input", patch_size, channels_last=False)
    elif norms and patch_size is not None:
        return AttributionLayer(norms[-1], "output", patch_size, _num_prefix_tokens(model), channels_last=True)
    elif not norms and (stage := _averaged_stage(model)) is not None:
        return AttributionLayer(stage, "output", channels_last=False)
    raise InputError(
        f"the final layer of {type(model).__name__} could not be found; name a module that outputs a (B, D, h, w) or "
        "(B, h, w, D) map, or patch tokens (B, N, D), with --attribution_layer"
    )


def _first_of_last_stage(model: PreTrainedModel, names: list[str]) -> str:
    """Return the prefix of the last stage's parameters."""
    if isinstance(model, TimmWrapperForImageClassification):
        return f"timm_model.{model.timm_model.feature_info[-1]['module']}."
    stages = numbered_stages(names)
    if not stages:
        raise InputError(f"the stages of {type(model).__name__} can't be identified; use --trainable all or head")
    return stages[-1]


def freeze_all_but(model: PreTrainedModel, trainable: Literal["all", "last_stage", "head"]) -> list[nn.Module]:
    """Freeze the parameters that are not to be trained.

    Returns:
        The modules without any trainable parameter, their submodules included. They must stay in evaluation mode so
        that frozen batch normalisation keeps its statistics.
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
