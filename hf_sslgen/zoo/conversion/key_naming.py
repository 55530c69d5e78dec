"""Tensor names of each naming, turned into timm's."""

import re
from collections.abc import Callable, Mapping

import torch

from hf_sslgen.zoo.conversion.layout_rows import Naming

BATCH_NORM = r"(?:weight|bias|running_mean|running_var|num_batches_tracked)"

TIMM_TRUNK = re.compile(
    r"conv1\.weight|bn1\.BN|layer\d+\.\d+\.(?:conv[123]\.weight|bn[123]\.BN|downsample\.0\.weight|downsample\.1\.BN)".replace(
        "BN", BATCH_NORM
    )
)

TIMM_CLASSIFIER = re.compile(r"(?:fc|head)\.(?:weight|bias)")

HAIKU = re.compile(
    r"res_net\w*/~/(?:block_group_(?P<group>\d+)/~/block_(?P<block>\d+)/~/)?"
    r"(?P<part>initial_|shortcut_)?(?P<kind>conv|batchnorm)(?:_(?P<index>\d+))?"
    r"(?:/~/(?P<statistic>mean|var)_ema)?/(?P<value>w|scale|offset|average)"
)

HAIKU_VALUES = {"w": "weight", "scale": "weight", "offset": "bias"}


def timm_name(key: str, naming: Naming) -> str | None:
    """Return timm's name of a trunk's or classifier's tensor; None if the naming has no such tensor."""
    return RENAMING[naming](key)


def is_classifier(name: str) -> bool:
    """Whether timm's name is that of a classifier's tensor."""
    return TIMM_CLASSIFIER.fullmatch(name) is not None


def in_timm_order(name: str, tensor: torch.Tensor, naming: Naming) -> torch.Tensor:
    """Put a tensor's axes into PyTorch's order: Haiku's convolutions have output channels last."""
    if naming != "haiku resnet":
        return tensor
    return tensor.permute(3, 2, 0, 1) if tensor.ndim == 4 and tensor.shape[:3] != (1, 1, 1) else tensor.flatten()


def _same(key: str) -> str | None:
    return key if TIMM_TRUNK.fullmatch(key) or TIMM_CLASSIFIER.fullmatch(key) else None


def _from_haiku(key: str) -> str | None:
    found = HAIKU.fullmatch(key)
    if found is None:
        return None
    is_convolution = found["kind"] == "conv"
    if found["part"] == "initial_":
        module = "conv1" if is_convolution else "bn1"
    elif found["group"] is None:
        return None
    else:
        module = f"layer{int(found['group']) + 1}.{found['block']}."
        if found["part"] == "shortcut_":
            module += "downsample.0" if is_convolution else "downsample.1"
        else:
            module += f"{'conv' if is_convolution else 'bn'}{int(found['index']) + 1}"
    if found["statistic"] is None:
        return f"{module}.{HAIKU_VALUES[found['value']]}"
    return f"{module}.running_{found['statistic']}"


RENAMING: Mapping[Naming, Callable[[str], str | None]] = {"timm": _same, "haiku resnet": _from_haiku}
