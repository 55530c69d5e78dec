"""Pad strided convolutions and max-pooling as TensorFlow does where a checkpoint was trained that way.

TensorFlow's SAME padding puts the odd pixel of an even input at the right and the bottom; torch pads both sides alike,
which shifts what each layer sees. Checkpoints state it as `"padding": "same"` in `config.json`, a key that timm and
transformers keep and do not obey.
"""

from typing import Any, Final

from timm.layers import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.errors import InputError

PADDING_KEY: Final = "padding"
SAME, TORCH = "same", "torch"


def stated_padding(config: Any) -> str:
    """Return the padding that the configuration of a timm network states; torch's own if it states none.

    Raises:
        InputError: it states an unknown one.
    """
    stated = config.to_dict().get(PADDING_KEY) or TORCH
    if stated not in (SAME, TORCH):
        raise InputError(f"padding in its config.json is {str(stated)[:40]!r}; it must be {SAME!r} or {TORCH!r}")
    return str(stated)


def obey_padding(model: Any) -> None:
    """Give transformers' wrapper of a timm network the padding that its configuration states, in place.

    Other models are left as they are.

    Raises:
        InputError: the padding is unknown, or the network has layers that can't be padded that way.
    """
    if isinstance(model, TimmWrapperForImageClassification) and stated_padding(model.config) == SAME:
        use_same_padding(model.timm_model)


def use_same_padding(network: nn.Module) -> None:
    """Replace strided convolutions and max-pooling that pad by timm's layers with SAME padding, in place.

    Weights, their names and the training mode stay as they are.

    Raises:
        InputError: a layer pads in a way that has no equal.
    """
    for name, module in list(network.named_modules()):
        replacement = _same(name, module)
        if replacement is not None:
            parent, _, own = name.rpartition(".")
            setattr(network.get_submodule(parent), own, replacement.train(module.training))


def _same(name: str, module: nn.Module) -> nn.Module | None:
    """Return what a layer is replaced by; None if it pads the same in either way."""
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) or isinstance(
        module, Conv2dSame | MaxPool2dSame
    ):
        return None
    if _largest(module.padding) == 0 or _largest(module.stride) == 1:
        return None
    if isinstance(module, nn.Conv2d) and module.padding_mode == "zeros":
        return _same_convolution(module)
    if isinstance(module, nn.MaxPool2d) and not module.return_indices:
        return MaxPool2dSame(module.kernel_size, module.stride, dilation=module.dilation, ceil_mode=module.ceil_mode)
    raise InputError(
        f"its layer {name} ({module}) has no equal with SAME padding; remove 'padding' from its config.json"
    )


def _largest(value: Any) -> int:
    if isinstance(value, str):
        return int(value != "valid")
    return max(value) if isinstance(value, tuple) else int(value)


def _same_convolution(module: nn.Conv2d) -> Conv2dSame:
    made = Conv2dSame(
        module.in_channels,
        module.out_channels,
        module.kernel_size,  # type: ignore[arg-type]
        stride=module.stride,  # type: ignore[arg-type]
        dilation=module.dilation,  # type: ignore[arg-type]
        groups=module.groups,
        bias=module.bias is not None,
        device="meta",
    )
    made.weight, made.bias = module.weight, module.bias
    return made
