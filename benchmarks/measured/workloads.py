"""Networks to measure, and pictures for them."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torch import Tensor, nn

from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.timm_folder import write_timm_folder

NUM_CLASSES = 100
MEAN, STD, INTERPOLATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "bilinear"
CUTS = 200, 400
"""Sides in pixels of the squares cut from photographs, whose contents are as sharp as in common datasets."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Workload:
    """A network and its batch sizes.

    Attributes:
        name: timm's name of the architecture, or a backbone that is shipped with the package.
        side: side of the input in pixels.
        batch_size: batch size on a CPU.
        accelerator_batch_size: batch size on a GPU.
        rounds: number of timings.
        channels_last: the memory layout of every contender's images and maps.
        patch_size: patch size of a vision transformer; None for a network that pools a map.
        shipped: whether it is loaded with its shipped weights; others are initialised at random.
        model_args: further arguments of `timm.create_model`.
    """

    name: str
    side: int
    batch_size: int
    accelerator_batch_size: int
    rounds: int
    channels_last: bool
    patch_size: int | None = None
    shipped: bool = False
    model_args: dict[str, Any] = field(default_factory=dict)


WORKLOADS = {
    "ResNet-50": Workload("resnet50", 224, 16, 128, 5, channels_last=True),
    "ViT-S/16": Workload("vit_small_patch16_224", 224, 16, 128, 5, channels_last=False, patch_size=16),
    "shipped twin": Workload("twin-resnet18-simclr", 64, 64, 512, 25, channels_last=True, shipped=True),
}
"""CNNs use the layout in which plain passes are fastest; it makes no difference to the transformer."""


CLASS_NAMES = tuple(f"class {index}" for index in range(NUM_CLASSES))


def loaded(workload: Workload) -> LoadedBackbone:
    """Load the network with a classifier of `NUM_CLASSES`, in float32."""
    if workload.shipped:
        return load_backbone(workload.name, CLASS_NAMES)
    torch.manual_seed(0)
    network: Any = timm.create_model(workload.name, num_classes=0, **workload.model_args)
    preprocessing = {
        "input_size": [3, workload.side, workload.side],
        "mean": list(MEAN),
        "std": list(STD),
        "interpolation": INTERPOLATION,
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "network"
        write_timm_folder(
            folder, network.state_dict(), workload.name, network.num_features, workload.model_args, preprocessing
        )
        return load_backbone(str(folder), CLASS_NAMES)


def timm_network(workload: Workload, precision: str, device: torch.device, layout: torch.memory_format) -> nn.Module:
    """Return timm's own module of the network, whose parameters require gradients by default."""
    network: Any = loaded(workload).model.timm_model
    placed: nn.Module = network.to(device=device, dtype=DTYPES[precision]).to(memory_format=layout)
    return placed


def pictures(count: int, side: int) -> Tensor:
    """Return (N, 3, S, S) bytes of squares cut from two photographs."""
    generator = np.random.default_rng(0)
    photographs = [Image.fromarray(photograph) for photograph in load_sample_images().images]
    cut_out = []
    for index in range(count):
        photograph = photographs[index % len(photographs)]
        cut = int(generator.integers(*CUTS))
        left, top = (int(generator.integers(0, length - cut)) for length in photograph.size)
        square = photograph.resize((side, side), Image.Resampling.BILINEAR, (left, top, left + cut, top + cut))
        cut_out.append(np.asarray(square))
    return torch.from_numpy(np.stack(cut_out)).permute(0, 3, 1, 2).contiguous()
