"""The statistics of its training inputs that a network with batch normalisation keeps.

The first convolution is linear, so the running mean of channel c behind it is its bias plus the sum over the input's
channels k of d(c, k) m(k), where d sums the convolution's kernels and m is the mean input of training. There are many
more channels than the three unknowns, which least squares therefore recovers to a few thousandths; only the padding at
the borders is neglected. The running variances tell the scale of the inputs, by comparison with photographs.
"""

from dataclasses import dataclass
from typing import Any

import torch
from timm.layers import FrozenBatchNormAct2d
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel

LEAST_CHANNELS = 6
"""Fewer can't tell three means."""

DEAD = 0.01
"""Channels with less than this share of the median variance see nothing of the input."""


@dataclass(frozen=True, eq=False)
class FirstLayer:
    """A first convolution and the running statistics (C,) of its output."""

    convolution: nn.Conv2d
    mean: Tensor
    variance: Tensor

    def expected_mean(self) -> tuple[Tensor, float]:
        """Return the mean input (3,) of training, in units of the network's input, and the root mean square error of
        the fit in standard deviations of a channel."""
        seen = self.variance > DEAD * self.variance.median()
        deviation = self.variance[seen].sqrt()
        bias = torch.zeros_like(self.mean) if self.convolution.bias is None else self.convolution.bias.double().cpu()
        kernels = self.convolution.weight.double().cpu().sum((2, 3))[seen] / deviation[:, None]
        wanted = (self.mean - bias)[seen] / deviation
        found = torch.linalg.lstsq(kernels, wanted[:, None], driver="gelsd").solution[:, 0]
        return found, float((wanted - kernels @ found).square().mean().sqrt())

    def divergence(self, inputs: Tensor) -> float:
        """Return the median over channels of the Bhattacharyya distance between normal distributions with the running
        statistics and with those of the convolution's output for inputs (B, 3, H, W)."""
        made = self.convolution(inputs).double().cpu()
        mean, variance = made.mean((0, 2, 3)), made.var((0, 2, 3))
        floor = DEAD * self.variance.median() + 1e-12
        variance, stored = variance + floor, self.variance + floor
        apart = (mean - self.mean).square() / (variance + stored) / 4
        return float((apart + ((variance + stored) / 2 / (variance * stored).sqrt()).log() / 2).median())


def _running(module: nn.Module) -> tuple[Tensor, Tensor] | None:
    if not isinstance(module, _BatchNorm | FrozenBatchNormAct2d):
        return None
    mean, variance = module.running_mean, module.running_var
    if not isinstance(mean, Tensor) or not isinstance(variance, Tensor):
        return None
    return mean.double().cpu(), variance.double().cpu()


def keeps_statistics(model: nn.Module) -> bool:
    """Whether a network has batch normalisation with running statistics."""
    return any(_running(module) is not None for module in model.modules())


def is_untrained(model: nn.Module) -> bool:
    """Whether all running statistics are those of a new layer, so that they say nothing of any training."""
    kept = [found for module in model.modules() if (found := _running(module)) is not None]
    return all(bool((mean == 0).all() and (variance == 1).all()) for mean, variance in kept)


def find_first_layer(model: PreTrainedModel, inputs: Tensor) -> FirstLayer | None:
    """Find the first convolution if batch normalisation takes its output as it is; None otherwise.

    Args:
        inputs: (B, 3, H, W), of which the first is run through the network.
    """
    outputs: list[tuple[nn.Conv2d, Tensor]] = []
    found: list[FirstLayer] = []

    def watch_convolution(module: nn.Conv2d, _: Any, output: Tensor) -> None:
        if not outputs and not found:
            outputs.append((module, output))

    def watch_normalisation(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        running = _running(module)
        if found or not outputs or running is None:
            return
        convolution, output = outputs[0]
        if given[0] is output and convolution.in_channels == 3 and convolution.out_channels >= LEAST_CHANNELS:
            found.append(FirstLayer(convolution, *running))

    handles = [
        module.register_forward_hook(watch_convolution) for module in model.modules() if isinstance(module, nn.Conv2d)
    ] + [
        module.register_forward_pre_hook(watch_normalisation)
        for module in model.modules()
        if _running(module) is not None
    ]
    try:
        model(pixel_values=inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else None
