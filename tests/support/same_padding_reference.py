"""A ResNet with bottlenecks, computed in NumPy with TensorFlow's SAME padding written out."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as TensorFlow's documentation states them: the odd one comes after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _windows(values: Values, kernel: int, stride: int, fill: float) -> Values:
    around = [(0, 0), (0, 0), *(pads(size, kernel, stride) for size in values.shape[2:])]
    padded = np.pad(values, around, constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), (2, 3))[:, :, ::stride, ::stride]


def convolution(values: Values, weight: Values, stride: int) -> Values:
    """(B, C, H, W) and (K, C, k, k) give (B, K, ceil(H / stride), ceil(W / stride))."""
    return np.einsum("bchwij,kcij->bkhw", _windows(values, weight.shape[-1], stride, 0.0), weight, optimize=True)


def max_pool(values: Values, kernel: int, stride: int) -> Values:
    return _windows(values, kernel, stride, -np.inf).max((-2, -1))


def features(tensors: dict[str, Values], images: Values) -> Values:
    """The spatial means (B, D) of the last stage for images (B, 3, H, W), with weights under timm's names."""

    def normalised(values: Values, name: str) -> Values:
        mean, variance, weight, bias = (
            tensors[f"{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (values - mean) / np.sqrt(variance + 1e-5) * weight + bias

    hidden = convolution(images, tensors["conv1.weight"], 2)
    hidden = max_pool(np.maximum(normalised(hidden, "bn1"), 0), 3, 2)
    blocks = sorted({tuple(name.split(".")[:2]) for name in tensors if name.startswith("layer")}, key=_order)
    for stage, block in blocks:
        stride, before, name = 2 if stage != "layer1" and block == "0" else 1, hidden, f"{stage}.{block}"
        for index in (1, 2, 3):
            weight = tensors[f"{name}.conv{index}.weight"]
            hidden = normalised(convolution(hidden, weight, stride if index == 2 else 1), f"{name}.bn{index}")
            hidden = np.maximum(hidden, 0) if index < 3 else hidden
        if f"{name}.downsample.0.weight" in tensors:
            before = normalised(
                convolution(before, tensors[f"{name}.downsample.0.weight"], stride), f"{name}.downsample.1"
            )
        hidden = np.maximum(hidden + before, 0)
    return hidden.mean((2, 3))


def _order(block: tuple[str, ...]) -> tuple[str, int]:
    return block[0], int(block[1])
