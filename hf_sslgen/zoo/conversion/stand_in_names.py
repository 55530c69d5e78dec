"""A trunk's tensors under the names of layouts that rename them, from timm's."""

import re
from collections.abc import Callable
from typing import Final

import torch

State = dict[str, torch.Tensor]

TRANSFORMERS_VIT: Final = (
    ("cls_token", "embeddings.cls_token"),
    ("pos_embed", "embeddings.position_embeddings"),
    ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
    ("blocks", "encoder.layer"),
    ("norm1", "layernorm_before"),
    ("norm2", "layernorm_after"),
    ("attn.proj", "attention.output.dense"),
    ("mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "output.dense"),
    ("norm", "layernorm"),
)
MMPRETRAIN_VIT: Final = (
    ("patch_embed.proj", "patch_embed.projection"),
    ("blocks", "layers"),
    ("norm1", "ln1"),
    ("norm2", "ln2"),
    ("mlp.fc1", "ffn.layers.0.0"),
    ("mlp.fc2", "ffn.layers.1"),
    ("norm", "ln1"),
)
TRANSFORMERS_RESNET: Final = (
    (r"^conv1$", "embedder.embedder.convolution"),
    (r"^bn1$", "embedder.embedder.normalization"),
    (r"\.downsample\.0$", ".shortcut.convolution"),
    (r"\.downsample\.1$", ".shortcut.normalization"),
)


def obow_names(trunk: State) -> State:
    """Return the names of OBoW's own networks, such as `_feature_blocks.1.0.conv1.weight`."""
    stem = {"conv1": "0.0", "bn1": "0.1"}
    return _renamed(trunk, lambda module: f"_feature_blocks.{stem.get(module, module.removeprefix('layer'))}")


def simclr_v2_names(trunk: State) -> State:
    """Return the names of PyTorch's ports of SimCLR v2, such as `net.1.blocks.0.net.0.weight`."""

    def renamed(module: str) -> str:
        if module in ("conv1", "bn1"):
            return {"conv1": "net.0.0", "bn1": "net.0.1.0"}[module]
        stage, block, kind, *rest = module.removeprefix("layer").split(".")
        place = f"net.{stage}.blocks.{block}"
        if kind == "downsample":
            return f"{place}.projection.{('shortcut', 'bn.0')[int(rest[0])]}"
        position = 2 * (int(kind[-1]) - 1)
        return f"{place}.net.{position}" if kind.startswith("conv") else f"{place}.net.{position + 1}.0"

    return _renamed(trunk, renamed)


def mmpretrain_names(trunk: State) -> State:
    """Return the names of mmpretrain's ViT."""
    return {_replaced(key, MMPRETRAIN_VIT): tensor for key, tensor in trunk.items()}


def transformers_names(trunk: State) -> State:
    """Return the names of transformers' ResNetModel or ViTModel, where query, key and value are apart."""
    if "pos_embed" not in trunk:
        return _renamed(trunk, _transformers_module)
    state: State = {}
    for key, tensor in trunk.items():
        if (found := re.fullmatch(r"blocks\.(\d+)\.attn\.qkv\.(\w+)", key)) is None:
            state[_replaced(key, TRANSFORMERS_VIT)] = tensor
            continue
        for name, part in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
            state[f"encoder.layer.{found[1]}.attention.attention.{name}.{found[2]}"] = part.clone()
    return state


def _transformers_module(module: str) -> str:
    for pattern, replacement in TRANSFORMERS_RESNET:
        module = re.sub(pattern, replacement, module)
    if (found := re.match(r"layer(\d)\.(\d+)\.", module)) is None:
        return module
    inner = module[found.end() :]
    if inner.startswith(("conv", "bn")):
        kind = "convolution" if inner.startswith("conv") else "normalization"
        inner = f"layer.{int(inner[-1]) - 1}.{kind}"
    return f"encoder.stages.{int(found[1]) - 1}.layers.{found[2]}.{inner}"


def _renamed(trunk: State, module_name: Callable[[str], str]) -> State:
    """Rename the modules of a trunk's tensors, whose last part is `weight`, `bias` or a statistic."""
    split = {key: key.rsplit(".", 1) for key in trunk}
    return {f"{module_name(split[key][0])}.{split[key][1]}": tensor for key, tensor in trunk.items()}


def _replaced(key: str, names: tuple[tuple[str, str], ...]) -> str:
    """Replace parts of a key, which are bounded by dots; `norm` is only the last one's."""
    for old, new in names:
        if old == "norm":
            key = re.sub(r"^norm\.", f"{new}.", key)
        else:
            key = re.sub(rf"(^|(?<=\.)){re.escape(old)}(?=\.|$)", new, key)
    return key
