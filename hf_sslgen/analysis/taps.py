"""Taps: the tensor of an attribution layer as a (B, D, h, w) map, whatever its layout inside the network."""

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
    """No parameter wants a gradient inside the block."""
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, wants in zip(model.parameters(), wanted, strict=True):
            parameter.requires_grad_(wants)


@contextmanager
def captured_features(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """Inside the block, every forward pass appends the (B, D) input of its classifier to the list."""
    captured: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        captured.append(inputs[0].detach().float())

    handle = find_classifier(model)[1].register_forward_pre_hook(keep)
    try:
        yield captured
    finally:
        handle.remove()


class Leaf(nn.Module):
    """The tensor that is attributed; gradients stop here, so what comes before keeps no graph."""

    ran = False

    def forward(self, values: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():  # a changed attribute would have the network compiled twice
            self.ran = True
        return values.detach().requires_grad_(True)


def _fits(grid: tuple[int, ...], height: int, width: int) -> bool:
    """Whether an (h, w) grid has the image's aspect: h and w are height and width over one stride, up to rounding."""
    h, w = grid
    return h <= height and w <= width and abs(h * width - w * height) < max(height, width)


def _token_grid(num_patches: int, patch_size: int, height: int, width: int) -> tuple[int, int] | None:
    """The grid that so many tokens fill.

    Either the patches' own, where pixels that fill no patch are dropped, or, where an image is padded to whole
    patches and these are merged two by two (Swin of transformers), one of the grids on the way down to one token.
    """
    h, w = height // patch_size, width // patch_size
    if h * w == num_patches:
        return h, w
    h, w = -(-height // patch_size), -(-width // patch_size)
    while h * w > max(num_patches, 1):
        h, w = -(-h // 2), -(-w // 2)
    return (h, w) if h * w == num_patches else None


def _as_map(values: Tensor, layer: AttributionLayer, height: int, width: int) -> tuple[Tensor, Restore]:
    """A layer's tensor as a (B, D, h, w) map, and the function that gives a map the tensor's own layout."""
    shape = tuple(values.shape)
    if values.ndim == 4:
        channels_last = layer.channels_last
        if channels_last is None:
            first, last = _fits(shape[2:], height, width), _fits(shape[1:3], height, width)
            channels_last = (last and not first) if first or last else None
        if channels_last is None:
            raise InputError(
                f"the layer {layer.module_name} holds a tensor of shape {shape}, which is no (B, D, h, w) or "
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
            f"{tokens.shape[1]} tokens at {layer.module_name}, {num_prefix} of them prefix tokens, fill no grid of "
            f"patches of {layer.patch_size} px in images of {height} x {width} px; {ANOTHER}"
        )
    prefix, patches = tokens[:, :num_prefix], tokens[:, num_prefix:]

    def restore(grid: Tensor) -> Tensor:
        restored = torch.cat([prefix, grid.flatten(2).transpose(1, 2)], dim=1)
        return restored.transpose(1, 2) if layer.channels_last is False else restored

    return patches.transpose(1, 2).unflatten(2, grid_size), restore


def layer_map(values: Tensor, layer: AttributionLayer, height: int, width: int) -> Tensor:
    """The (B, D, h, w) map in a tensor of the layer's shape, for inputs of this size in pixels; without prefix tokens.

    Raises:
        InputError: the tensor is no map and no patch tokens.
    """
    return _as_map(values, layer, height, width)[0]


@contextmanager
def runs_as(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Inside the block the module runs `forward`.

    Not by a hook, which torch.compile overlooks on one of several blocks of the same code, and not by another module
    in its place, because some parents read attributes of their layers.
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
    """Inside the block the layer's tensor is what `replace`, which runs `tap`, makes of it."""
    module = model.get_submodule(layer.module_name)
    original = module.forward

    def through(values: Any) -> Any:
        if isinstance(values, tuple) and values:
            return (through(values[0]), *values[1:])
        if not isinstance(values, Tensor):
            raise InputError(f"the layer {layer.module_name} puts out a {type(values).__name__}, no tensor; {ANOTHER}")
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
    """A module whose output is the attributed (B, D, h, w) tensor, for inputs of this size in pixels.

    It runs in every forward pass inside the block, compiled or not, and its output takes the tensor's place in the
    network. It is a leaf: with frozen parameters the only graph is that from it to the logits. Of a module that puts
    out a tuple the first tensor is meant. In inference mode the network runs as if it had no tap, and after the block
    it is as it was.

    Raises:
        InputError: in the forward pass, where the layer holds no map and no patch tokens, or does not run.
    """
    grid = Leaf()

    def replace(values: Tensor) -> Tensor:
        as_map, restore = _as_map(values, layer, height, width)
        return restore(grid(as_map)).clone()  # which what follows may change in place, as it may not a leaf

    with _replaced(model, layer, grid, replace):
        yield grid


@contextmanager
def tapped_whole(model: PreTrainedModel, layer: AttributionLayer) -> Iterator[nn.Module]:
    """As `tapped`, but the module's output is the layer's whole tensor in its own layout, prefix tokens too.

    It is float32 whatever the network's precision. `layer_map` makes a map of what has its shape, or refuses it.
    """
    whole = Leaf()

    def replace(values: Tensor) -> Tensor:
        return whole(values.float()).to(values.dtype, copy=True)

    with _replaced(model, layer, whole, replace):
        yield whole
