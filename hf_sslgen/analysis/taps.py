"""Taps: expose an attribution layer's tensor as a (B, D, h, w) map, whatever its layout inside the network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import AttributionLayer, find_classifier

ANOTHER = "name another module with --attribution_layer"

Restore = Callable[[Tensor], Tensor]


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Freeze all parameters within the block."""
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wants in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)


@contextmanager
def captured_features(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """Within the block, append the (B, D) input of the classifier to the list at every forward pass."""
    captured: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        captured.append(inputs[0].detach().float())

    handle = find_classifier(model)[1].register_forward_pre_hook(keep)
    try:
        yield captured
    finally:
        handle.remove()


class Leaf(nn.Module):
    """The attributed tensor; gradients stop here, so earlier layers keep no graph."""

    ran = False

    def forward(self, values: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():  # a changed attribute would trigger a second compilation
            self.ran = True
        return values.detach().requires_grad_(True)


def _fits(grid: tuple[int, ...], height: int, width: int) -> bool:
    """Whether an (h, w) grid has the image's aspect ratio: both sides divided by one stride, up to rounding."""
    h, w = grid
    return h <= height and w <= width and abs(h * width - w * height) < max(height, width)


def _token_grid(num_patches: int, patch_size: int, height: int, width: int) -> tuple[int, int] | None:
    """Return the grid that this number of tokens fills.

    It is either the grid of patches, dropping pixels that fill no patch, or, if the image is padded to whole patches
    that are merged two by two (transformers' Swin), one of the successively halved grids.
    """
    h, w = height // patch_size, width // patch_size
    if h * w == num_patches:
        return h, w
    h, w = -(-height // patch_size), -(-width // patch_size)
    while h * w > max(num_patches, 1):
        h, w = -(-h // 2), -(-w // 2)
    return (h, w) if h * w == num_patches else None


def _as_map(values: Tensor, layer: AttributionLayer, height: int, width: int) -> tuple[Tensor, Restore]:
    """Convert a layer's tensor to a (B, D, h, w) map; also returns a function that restores its own layout."""
    shape = tuple(values.shape)
    if values.ndim == 4:
        channels_last = layer.channels_last
        if channels_last is None:
            first, last = _fits(shape[2:], height, width), _fits(shape[1:3], height, width)
            channels_last = (last and not first) if first or last else None
        if channels_last is None:
            raise InputError(
                f"the layer {layer.module_name} holds a tensor of shape {shape}, which is not a (B, D, h, w) or "
                f"(B, h, w, D) map of images of {height} x {width} px; {ANOTHER}"
            )
        if channels_last:
            return values.movedim(-1, 1), lambda grid: grid.movedim(1, -1)
        return values, lambda grid: grid
    if values.ndim != 3 or layer.patch_size is None:
        raise InputError(
            f"the layer {layer.module_name} holds a tensor of shape {shape}, which is neither a (B, D, h, w) or "
            f"(B, h, w, D) map nor patch tokens (B, N, D); {ANOTHER}"
        )
    tokens = values.transpose(1, 2) if layer.channels_last is False else values
    num_prefix = layer.num_prefix_tokens
    grid_size = _token_grid(tokens.shape[1] - num_prefix, layer.patch_size, height, width)
    if grid_size is None:
        raise InputError(
            f"{tokens.shape[1]} tokens at {layer.module_name}, {num_prefix} of them prefix tokens, do not fill a grid "
            f"of patches of {layer.patch_size} px in images of {height} x {width} px; {ANOTHER}"
        )
    prefix, patches = tokens[:, :num_prefix], tokens[:, num_prefix:]

    def restore(grid: Tensor) -> Tensor:
        restored = torch.cat([prefix, grid.flatten(2).transpose(1, 2)], dim=1)
        return restored.transpose(1, 2) if layer.channels_last is False else restored

    return patches.transpose(1, 2).unflatten(2, grid_size), restore


def layer_map(values: Tensor, layer: AttributionLayer, height: int, width: int) -> Tensor:
    """Extract the (B, D, h, w) map from a layer's tensor, without prefix tokens, for inputs of this size in pixels.

    Raises:
        InputError: the tensor is neither a map nor patch tokens.
    """
    return _as_map(values, layer, height, width)[0]


@contextmanager
def runs_as(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Within the block, make the module run `forward`.

    A hook would not work, because torch.compile ignores it on one of several blocks with the same code, nor would a
    replacement module, because some parents read attributes of their layers.
    """
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


@contextmanager
def _replaced(model: PreTrainedModel, layer: AttributionLayer, tap: Leaf, replace: Restore) -> Iterator[None]:
    """Within the block, replace the layer's tensor by the result of `replace`, which runs `tap`."""
    module = model.get_submodule(layer.module_name)
    original = module.forward

    def through(values: Any) -> Any:
        if isinstance(values, tuple) and values:
            return (through(values[0]), *values[1:])
        if not isinstance(values, Tensor):
            raise InputError(
                f"the layer {layer.module_name} outputs a {type(values).__name__} instead of a tensor; {ANOTHER}"
            )
        return replace(values)

    def forward(*inputs: Any, **named: Any) -> Any:
        if torch.is_inference_mode_enabled():
            return original(*inputs, **named)
        if layer.side == "input":
            return original(*through(inputs), **named)
        return through(original(*inputs, **named))

    def check(*_: Any) -> None:
        is_looked_at = not torch.is_inference_mode_enabled() and not torch.compiler.is_compiling()
        if is_looked_at and not tap.ran:
            raise InputError(f"the layer {layer.module_name} does not run in a forward pass; {ANOTHER}")

    checking = model.register_forward_hook(check)
    try:
        with runs_as(module, forward):
            yield
    finally:
        checking.remove()


@contextmanager
def tapped(model: PreTrainedModel, layer: AttributionLayer, height: int, width: int) -> Iterator[nn.Module]:
    """Yield a module whose output is the attributed (B, D, h, w) tensor, for inputs of this size in pixels.

    It runs in every forward pass within the block, compiled or not, and its output replaces the tensor in the network.
    The output is a leaf: with frozen parameters, the only graph leads from it to the logits. If the layer outputs a
    tuple, its first tensor is used. In inference mode the network runs without a tap, and after the block it is
    restored.

    Raises:
        InputError: in the forward pass, if the layer holds neither a map nor patch tokens, or does not run.
    """
    grid = Leaf()

    def replace(values: Tensor) -> Tensor:
        as_map, restore = _as_map(values, layer, height, width)
        return restore(grid(as_map)).clone()  # later layers may change it in place, which a leaf does not allow

    with _replaced(model, layer, grid, replace):
        yield grid


@contextmanager
def tapped_whole(model: PreTrainedModel, layer: AttributionLayer) -> Iterator[nn.Module]:
    """Like `tapped`, but the module's output is the layer's whole tensor in its own layout, including prefix tokens.

    It is float32 whatever the network's precision. `layer_map` converts tensors of this shape to maps or rejects them.
    """
    whole = Leaf()

    def replace(values: Tensor) -> Tensor:
        return whole(values.float()).to(values.dtype, copy=True)

    with _replaced(model, layer, whole, replace):
        yield whole
