"""Small random networks in place of a study's backbones, in the formats that these are published in."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import timm
import torch
from torch import nn
from transformers import (
    ConvNextImageProcessor,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from hf_sslgen.files import replace_files
from hf_sslgen.randomness import derive_seed
from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.conversion.convert_file import MEANS_AND_DEVIATIONS, convert_checkpoint
from hf_sslgen.zoo.conversion.stand_ins import NARROW_CHANNELS, small_resnet50, write_stand_in
from hf_sslgen.zoo.timm_folder import write_timm_folder

SIDE: Final = 64
"""Side of the networks' input in pixels."""

STAND_IN_ARCHITECTURE: Final = "resnet50"
"""The architecture of a small ResNet: rows of it are converted with all that is registered of them."""

SMALL_VIT: Final[dict[str, Any]] = {"img_size": SIDE, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
SMALL_TRANSFORMERS_VIT: Final[dict[str, Any]] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": SIDE,
}
SMALL_RESNET: Final[dict[str, Any]] = {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1]}
SMALL_CONVNEXT: Final[dict[str, Any]] = {"ls_init_value": None, "depths": (1, 1, 1, 1), "dims": (8, 16, 16, 32)}


def write_stand_in_backbone(folder: Path, name: str, row: Backbone | None) -> None:
    """Write a small random network to a folder that is loaded like the backbone, unless the folder exists.

    A row that needs conversion gets a file in its own layout, which is converted as the published one would be. A
    row of timm or transformers gets a folder of that library; so does, as a ResNet of timm, what is not registered.

    Args:
        name: from which the weights are drawn.
    """
    if folder.exists():
        return
    seed = derive_seed(0, "stand-in", name)
    if row is not None and row.needs_conversion:
        _convert(folder, row, seed)
    elif row is not None and row.library == "transformers":
        _write_transformers(folder, row, seed)
    else:
        _write_timm(folder, row.architecture if row is not None else "resnet50", _normalization(row), seed)


def _normalization(row: Backbone | None) -> str:
    return row.normalization if row is not None else "imagenet"


def _convert(folder: Path, row: Backbone, seed: int) -> None:
    published = folder.parent / f"{folder.name}.published"
    is_resnet = row.architecture.startswith("resnet50")
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        layout = row.layout or ("supervised" if row.is_supervised else "plain")
        write_stand_in(layout, published, seed, "resnet" if is_resnet else "vit")
        if row.architecture == STAND_IN_ARCHITECTURE:
            convert_checkpoint(published, folder, row=replace(row, parameters=None))  # it is smaller on purpose
        else:
            normalization: Any = row.normalization
            convert_checkpoint(published, folder, layout=row.layout, normalization=normalization)
    finally:
        published.unlink(missing_ok=True)


def _write_timm(folder: Path, architecture: str, normalization: str, seed: int) -> None:
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        options: dict[str, Any] = {}
        if architecture.startswith(("vit_", "deit")):
            architecture, options = "vit_tiny_patch16_224", SMALL_VIT
            network: Any = timm.create_model(architecture, pretrained=False, num_classes=0, **options)
        elif architecture.startswith("convnext"):
            base = "convnextv2_atto" if architecture.startswith("convnextv2") else "convnext_atto"
            architecture, options = base, SMALL_CONVNEXT
            network = timm.create_model(architecture, pretrained=False, num_classes=0, **options)
        else:
            network = small_resnet50()
            architecture, options = "resnet50", {"channels": list(NARROW_CHANNELS)}
        if architecture != "resnet50":
            _draw_wider(network)
    mean, std = MEANS_AND_DEVIATIONS[normalization]
    kept = ("first_conv", "classifier", "pool_size")
    cfg = {key: network.pretrained_cfg[key] for key in kept if key in network.pretrained_cfg}
    cfg |= {"input_size": [3, SIDE, SIDE], "mean": mean, "std": std, "interpolation": "bilinear", "crop_pct": 1.0}
    write_timm_folder(folder, network.state_dict(), architecture, network.num_features, options, cfg)


def _write_transformers(folder: Path, row: Backbone, seed: int) -> None:
    mean, std = MEANS_AND_DEVIATIONS[row.normalization]
    pixels: dict[str, Any] = {"image_mean": list(mean), "image_std": list(std)}
    model: Any
    processor: Any
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        if row.architecture.startswith("resnet"):
            model = ResNetForImageClassification(ResNetConfig(**SMALL_RESNET))
            processor = ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=1.0, **pixels)
        else:
            model = ViTForImageClassification(ViTConfig(**SMALL_TRANSFORMERS_VIT))
            processor = ViTImageProcessor(size={"height": SIDE, "width": SIDE}, **pixels)
        _draw_wider(model)
    with replace_files(folder) as unfinished:
        model.save_pretrained(unfinished)
        processor.save_pretrained(unfinished)


def _draw_wider(model: nn.Module) -> None:
    """Draw weights that keep the scale of their input, since the libraries' are so small that features hardly differ
    between images."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)
