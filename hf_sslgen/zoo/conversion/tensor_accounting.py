"""Require that tensors make up a network exactly: none missing, none left over, none of another shape or type."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import timm
import torch

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import Architecture
from hf_sslgen.zoo.conversion.key_naming import in_timm_order
from hf_sslgen.zoo.conversion.layout_form import Naming

COUNTER: Final = "num_batches_tracked"

WEIGHT_TYPES: Final = (torch.float32, torch.float16, torch.bfloat16)

SHOWN: Final = 3

PARTS: Final = ("q", "k", "v")
"""Parts of `attn.qkv` in its order, where a file has them apart."""


@dataclass(frozen=True, eq=False)
class FileTensor:
    """A tensor and its key in the file."""

    key: str
    tensor: torch.Tensor


def shown(names: Iterable[str]) -> str:
    """List a few names in an error, and say how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name[:120]) for name in names[:SHOWN]) + more


def counted(names: Iterable[str], singular: str, plural: str) -> str:
    """List a few names after a verb that fits their number."""
    names = list(names)
    return f"{shown(names)} {singular if len(names) == 1 else plural}"


def plain_tensors(values: Mapping[str, Any], sources: Mapping[str, str], naming: Naming) -> dict[str, FileTensor]:
    """Return a file's tensors by timm's names, with their axes in PyTorch's order.

    Args:
        values: what the file holds, by timm's names.
        sources: keys in the file, by the same names.

    Raises:
        InputError: an entry is not a tensor, or its type is not one that weights have.
    """
    tensors = {name: _plain_tensor(name, sources[name], value) for name, value in values.items()}
    return {name: FileTensor(sources[name], in_timm_order(each, naming)) for name, each in tensors.items()}


def _plain_tensor(name: str, key: str, value: Any) -> torch.Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.from_numpy(np.array(value, order="C"))  # a copy, because torch wants to be able to write
    if not isinstance(value, torch.Tensor):
        raise InputError(f"has a value of type {type(value).__name__} at {key!r} instead of a tensor")
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise InputError(
            f"has a sparse or quantised tensor, or one without content, at {key!r}; save it as a plain tensor"
        )
    if value.numel() == 0:
        raise InputError(f"has an empty tensor at {key!r}, {_described(value)}")
    if name.endswith(COUNTER):
        if value.is_floating_point() or value.ndim:
            raise InputError(f"has {_described(value)} at {key!r} instead of a whole number, which counts batches")
    elif value.dtype not in WEIGHT_TYPES:
        raise InputError(
            f"has {_described(value)} at {key!r}, and weights must be float32, float16 or bfloat16; save the "
            "checkpoint in one of these"
        )
    return value.detach()


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


def with_joined_attention(tensors: Mapping[str, FileTensor]) -> dict[str, FileTensor]:
    """Join query, key and value of each block, where a file has them apart, to timm's one tensor.

    Parts that do not fit one another are left as they are, so that they count as surplus and their sum as missing.
    """
    joined = dict(tensors)
    for name in tensors:
        if (found := re.fullmatch(r"(blocks\.\d+\.attn)\.q\.(weight|bias)", name)) is None:
            continue
        names = [f"{found[1]}.{part}.{found[2]}" for part in PARTS]
        if all(each in tensors for each in names) and len({tensors[each].tensor.shape for each in names}) == 1:
            parts = [joined.pop(each) for each in names]
            joined[f"{found[1]}.qkv.{found[2]}"] = FileTensor(parts[0].key, torch.cat([each.tensor for each in parts]))
    return joined


@functools.lru_cache(maxsize=16)
def _expected(name: str, arguments: tuple[tuple[str, Any], ...], num_classes: int) -> dict[str, torch.Size]:
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False, num_classes=num_classes, **dict(arguments))
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def expected_shapes(architecture: Architecture, num_classes: int) -> dict[str, torch.Size]:
    """Return the shape of every tensor of a network by timm's name, without making the network's weights."""
    return _expected(architecture.name, tuple(architecture.model_args.items()), num_classes)


def faults(tensors: Mapping[str, FileTensor], architecture: Architecture, num_classes: int) -> list[str]:
    """Say in which ways tensors are not those of a network, each in its shape; counters of batches may be missing.

    Returns:
        Ends of a sentence about the file that name the tensors; none if it is complete.
    """
    expected = expected_shapes(architecture, num_classes)
    found = []
    missing = [name for name in expected if name not in tensors and not name.endswith(COUNTER)]
    if missing:
        found.append(f"lacks {len(missing)} of {architecture.name}'s tensors, in timm's names {shown(missing)}")
    surplus = [each.key for name, each in tensors.items() if name not in expected]
    if surplus:
        found.append(f"has {len(surplus)} tensors that {architecture.name} does not have: {shown(surplus)}")
    misshapen = {
        each.key: f"{tuple(each.tensor.shape)}, not {tuple(expected[name])}"
        for name, each in tensors.items()
        if name in expected and each.tensor.shape != expected[name]
    }
    if misshapen:
        first = min(misshapen)
        found.append(
            f"has {len(misshapen)} of {architecture.name}'s tensors in another shape: {shown(misshapen)} "
            f"({first!r} is {misshapen[first]})"
        )
    return found


def check_values(tensors: Mapping[str, FileTensor]) -> None:
    """Require that all values are finite, and that no variance is negative.

    Raises:
        InputError: names the keys.
    """
    broken = [
        each.key
        for each in tensors.values()
        if each.tensor.is_floating_point() and not bool(torch.isfinite(each.tensor).all())
    ]
    if broken:
        raise InputError(
            f"{counted(broken, 'holds', 'hold')} NaN or infinity: training diverged, or the file is damaged; get "
            "another file"
        )
    variances = [each for name, each in tensors.items() if name.endswith("running_var")]
    negative = [each.key for each in variances if bool((each.tensor < 0).any())]
    if negative:
        raise InputError(
            f"{counted(negative, 'holds', 'hold')} negative variances: the file is damaged; get another file"
        )


def whole_state(
    tensors: Mapping[str, FileTensor], architecture: Architecture, num_classes: int
) -> dict[str, torch.Tensor]:
    """Return a network's whole `state_dict` in timm's order: weights as float32, missing counters as 0."""
    whole = {}
    for name in expected_shapes(architecture, num_classes):
        if not name.endswith(COUNTER):
            whole[name] = tensors[name].tensor.to(torch.float32).contiguous()
        elif name in tensors:
            whole[name] = tensors[name].tensor.to(torch.int64)
        else:
            whole[name] = torch.tensor(0)
    return whole
