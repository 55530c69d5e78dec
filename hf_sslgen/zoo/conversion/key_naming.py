"""Tensor names of each naming, turned into timm's."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import torch

from hf_sslgen.zoo.conversion.layout_form import Naming

BATCH_NORM: Final = r"(?:weight|bias|running_mean|running_var|num_batches_tracked)"
AFFINE: Final = r"(?:weight|bias)"
END: Final = rf"\.(?P<end>{BATCH_NORM})"

RESNET: Final = re.compile(
    rf"conv1\.weight|bn1\.{BATCH_NORM}|layer\d+\.\d+\.(?:conv[123]\.weight|bn[123]\.{BATCH_NORM}"
    rf"|downsample\.0\.weight|downsample\.1\.{BATCH_NORM})"
)
VIT: Final = re.compile(
    rf"cls_token|pos_embed|reg_token|patch_embed\.proj\.{AFFINE}|(?:norm|fc_norm)\.{AFFINE}"
    rf"|blocks\.\d+\.(?:(?:norm1|norm2|attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)\.{AFFINE}|ls[12]\.gamma)"
)

Template = str | Callable[[re.Match[str]], str]

WITHIN_VIT_BLOCK: Final[Mapping[Naming, Mapping[str, str]]] = {
    "mmpretrain vit": {
        "ln1": "norm1",
        "ln2": "norm2",
        "attn.qkv": "attn.qkv",
        "attn.proj": "attn.proj",
        "ffn.layers.0.0": "mlp.fc1",
        "ffn.layers.1": "mlp.fc2",
    },
    "torchvision vit": {
        "ln_1": "norm1",
        "ln_2": "norm2",
        "self_attention.in_proj": "attn.qkv",
        "self_attention.out_proj": "attn.proj",
        "mlp.0": "mlp.fc1",
        "mlp.3": "mlp.fc2",
        "mlp.linear_1": "mlp.fc1",
        "mlp.linear_2": "mlp.fc2",
    },
    "transformers vit": {
        "layernorm_before": "norm1",
        "layernorm_after": "norm2",
        "attention.attention.query": "attn.q",
        "attention.attention.key": "attn.k",
        "attention.attention.value": "attn.v",
        "attention.output.dense": "attn.proj",
        "intermediate.dense": "mlp.fc1",
        "output.dense": "mlp.fc2",
        "attention.q_proj": "attn.q",
        "attention.k_proj": "attn.k",
        "attention.v_proj": "attn.v",
        "attention.o_proj": "attn.proj",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
    },
}
"""Modules of a ViT's block by their names in a naming; the parts of `attn.qkv` may be apart, as `attn.q` and so on."""


def _in_block(naming: Naming) -> Template:
    modules = WITHIN_VIT_BLOCK[naming]
    return lambda found: f"blocks.{found['block']}.{modules[found['module']]}.{found['end']}"


def _vit_block(naming: Naming, beginning: str, between: str = r"\.") -> tuple[str, Template]:
    modules = "|".join(map(re.escape, WITHIN_VIT_BLOCK[naming]))
    return rf"{beginning}(?P<block>\d+)\.(?P<module>{modules}){between}(?P<end>{AFFINE})", _in_block(naming)


def _stage(shift: int, rest: str) -> Template:
    """The name of a tensor in a ResNet's stage, whose number differs from timm's."""
    return lambda found: f"layer{int(found['stage']) + shift}.{found['block']}.{found.expand(rest)}"


def _haiku(found: re.Match[str]) -> str:
    stage, part = found["stage"], found["part"]
    kind = {"conv": "conv", "batchnorm": "bn"}[found["kind"]]
    if stage is None:
        module = f"{kind}1"
    elif part is None:
        module = f"layer{int(stage) + 1}.{found['block']}.{kind}{int(found['index']) + 1}"
    else:
        module = f"layer{int(stage) + 1}.{found['block']}.downsample.{int(kind == 'bn')}"
    values = {"w": "weight", "scale": "weight", "offset": "bias", "average": f"running_{found['statistic']}"}
    return f"{module}.{values[found['value']]}"


def _simclr_v2(found: re.Match[str]) -> str:
    position = int(found["position"])
    return (
        f"layer{found['stage']}.{found['block']}.{'bn' if position % 2 else 'conv'}{position // 2 + 1}.{found['end']}"
    )


def _layer_of_transformers(found: re.Match[str]) -> str:
    kind = {"convolution": "conv", "normalization": "bn"}[found["kind"]]
    position = int(found["position"]) + 1
    return f"layer{int(found['stage']) + 1}.{found['block']}.{kind}{position}.{found['end']}"


RULES: Final[Mapping[Naming, tuple[tuple[str, Template], ...]]] = {
    "timm": ((rf"(?:{RESNET.pattern}|{VIT.pattern})", r"\g<0>"),),
    "haiku resnet": (
        (
            r"res_net\w*/~/(?:initial_|block_group_(?P<stage>\d+)/~/block_(?P<block>\d+)/~/(?P<part>shortcut_)?)"
            r"(?P<kind>conv|batchnorm)(?:_(?P<index>\d+))?"
            r"(?:/~/(?P<statistic>mean|var)_ema)?/(?P<value>w|scale|offset|average)",
            _haiku,
        ),
    ),
    "simclr v2 resnet": (
        (r"net\.0\.0\.weight", "conv1.weight"),
        (rf"net\.0\.1\.0{END}", r"bn1.\g<end>"),
        (r"net\.(?P<stage>[1-4])\.blocks\.(?P<block>\d+)\.net\.(?P<position>[024])\.(?P<end>weight)", _simclr_v2),
        (rf"net\.(?P<stage>[1-4])\.blocks\.(?P<block>\d+)\.net\.(?P<position>[135])\.0{END}", _simclr_v2),
        (
            r"net\.(?P<stage>[1-4])\.blocks\.(?P<block>\d+)\.projection\.shortcut\.weight",
            _stage(0, "downsample.0.weight"),
        ),
        (
            rf"net\.(?P<stage>[1-4])\.blocks\.(?P<block>\d+)\.projection\.bn\.0{END}",
            _stage(0, r"downsample.1.\g<end>"),
        ),
    ),
    "sequential resnet": (
        (r"0\.weight", "conv1.weight"),
        (rf"1{END}", r"bn1.\g<end>"),
        (r"(?P<stage>[4-7])\.(?P<block>\d+)\.(?P<rest>.+)", _stage(-3, r"\g<rest>")),
    ),
    "obow resnet": (
        (r"_feature_blocks\.0\.0\.weight", "conv1.weight"),
        (rf"_feature_blocks\.0\.1{END}", r"bn1.\g<end>"),
        (r"_feature_blocks\.(?P<stage>[1-4])\.(?P<block>\d+)\.(?P<rest>.+)", _stage(0, r"\g<rest>")),
    ),
    "transformers resnet": (
        (r"embedder\.embedder\.convolution\.weight", "conv1.weight"),
        (rf"embedder\.embedder\.normalization{END}", r"bn1.\g<end>"),
        (
            r"encoder\.stages\.(?P<stage>\d+)\.layers\.(?P<block>\d+)\.shortcut\.convolution\.weight",
            _stage(1, "downsample.0.weight"),
        ),
        (
            rf"encoder\.stages\.(?P<stage>\d+)\.layers\.(?P<block>\d+)\.shortcut\.normalization{END}",
            _stage(1, r"downsample.1.\g<end>"),
        ),
        (
            r"encoder\.stages\.(?P<stage>\d+)\.layers\.(?P<block>\d+)\.layer\.(?P<position>\d+)\."
            rf"(?P<kind>convolution|normalization){END}",
            _layer_of_transformers,
        ),
    ),
    "transformers vit": (
        (r"embeddings\.cls_token", "cls_token"),
        (r"embeddings\.position_embeddings", "pos_embed"),
        (rf"embeddings\.patch_embeddings\.projection\.(?P<end>{AFFINE})", r"patch_embed.proj.\g<end>"),
        (rf"layernorm\.(?P<end>{AFFINE})", r"norm.\g<end>"),
        _vit_block("transformers vit", r"(?:encoder\.layer|layers)\."),
    ),
    "mmpretrain vit": (
        (r"cls_token|pos_embed", r"\g<0>"),
        (rf"patch_embed\.projection\.(?P<end>{AFFINE})", r"patch_embed.proj.\g<end>"),
        (rf"ln1\.(?P<end>{AFFINE})", r"norm.\g<end>"),
        _vit_block("mmpretrain vit", r"layers\."),
    ),
    "torchvision vit": (
        (r"class_token", "cls_token"),
        (r"encoder\.pos_embedding", "pos_embed"),
        (rf"conv_proj\.(?P<end>{AFFINE})", r"patch_embed.proj.\g<end>"),
        (rf"encoder\.ln\.(?P<end>{AFFINE})", r"norm.\g<end>"),
        _vit_block("torchvision vit", r"encoder\.layers\.encoder_layer_", r"[._]"),
    ),
    "efficientnet": (
        (r"_conv_stem\.weight", "conv_stem.weight"),
        (rf"_bn0{END}", r"bn1.\g<end>"),
        (r"_conv_head\.weight", "conv_head.weight"),
        (rf"_bn1{END}", r"bn2.\g<end>"),
        (
            r"_blocks\.(?P<block>\d+)\._(?P<module>expand_conv|depthwise_conv|project_conv|se_reduce|se_expand|bn[012])"
            rf"{END}",
            r"blocks.\g<block>.\g<module>.\g<end>",
        ),
    ),
}
"""Patterns of whole keys, after the prefix, and timm's names of them; EfficientNets' blocks are numbered later."""

COMPILED: Final = {
    naming: tuple((re.compile(pattern), template) for pattern, template in rules) for naming, rules in RULES.items()
}


def timm_name(key: str, naming: Naming) -> str | None:
    """Return timm's name of a trunk's tensor; None if the naming has no such tensor."""
    for pattern, template in COMPILED[naming]:
        if (found := pattern.fullmatch(key)) is not None:
            name = found.expand(template) if isinstance(template, str) else template(found)
            return name if naming in ("efficientnet", "transformers vit") or _is_timms(name) else None
    return None


def _is_timms(name: str) -> bool:
    return RESNET.fullmatch(name) is not None or VIT.fullmatch(name) is not None


def in_timm_order(tensor: torch.Tensor, naming: Naming) -> torch.Tensor:
    """Put a tensor's axes into PyTorch's order: Haiku's convolutions have output channels last."""
    if naming != "haiku resnet" or tensor.ndim != 4:
        return tensor
    return tensor.flatten() if tensor.shape[:-1].numel() == 1 else tensor.permute(3, 2, 0, 1)
