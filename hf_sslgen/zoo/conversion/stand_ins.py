"""Small random networks in the layouts of published checkpoints, for what must be tried without downloads."""

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import timm
import torch
from torch import nn

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.zoo.conversion.haiku_pickle import byol_pickle

SIDE: Final = 64
"""Pixels of the images that stand-ins are made with."""

CALIBRATION_IMAGES: Final = 32

State = dict[str, torch.Tensor]


def write_stand_in(layout: str, path: Path, seed: int = 0) -> nn.Module:
    """Write a small random network in a layout: same names, wrappers, heads and copies as the published files.

    It has the depth of the published network and a fraction of its width. Its running statistics are those of its own
    activations, so that features are finite and differ between images.

    Args:
        layout: a key of `hf_sslgen.zoo.conversion.layouts.LAYOUTS`.
        path: the file to write.
        seed: of the weights; equal seeds give equal files.

    Returns:
        timm's network without a classifier, with the weights that the file holds.

    Raises:
        InputError: the layout is unknown.
    """
    if layout not in CONTENTS:
        raise InputError(hinted(f"there is no layout {layout!r}; known: {', '.join(CONTENTS)}", layout, CONTENTS))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        network = small_resnet50()
        content = CONTENTS[layout](network.state_dict())
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    return network


def small_resnet50() -> nn.Module:
    """Return a ResNet-50 with an eighth of the channels behind its stem, whose statistics fit its activations."""
    network = timm.create_model("resnet50", pretrained=False, num_classes=0, channels=(8, 8, 16, 16))
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


def random_head(beginning: str, *widths: int) -> State:
    """Return linear layers between widths, named as those of an `nn.Sequential` with activations between them."""
    head: State = {}
    for index, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        head[f"{beginning}.{2 * index}.weight"] = 0.1 * torch.randn(outputs, inputs)
        head[f"{beginning}.{2 * index}.bias"] = torch.zeros(outputs)
    return head


def under(prefix: str, state: Mapping[str, torch.Tensor]) -> State:
    """Return a state with a prefix before every key."""
    return {f"{prefix}{key}": tensor for key, tensor in state.items()}


def momentum_copy(state: Mapping[str, torch.Tensor]) -> State:
    """Return a state near another one, as of a momentum encoder."""
    return {
        key: tensor * 0.9 if tensor.is_floating_point() else tensor.clone()  # no variance becomes negative
        for key, tensor in state.items()
    }


def sgd_state(parameters: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Return the state of an SGD optimiser with momentum, of the first parameters only, which keeps files small."""
    first = list(parameters.values())[:3]
    return {
        "state": {index: {"momentum_buffer": torch.zeros_like(each)} for index, each in enumerate(first)},
        "param_groups": [{"lr": 0.03, "momentum": 0.9, "params": list(range(len(first)))}],
    }


def _moco(trunk: State) -> dict[str, Any]:
    head = random_head("fc", 64, 16, 16)
    encoder = under("module.encoder_q.", trunk | head)
    queue = {"module.queue": torch.randn(16, 32), "module.queue_ptr": torch.zeros(1, dtype=torch.int64)}
    copy = under("module.encoder_k.", momentum_copy(trunk | head))
    return {"epoch": 200, "arch": "resnet50", "state_dict": encoder | copy | queue, "optimizer": sgd_state(encoder)}


CONTENTS: Final[Mapping[str, Callable[[State], Any]]] = {"plain": dict, "moco": _moco, "byol": byol_pickle}
"""What a file in each layout holds around a trunk; bytes are the file itself."""
