"""Small networks of every family of the zoo, in both libraries: random weights, loaded the way checkpoints are."""

import copy
import functools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
import transformers
from torch import nn
from transformers import AutoModelForImageClassification, PreTrainedModel

from hf_sslgen.zoo.timm_folder import write_timm_folder

NUM_CLASSES = 3


@dataclass(frozen=True)
class Family:
    """A small network and the facts known about it beforehand.

    Attributes:
        source: name of an architecture of timm, or of a model class of transformers.
        arguments: of `timm.create_model`, or of the class's configuration.
        layer: module that the rule reads, and on which side.
        classifier: its linear layer.
        last_stage: prefixes of the parameters of the last stage and of what follows it.
        stride: pixels per cell of the grid.
        width: D of the layer's tensor.
        num_prefix_tokens: None for networks whose layer holds a map.
        size_argument: name of the argument for the input's size; "" if any size is accepted.
    """

    source: str
    arguments: dict[str, Any]
    layer: tuple[str, str]
    classifier: str
    last_stage: tuple[str, ...]
    stride: int
    width: int
    num_prefix_tokens: int | None = None
    size_argument: str = ""
    channels_last: bool = field(default=False, kw_only=True)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return height // self.stride, width // self.stride


def _timm_vit(source: str, num_prefix: int, norm: str = "norm", **arguments: Any) -> Family:
    tiny = {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, **arguments}
    last = ("timm_model.blocks.1.", f"timm_model.{norm}.", "timm_model.head.")
    layer = ("timm_model.blocks.1.norm1", "output")
    return Family(source, tiny, layer, "timm_model.head", last, 8, 32, num_prefix, "img_size", channels_last=True)


def _timm_swin(source: str) -> Family:
    tiny = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
    layer = ("timm_model.head.global_pool", "input")
    last = ("timm_model.layers.1.", "timm_model.norm.", "timm_model.head.")
    return Family(source, tiny, layer, "timm_model.head.fc", last, 8, 16, None, "img_size", channels_last=True)


def _timm_convnext(source: str) -> Family:
    tiny = {"depths": [1, 1, 1, 1], "dims": [8, 8, 16, 24]}
    last = ("timm_model.stages.3.", "timm_model.head.")
    return Family(source, tiny, ("timm_model.head.global_pool", "input"), "timm_model.head.fc", last, 32, 24)


def _vit(
    source: str, trunk: str, num_prefix: int, behind: str = "layernorm", norm: str = "layernorm_before", **more: Any
) -> Family:
    """`trunk` leads to the list of blocks, `behind` is the normalisation after them."""
    tiny = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "patch_size": 8,
        "image_size": 32,
        **more,
    }
    last = (f"{trunk}.1.", f"{trunk.partition('.')[0]}.{behind}.", "classifier.")
    layer = (f"{trunk}.1.{norm}", "output")
    any_size = source.startswith("Dinov2")  # which interpolates its square of position embeddings
    size = "" if any_size else "image_size"
    return Family(source, tiny, layer, "classifier", last, 8, 32, num_prefix, size, channels_last=True)


def _swin(source: str, trunk: str) -> Family:
    tiny = {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2, "image_size": 32}
    last = (f"{trunk}.encoder.layers.1.", f"{trunk}.layernorm.", "classifier.")
    return Family(source, tiny, (f"{trunk}.pooler", "input"), "classifier", last, 8, 16)


def _convnext(source: str, trunk: str) -> Family:
    tiny = {"hidden_sizes": [8, 16], "depths": [1, 2], "num_stages": 2}
    last = (f"{trunk}.encoder.stages.1.", f"{trunk}.layernorm.", "classifier.")
    return Family(source, tiny, (f"{trunk}.encoder.stages.1", "output"), "classifier", last, 8, 16)


def _resnet(source: str, trunk: str, **more: Any) -> Family:
    tiny = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], **more}
    last = (f"{trunk}.encoder.stages.1.", "classifier.1.")
    return Family(source, tiny, (f"{trunk}.pooler", "input"), "classifier.1", last, 8, 16)


RELATIVE = {"use_relative_position_bias": True, "use_mean_pooling": True}

FAMILIES = {
    "timm-resnet": Family(
        "resnet18",
        {"channels": [8, 8, 16, 24]},
        ("timm_model.global_pool", "input"),
        "timm_model.fc",
        ("timm_model.layer4.", "timm_model.fc."),
        32,
        24,
    ),
    "timm-convnext": _timm_convnext("convnext_tiny"),
    "timm-convnextv2": _timm_convnext("convnextv2_tiny"),
    "timm-regnet": Family(
        "regnety_002",
        {},
        ("timm_model.head.global_pool", "input"),
        "timm_model.head.fc",
        ("timm_model.s4.", "timm_model.head."),
        32,
        368,
    ),
    "timm-efficientnet": Family(
        "efficientnet_b0",
        {},
        ("timm_model.global_pool", "input"),
        "timm_model.classifier",
        ("timm_model.blocks.6.", "timm_model.conv_head.", "timm_model.bn2.", "timm_model.classifier."),
        32,
        1280,
    ),
    "timm-vit": _timm_vit("vit_tiny_patch16_224", 1),
    "timm-vit-average": _timm_vit("vit_base_patch16_224", 1, "fc_norm", global_pool="avg"),
    "timm-vit-no-class-token": _timm_vit("vit_huge_patch14_gap_224", 0),
    "timm-deit": _timm_vit("deit_tiny_patch16_224", 1),
    "timm-deit3": _timm_vit("deit3_small_patch16_224", 1),
    "timm-dinov2-registers": _timm_vit("vit_small_patch14_reg4_dinov2", 5),
    "timm-dinov3": _timm_vit("vit_small_patch16_dinov3", 5),
    "timm-beit": _timm_vit("beit_base_patch16_224", 1, "fc_norm"),
    "timm-swin": _timm_swin("swin_tiny_patch4_window7_224"),
    "timm-swinv2": _timm_swin("swinv2_tiny_window8_256"),
    "resnet": _resnet("ResNet", "resnet", layer_type="basic"),
    "regnet": _resnet("RegNet", "regnet", groups_width=4),
    "convnext": _convnext("ConvNext", "convnext"),
    "convnextv2": _convnext("ConvNextV2", "convnextv2"),
    "efficientnet": Family(
        "EfficientNet",
        {"width_coefficient": 0.25, "depth_coefficient": 0.2, "hidden_dim": 320, "image_size": 64},
        ("efficientnet.pooler", "input"),
        "classifier",
        ("efficientnet.encoder.blocks.6.", "efficientnet.encoder.top_", "classifier."),
        32,
        320,
    ),
    "vit": _vit("ViT", "vit.layers", 1),
    "deit-distilled": _vit("DeiT", "deit.layers", 2),
    "vit-msn": _vit("ViTMSN", "vit.layers", 1),
    "ijepa": _vit("IJepa", "ijepa.layers", 0),
    "dinov2": _vit("Dinov2", "dinov2.encoder.layer", 1, norm="norm1"),
    "dinov2-registers": _vit("Dinov2WithRegisters", "dinov2_with_registers.encoder.layer", 5, norm="norm1"),
    "beit": _vit("Beit", "beit.layers", 1, "pooler", **RELATIVE),
    "data2vec": _vit("Data2VecVision", "data2vec_vision.encoder.layer", 1, "pooler", **RELATIVE),
    "swin": _swin("Swin", "swin"),
    "swinv2": _swin("Swinv2", "swinv2"),
}

SIZES = {"square": (2, 2), "wide": (2, 3), "tall": (3, 1)}
"""Sizes of inputs in cells of the coarsest grid."""


def pixels_of(family: Family, size: str) -> tuple[int, int]:
    """Height and width of an input: two, three or one time 32 or 16 px, so that a grid has at least two cells."""
    unit = 32 if family.stride == 32 else 16
    return SIZES[size][0] * unit, SIZES[size][1] * unit


def _spread(network: nn.Module) -> None:
    """Scale weights so that every layer matters: after initialisation, residual branches are often near zero."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
        else:
            nn.init.uniform_(parameter, 0.5, 1.5)


def _write_timm(folder: Path, family: Family, arguments: dict[str, Any], height: int, width: int) -> None:
    network = timm.create_model(family.source, num_classes=0, **arguments)
    _spread(network)
    preprocessing = {"input_size": [3, height, width], "mean": [0.5] * 3, "std": [0.5] * 3}
    write_timm_folder(folder, network.state_dict(), family.source, network.num_features, arguments, preprocessing)


@functools.cache
def _loaded(name: str, height: int, width: int) -> PreTrainedModel:
    family = FAMILIES[name]
    arguments = dict(family.arguments)
    if family.size_argument:
        arguments[family.size_argument] = [height, width]
    with torch.random.fork_rng(devices=[]), tempfile.TemporaryDirectory() as temporary:
        torch.manual_seed(0)
        folder = Path(temporary) / "network"
        if name.startswith("timm-"):
            _write_timm(folder, family, arguments, height, width)
        else:
            config = getattr(transformers, f"{family.source}Config")(num_labels=NUM_CLASSES, **arguments)
            network = getattr(transformers, f"{family.source}ForImageClassification")(config)
            _spread(network)
            network.save_pretrained(folder)
        model = AutoModelForImageClassification.from_pretrained(folder, num_labels=NUM_CLASSES)
        _spread(model.get_submodule(family.classifier))
    return model.eval()


def small_network(name: str, height: int, width: int) -> PreTrainedModel:
    """A fresh copy of a small network for inputs of this size, in evaluation mode."""
    return copy.deepcopy(_loaded(name, height, width))


def pictures(height: int, width: int, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(2))


POOLED_TOKENS = ("swin", "swinv2")
"""Families whose layer holds (B, D, N) tokens."""


def at_the_layer(model: PreTrainedModel, name: str, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The tensor at the layer that the table names, with its graph to the logits, and the logits."""
    module_name, side = FAMILIES[name].layer
    values = []
    module = model.get_submodule(module_name)
    if side == "input":
        handle = module.register_forward_pre_hook(lambda _, inputs: values.append(inputs[0]))
    else:
        handle = module.register_forward_hook(lambda _, __, output: values.append(output))
    logits = model(pixel_values=inputs).logits
    handle.remove()
    (value,) = values
    return value, logits


def as_map(values: torch.Tensor, name: str, height: int, width: int) -> torch.Tensor:
    """The tensor written out cell by cell, row after row."""
    family = FAMILIES[name]
    h, w = family.grid(height, width)
    grid = torch.empty(len(values), family.width, h, w)
    for row in range(h):
        for column in range(w):
            if family.num_prefix_tokens is not None:
                cell = values[:, family.num_prefix_tokens + row * w + column]
            elif name in POOLED_TOKENS:
                cell = values[:, :, row * w + column]
            else:
                cell = values[:, row, column] if family.channels_last else values[:, :, row, column]
            grid[:, :, row, column] = cell
    return grid
