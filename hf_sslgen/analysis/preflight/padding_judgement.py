"""Whether a network's strided convolutions pad as they did in training.

On an input of even size, torch's padding centres a strided kernel on even pixels and TensorFlow's SAME padding on odd
ones, which is before or behind the middle of what the kernel stands for. Training compensates: the energy of trained
kernels lies to the right and below their centres with torch's padding, and to the left and above with SAME.
"""

from typing import Literal

import torch
from timm.layers import Conv2dSame
from torch import nn

from hf_sslgen.analysis.preflight.preflight_report import Finding, FindingKind

Padding = Literal["torch", "same"]

CLEAR_SHIFT = 0.05
"""In pixels, on average."""

AGREEING = 0.75
"""Share of all shifts that have to have the average's sign."""

IN_WORDS: dict[Padding, str] = {"torch": "torch's own padding", "same": "SAME padding"}


def _stated(module: nn.Module) -> Padding | None:
    """Return the padding of a convolution where the two differ."""
    if not isinstance(module, nn.Conv2d) or module.stride != (2, 2) or min(module.kernel_size) < 3:
        return None
    if isinstance(module, Conv2dSame):
        return "same"
    centred = tuple(
        (size - 1) // 2 * dilation for size, dilation in zip(module.kernel_size, module.dilation, strict=True)
    )
    return "torch" if module.padding == centred else None


def _shift(convolution: nn.Conv2d) -> list[float]:
    """Return how far the energy of the kernels lies below and to the right of their centre, in pixels."""
    energy = convolution.weight.double().square().sum((0, 1)).cpu()
    found = []
    for axis in (0, 1):
        along = energy.sum(1 - axis)
        offsets = torch.arange(len(along), dtype=along.dtype) - (len(along) - 1) / 2
        found.append(float((along * offsets).sum() / along.sum()))
    return found


def judge_padding(model: nn.Module) -> list[Finding]:
    """Compare the padding of strided convolutions with the shift of their kernels."""
    strided = [(module, stated) for module in model.modules() if (stated := _stated(module)) is not None]
    paddings = {stated for _, stated in strided}
    if len(paddings) != 1:
        return []
    stated = paddings.pop()
    shifts = [shift for module, _ in strided if isinstance(module, nn.Conv2d) for shift in _shift(module)]
    mean = sum(shifts) / len(shifts)
    trained: Padding = "torch" if mean > 0 else "same"
    agree = sum((shift > 0) == (mean > 0) for shift in shifts) / len(shifts)
    if trained == stated or abs(mean) < CLEAR_SHIFT or agree < AGREEING:
        return []
    sentence = (
        f"its padding looks wrong: its strided kernels are shifted by {mean:+.2f} px, as they are after training with "
        f"{IN_WORDS[trained]}, but it has {IN_WORDS[stated]}; compare its accuracy with `padding` {trained!r}"
    )
    return [Finding(FindingKind.PADDING, "look", sentence)]
