"""Grad-CAM of the final convolutional layer, or of the patch tokens of a transformer, on the layer's own grid."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from captum.attr import LayerGradCam
from timm.layers.adaptive_avgmax_pool import FastAdaptiveAvgPool, SelectAdaptivePool2d
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import AttributionLayer

Target = Literal["centred", "logit"]


class _Grid(nn.Module):
    """The (B, D, h, w) tensor that is attributed; gradients stop here, so the trunk keeps no graph."""

    def forward(self, values: Tensor) -> Tensor:
        if values.ndim != 4:
            raise InputError(
                f"the attributed layer holds a tensor of shape {tuple(values.shape)}, which is no (B, D, h, w) map; "
                "name another module with --attribution_layer"
            )
        return values.detach().requires_grad_(True)


def _pools_channels_last(layer: nn.Module) -> bool:
    """Whether a pooling layer reads (B, h, w, D) maps, as that of Swin does."""
    return (
        isinstance(layer, SelectAdaptivePool2d)
        and isinstance(layer.pool, FastAdaptiveAvgPool)
        and layer.pool.dim == (1, 2)
    )


class _MapTap(nn.Module):
    """Passes a layer's spatial input or output through the grid."""

    def __init__(self, layer: nn.Module, side: Literal["input", "output"]) -> None:
        super().__init__()
        self.layer, self.side, self.grid = layer, side, _Grid()
        self.channels_last = _pools_channels_last(layer)

    def forward(self, values: Tensor) -> Tensor:
        if self.side == "output":
            return self.grid(self.layer(values))
        if self.channels_last:
            return self.layer(self.grid(values.movedim(-1, 1)).movedim(1, -1))
        return self.layer(self.grid(values))


class _TokenTap(nn.Module):
    """Lays patch tokens out as a map, passes it through the grid, and puts the prefix tokens back in front."""

    def __init__(self, layer: nn.Module, height: int, width: int) -> None:
        super().__init__()
        self.layer, self.height, self.width, self.grid = layer, height, width, _Grid()

    def forward(self, values: Tensor) -> Tensor:
        tokens = self.layer(values)
        num_prefix = tokens.shape[1] - self.height * self.width
        if num_prefix < 0:
            raise InputError(
                f"{tokens.shape[1]} tokens do not fill a {self.height} x {self.width} grid; name another module with "
                "--attribution_layer"
            )
        patches = tokens[:, num_prefix:].transpose(1, 2).unflatten(2, (self.height, self.width))
        return torch.cat([tokens[:, :num_prefix], self.grid(patches).flatten(2).transpose(1, 2)], dim=1)


@contextmanager
def tapped(model: PreTrainedModel, layer: AttributionLayer, height: int, width: int) -> Iterator[nn.Module]:
    """The module whose output is the attributed (B, D, h, w) tensor, for inputs of this size in pixels.

    While the block runs, the layer stands inside a tap; afterwards the model is as it was.
    """
    original = model.get_submodule(layer.module_name)
    tap: _MapTap | _TokenTap
    if layer.patch_size is None:
        tap = _MapTap(original, layer.side)
    else:
        tap = _TokenTap(original, height // layer.patch_size, width // layer.patch_size)
    model.set_submodule(layer.module_name, tap)
    try:
        yield tap.grid
    finally:
        model.set_submodule(layer.module_name, original)


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """No parameter wants a gradient inside the block."""
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wants in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)


def grad_cam(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target = "centred"
) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) by captum, before rectification.

    Args:
        model: in evaluation mode.
        pixel_values: (B, 3, H, W), normalised.
        classes: (B,) class whose evidence is attributed.
        target: `centred` is the class's logit minus the mean logit, because logits are defined only up to a common
            shift; `logit` is the raw one, as captum has it.

    Returns:
        (B, h, w) float32 maps on the layer's grid, with their sign.
    """

    def scores(inputs: Tensor) -> Tensor:
        logits = model(pixel_values=inputs).logits.float()
        return logits - logits.mean(dim=1, keepdim=True) if target == "centred" else logits

    with frozen(model), tapped(model, layer, *pixel_values.shape[-2:]) as grid:
        maps = LayerGradCam(scores, grid).attribute(pixel_values, target=classes, relu_attributions=False)
    return maps.detach().squeeze(1).float()
