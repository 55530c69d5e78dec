"""Small random networks in the layouts of published checkpoints, for what must be tried without downloads."""

import io
from pathlib import Path
from typing import Any, Final, Literal

import timm
import torch
from torch import nn

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.files import replace_file
from hf_sslgen.zoo.conversion.stand_in_contents import CONTENTS, VIT_ALONE, VIT_TOO

SIDE: Final = 64
"""Pixels on each side of the images that stand-ins are made for."""

CALIBRATION_IMAGES: Final = 32

NARROW_CHANNELS: Final = (8, 8, 16, 16)
"""Channels of the stages of a small ResNet-50, whose outputs have four times as many."""

SMALL_VIT: Final[dict[str, Any]] = {"img_size": SIDE, "embed_dim": 32, "depth": 3, "num_heads": 1}

Trunk = Literal["resnet", "vit"]


def write_stand_in(layout: str, path: Path, seed: int = 0, trunk: Trunk | None = None) -> nn.Module:
    """Write a small random network in a layout: same names, wrappers, heads and copies as the published files.

    A ResNet-50 has its full depth and few channels; its running statistics are those of its own activations, so that
    features are finite and differ between images.

    Args:
        layout: a key of `hf_sslgen.zoo.conversion.layouts.LAYOUTS`.
        path: the file to write, smaller than 1 MB.
        seed: of the weights; equal arguments give equal files.
        trunk: what to write where a layout has both; None writes a ResNet if it can.

    Returns:
        timm's network without a classifier, with the weights that the file holds.

    Raises:
        InputError: the layout is unknown, or has no small networks or none of that kind.
    """
    if layout not in CONTENTS:
        known = ", ".join(CONTENTS)
        raise InputError(hinted(f"there is no stand-in in a layout {layout!r}; known: {known}", layout, CONTENTS))
    kind = trunk or ("vit" if layout in VIT_ALONE else "resnet")
    if layout not in VIT_ALONE | VIT_TOO if kind == "vit" else layout in VIT_ALONE:
        raise InputError(f"trunk {kind!r} is not published in the layout {layout!r}; leave it out")
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = small_vit(layout) if kind == "vit" else small_resnet50()
        content = CONTENTS[layout](network.state_dict())
    with replace_file(path) as unfinished:
        if isinstance(content, bytes):
            unfinished.write_bytes(content)
        else:
            buffer = io.BytesIO()  # torch would store the name of a file in it
            torch.save(content, buffer)
            unfinished.write_bytes(buffer.getvalue())
    return network


def small_vit(layout: str) -> nn.Module:
    """Return a ViT of three narrow blocks for images of 64 pixels, in I-JEPA's layout without a class token."""
    options = SMALL_VIT | ({"class_token": False, "global_pool": "avg", "fc_norm": False} if layout == "ijepa" else {})
    network = timm.create_model("vit_small_patch16_224", pretrained=False, num_classes=0, **options)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=0.1)  # timm's own 0.02 leaves so few channels nearly constant
    return network.eval()


def small_resnet50() -> nn.Module:
    """Return a ResNet-50 with few channels behind its stem, whose statistics fit its activations."""
    network = timm.create_model("resnet50", pretrained=False, num_classes=0, channels=NARROW_CHANNELS)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.momentum = None  # the plain average over batches
    network.train()
    with torch.no_grad():
        for batch in natural_noise(CALIBRATION_IMAGES).split(8):
            network(batch)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1
    return network.eval()


def natural_noise(number: int) -> torch.Tensor:
    """Return images of noise with the spectrum of natural ones, normalised by ImageNet's mean and standard deviation.

    Returns:
        Tensor of shape (number, 3, 64, 64).
    """
    frequencies = torch.fft.fftfreq(SIDE)
    radius = torch.hypot(frequencies[:, None], frequencies[None, :]).clamp(min=1 / SIDE)
    shared, own = torch.randn(number, 1, SIDE, SIDE), torch.randn(number, 3, SIDE, SIDE)
    noise = torch.fft.ifft2(torch.fft.fft2(shared + 0.3 * own) / radius).real
    images = (0.45 + 0.25 * noise / noise.std(dim=(1, 2, 3), keepdim=True)).clamp(0, 1)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (images - mean[:, None, None]) / deviation[:, None, None]
