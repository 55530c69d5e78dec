"""Require that tensors make up a network exactly: none missing, none left over, none of another shape or type."""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import timm
import torch

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import Architecture
from hf_sslgen.zoo.conversion.key_naming import in_timm_order
from hf_sslgen.zoo.conversion.layout_reading import LayoutReading

COUNTER = "num_batches_tracked"

WEIGHT_TYPES = (torch.float32, torch.float16, torch.bfloat16)

SHOWN = 3


def shown(names: Iterable[str]) -> str:
    """List a few names in an error, and say how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name[:120]) for name in names[:SHOWN]) + more


def plain_tensors(reading: LayoutReading) -> dict[str, torch.Tensor]:
    """Return a reading's tensors under timm's names, with their axes in PyTorch's order.

    Raises:
        InputError: one is no tensor, or not of a type that weights have.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, value in reading.values.items():
        key = reading.sources[name]
        tensor = _plain_tensor(key, value)
        if name.endswith(COUNTER):
            if tensor.is_floating_point() or tensor.ndim:
                raise InputError(f"{key!r} must be a whole number, a counter of batches, and is {_described(tensor)}")
        elif tensor.dtype not in WEIGHT_TYPES:
            raise InputError(
                f"{key!r} holds {str(tensor.dtype).removeprefix('torch.')}, and weights must be float32, float16 or "
                "bfloat16; save the checkpoint in one of these"
            )
        tensors[name] = in_timm_order(name, tensor, reading.layout.naming)
    return tensors


def _plain_tensor(key: str, value: Any) -> torch.Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, torch.Tensor):
        raise InputError(f"{key!r} must be a tensor, and is {type(value).__name__}")
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        raise InputError(f"{key!r} is sparse, quantised or without content; save it as a plain tensor")
    return value.detach()


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} of shape {tuple(tensor.shape)}"


@functools.lru_cache(maxsize=8)
def _expected(name: str, arguments: tuple[tuple[str, Any], ...], num_classes: int) -> dict[str, torch.Size]:
    with torch.device("meta"):
        network = timm.create_model(name, pretrained=False, num_classes=num_classes, **dict(arguments))
    return {key: tensor.shape for key, tensor in network.state_dict().items()}


def expected_shapes(architecture: Architecture, num_classes: int) -> dict[str, torch.Size]:
    """Return the shape of every tensor of a network by timm's name, without making the network's weights."""
    return _expected(architecture.name, tuple(architecture.model_args.items()), num_classes)


def check_complete(
    tensors: Mapping[str, torch.Tensor], sources: Mapping[str, str], architecture: Architecture, num_classes: int
) -> None:
    """Require that tensors are those of a network, each in its shape; counters of batches may be missing.

    Args:
        sources: the tensors' keys in the file.

    Raises:
        InputError: names the keys.
    """
    expected = expected_shapes(architecture, num_classes)
    missing = [name for name in expected if name not in tensors and not name.endswith(COUNTER)]
    if missing:
        raise InputError(f"it lacks {len(missing)} tensors of {architecture.name}, in timm's names {shown(missing)}")
    surplus = [sources[name] for name in tensors if name not in expected]
    if surplus:
        raise InputError(f"it holds {len(surplus)} tensors that {architecture.name} does not have: {shown(surplus)}")
    misshapen = {sources[name]: name for name, tensor in tensors.items() if tensor.shape != expected[name]}
    if misshapen:
        key = min(misshapen)
        raise InputError(
            f"{shown(misshapen)} {'have' if len(misshapen) > 1 else 'has'} another shape than in {architecture.name}: "
            f"{key!r} is {tuple(tensors[misshapen[key]].shape)}, not {tuple(expected[misshapen[key]])}"
        )


def check_finite(tensors: Mapping[str, torch.Tensor], sources: Mapping[str, str]) -> None:
    """Require that all values are finite, and that no variance is negative.

    Raises:
        InputError: names the keys.
    """
    broken = [
        sources[name]
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())
    ]
    if broken:
        raise InputError(
            f"{shown(broken)} {'hold' if len(broken) > 1 else 'holds'} NaN or infinity: training diverged, or the "
            "file is damaged; get another file"
        )
    negative = [sources[name] for name in tensors if name.endswith("running_var") and bool((tensors[name] < 0).any())]
    if negative:
        raise InputError(f"{shown(negative)} hold negative variances; the file is damaged, so get another")


def finished(
    tensors: Mapping[str, torch.Tensor], architecture: Architecture, num_classes: int
) -> dict[str, torch.Tensor]:
    """Return a network's whole `state_dict` in timm's order: weights as float32, missing counters as 0."""
    whole = {}
    for name in expected_shapes(architecture, num_classes):
        tensor = tensors.get(name, torch.tensor(0))
        whole[name] = tensor.contiguous() if name.endswith(COUNTER) else tensor.to(torch.float32).contiguous()
    return whole
