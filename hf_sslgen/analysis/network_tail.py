"""What Grad-CAM needs of a frozen trunk for any classifier: the tensor from which the rest of the network goes on.

If the features are the spatial means of the attributed activations, those are enough, and a linear classifier's maps
follow in closed form. In a vision transformer it is the input of the last block: with it, the blocks before need not
run again. For other networks nothing is kept.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_sslgen.analysis.grad_cam import are_spatial_means
from hf_sslgen.analysis.network import Network
from hf_sslgen.analysis.taps import runs_as
from hf_sslgen.zoo.anatomy import AttributionLayer, transformer_blocks

ACTIVATIONS = "activations"
"""The attributed tensor (N, K, h, w)."""

BLOCK_INPUT = "block_input"
"""The input of a transformer's last block."""


def _pass_on(values: Any, *_: Any, **__: Any) -> Any:
    return values


@contextmanager
def _last_block_runs(model: PreTrainedModel, change: Callable[[Tensor], Tensor], skip_others: bool) -> Iterator[None]:
    """Within the block, run the last block on `change` of its input; without the blocks before, if asked for."""
    *others, last = [model.get_submodule(name) for name in transformer_blocks(model)]
    original = last.forward

    def forward(tokens: Tensor, *more: Any, **named: Any) -> Any:
        return original(change(tokens), *more, **named)

    with ExitStack() as stack:
        stack.enter_context(runs_as(last, forward))
        for block in others if skip_others else ():
            stack.enter_context(runs_as(block, _pass_on))
        yield


class Tail:
    """The part of a network that is run again for each classifier.

    Attributes:
        column: name of the tensor to keep, `ACTIVATIONS` or `BLOCK_INPUT`.
    """

    def __init__(self, network: Network, column: str) -> None:
        self.network, self.column = network, column

    def outputs(self, pixels: Tensor, counted: bool) -> dict[str, Tensor]:
        """Return the features (B, D) and the tensor to keep, for (B, 3, S, S) bytes."""
        inputs = self.network.inputs(pixels)
        kept: list[Tensor] = []

        def keep(tokens: Tensor) -> Tensor:
            kept.append(tokens.detach())
            return tokens

        with torch.enable_grad():
            if self.column == ACTIVATIONS:
                found = self.network.run(inputs, counted)
                assert found.activations is not None
                kept.append(found.activations.detach())
            else:
                with _last_block_runs(self.network.model, keep, skip_others=False):
                    found = self.network.run(inputs, counted)
        return {"features": found.features.detach(), self.column: kept[0]}

    def from_block_input(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the last block and what follows; returns activations, of which the others are functions, features and
        logits."""
        side = self.network.preprocessing.geometry.image_size
        nothing = torch.zeros(len(tokens), 3, side, side, dtype=torch.uint8)
        with torch.enable_grad(), _last_block_runs(self.network.model, lambda _: tokens, skip_others=True):
            found = self.network.run(self.network.inputs(nothing), counted=False)
        assert found.activations is not None
        return found.activations, found.features, found.logits


def _is_repeated(tail: Tail, pixels: Tensor) -> bool:
    """Whether the last block alone gives the same bits as the whole network."""
    whole = tail.outputs(pixels, counted=False)
    try:
        _, features, _ = tail.from_block_input(whole[BLOCK_INPUT])
    except (
        RuntimeError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
    ):  # blocks that do not simply follow another
        return False
    return torch.equal(features, whole["features"])


def find_tail(network: Network, layer: AttributionLayer, is_compiled: bool = False) -> Tail | None:
    """Find out, by passing two pictures of noise, how a network's maps can be made for any classifier.

    Args:
        network: prepared with this layer tapped.
        is_compiled: whether it is compiled, so that its blocks can't be replaced.

    Raises:
        InputError: the layer does not hold a map.
    """
    side = network.preprocessing.geometry.image_size
    noise = torch.randint(0, 256, (2, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    with torch.enable_grad():
        found = network.run(network.inputs(noise), counted=False)
    if found.activations is not None and are_spatial_means(found.features, found.activations):
        return Tail(network, ACTIVATIONS)
    blocks = transformer_blocks(network.model)
    if not is_compiled and len(blocks) > 1 and layer.module_name.startswith(f"{blocks[-1]}."):
        tail = Tail(network, BLOCK_INPUT)
        if _is_repeated(tail, noise):
            return tail
    return None
