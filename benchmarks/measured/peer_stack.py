"""The analysis assembled from other libraries, each used as its documentation shows.

captum's LayerGradCam runs on timm's network, whose parameters require gradients; every transform is a separate pass
over Pillow images, by torchvision and timm's evaluation transform; features come from timm's `forward_features` and
`forward_head`, accuracy and calibration from torchmetrics, and the concentration of maps from quantus' Sparseness.
"""

import importlib.util
import math
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam
from PIL import Image
from timm.data import create_transform
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

from measured.cases import Call
from measured.whole_analysis import VARIANTS, Setting
from measured.workloads import DTYPES, INTERPOLATION, MEAN, NUM_CLASSES, STD, timm_network

REQUIRED = ("quantus", "torchmetrics")
"""Peers that are not dependencies of this package."""

OnPicture = Callable[[Image.Image], Image.Image]


class GridNorm(nn.Module):
    """A vision transformer's normalisation that passes through a (B, D, h, w) map of its patch tokens.

    The documentation of captum's LayerGradCam does not cover tokens, and its result for them is not a map, so a user
    has to make one. The map is the output of `grid`.
    """

    def __init__(self, norm: nn.Module, num_prefix_tokens: int, side: int) -> None:
        super().__init__()
        self.norm, self.num_prefix_tokens, self.side = norm, num_prefix_tokens, side
        self.grid = nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.norm(tokens)
        prefix, patches = normed[:, : self.num_prefix_tokens], normed[:, self.num_prefix_tokens :]
        as_map = self.grid(patches.transpose(1, 2).unflatten(2, (self.side, self.side)))
        return torch.cat([prefix, as_map.flatten(2).transpose(1, 2)], dim=1)


def missing() -> list[str]:
    return [name for name in REQUIRED if importlib.util.find_spec(name) is None]


def on_pictures(side: int) -> dict[tuple[str, str], OnPicture]:
    """Return the transforms of the preset for Pillow images, by name and severity."""
    sigma = side / 224
    return {
        ("rotation", "+20"): partial(F.rotate, angle=20, interpolation=InterpolationMode.BILINEAR),
        ("translation", "right 0.1"): partial(
            F.affine, angle=0, translate=[round(0.1 * side), 0], scale=1.0, shear=[0.0, 0.0]
        ),
        ("resized_crop", "0.5"): v2.RandomResizedCrop(side, scale=(0.5, 0.5), ratio=(1.0, 1.0)),
        ("horizontal_flip", ""): F.horizontal_flip,
        ("brightness", "1.4"): partial(F.adjust_brightness, brightness_factor=1.4),
        ("hue", "+0.1"): partial(F.adjust_hue, hue_factor=0.1),
        ("gaussian_blur", "1"): partial(F.gaussian_blur, kernel_size=2 * math.ceil(3 * sigma) + 1, sigma=sigma),
        ("jpeg", "30"): v2.Lambda(partial(_jpeg, quality=30)),
    }


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    return F.to_pil_image(F.jpeg(F.pil_to_tensor(picture), quality))


def attributed_layer(network: Any, setting: Setting) -> nn.Module:
    """Return the layer to pass to captum."""
    patch_size = setting.workload.patch_size
    if patch_size is None:
        layer: nn.Module = network.get_submodule(network.feature_info[-1]["module"])
        return layer
    block = network.blocks[-1]
    block.norm1 = GridNorm(block.norm1, network.num_prefix_tokens, setting.workload.side // patch_size)
    grid: nn.Module = block.norm1.grid
    return grid


def pictures_of(setting: Setting) -> list[Image.Image]:
    return [F.to_pil_image(pixels) for pixels in setting.pixels]


def peer_stack(setting: Setting) -> Call:
    """Compute everything that `OnePass` and its metrics yield; raises ImportError if a peer is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus
    from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

    side, labels = setting.workload.side, torch.from_numpy(setting.labels)
    network: Any = timm_network(setting.workload, setting.precision, setting.device, setting.layout)
    pictures = pictures_of(setting)
    evaluation = create_transform((3, side, side), interpolation=INTERPOLATION, mean=MEAN, std=STD, crop_pct=1.0)
    transforms = [on_pictures(side)[variant.transform, variant.severity] for variant in VARIANTS]
    layer_grad_cam = LayerGradCam(network, attributed_layer(network, setting))
    sparseness = quantus.Sparseness(disable_warnings=True)

    def inputs(transformed: list[Image.Image]) -> Tensor:
        batch = torch.stack([evaluation(picture) for picture in transformed])
        return batch.to(setting.device, DTYPES[setting.precision]).contiguous(memory_format=setting.layout)

    def call() -> object:
        clean = inputs(pictures)
        with torch.inference_mode():
            tokens = network.forward_features(clean)
            features = [network.forward_head(tokens, pre_logits=True).float().cpu()]
            logits = network.forward_head(tokens).float()
            for transform in transforms:
                moved = inputs([transform(picture) for picture in pictures])
                found = network.forward_head(network.forward_features(moved), pre_logits=True)
                features.append(found.float().cpu())
        maps = layer_grad_cam.attribute(clean, target=logits.argmax(dim=1).clone())
        upsampled = LayerAttribution.interpolate(maps, (side, side)).detach().float().cpu().numpy()
        probabilities = logits.softmax(dim=1).cpu()
        return (
            features,
            MulticlassAccuracy(NUM_CLASSES)(probabilities, labels),
            MulticlassCalibrationError(NUM_CLASSES)(probabilities, labels),
            sparseness(model=None, x_batch=clean.float().cpu().numpy(), y_batch=np.asarray(labels), a_batch=upsampled),
        )

    return call
