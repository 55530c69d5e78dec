"""Grad-CAM from one forward pass, using only a layer's activations and the part of the network behind them.

Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) weights each channel of the layer by the spatial mean of the
gradient of a class's score. If the channels are averaged over space and a linear layer produces the logits, that
gradient is everywhere the layer's weight divided by the number of cells, and no backward pass is needed. Otherwise the
gradient runs from the logits only to the activations, because the tap they come from is a leaf.
"""

import torch
from torch import Tensor

from hf_sslgen.analysis.analysis_settings import Target

POOLING_TOLERANCE = 1e-4
"""Fraction of the largest feature by which features may differ from the mean of their channel, in float32."""


def class_scores(logits: Tensor, classes: Tensor, target: Target) -> Tensor:
    """Return the score of a class for each image, (B,), from logits (B, C)."""
    chosen = logits.gather(1, classes[:, None]).squeeze(1)
    return chosen - logits.mean(dim=1) if target == "centred" else chosen


def are_spatial_means(features: Tensor, activations: Tensor) -> bool:
    """Whether features (B, D) are the means of activations (B, D, h, w) over space, so that the head is linear."""
    if features.shape != activations.shape[:2]:
        return False
    means = activations.float().mean(dim=(2, 3))
    # Half-precision networks round the mean; a head that does more than average differs by more than that.
    unit = max(POOLING_TOLERANCE, 4 * torch.finfo(activations.dtype).eps)
    return bool((features - means).abs().max() <= unit * means.abs().max())


def linear_head_grad_cam(activations: Tensor, weight: Tensor, classes: Tensor, target: Target) -> Tensor:
    """Compute Grad-CAM in closed form, W[y] . A / (h w), for logits W mean(A) + b.

    Args:
        activations: (B, D, h, w).
        weight: (C, D) of the linear layer.
        classes: (B,) class whose evidence is attributed.

    Returns:
        Signed (B, h, w) float32 maps.
    """
    rows = weight[classes].float()
    if target == "centred":
        rows = rows - weight.float().mean(dim=0)
    cells = activations.shape[2] * activations.shape[3]
    return torch.einsum("bd,bdhw->bhw", rows / cells, activations.float())


def head_grad_cam(activations: Tensor, logits: Tensor, classes: Tensor, target: Target) -> Tensor:
    """Compute Grad-CAM by automatic differentiation of the part behind the activations.

    Args:
        activations: (B, D, h, w), the leaf from which `logits` (B, C) were computed.
        classes: (B,) class whose evidence is attributed.

    Returns:
        (B, h, w) float32 maps, with their sign.
    """
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(class_scores(logits.float(), classes, target).sum(), activations)
    weights = gradient.float().mean(dim=(2, 3))
    return torch.einsum("bd,bdhw->bhw", weights, activations.detach().float())


def grad_cam(
    activations: Tensor, features: Tensor, logits: Tensor, weight: Tensor, classes: Tensor, target: Target
) -> Tensor:
    """Compute Grad-CAM of a forward pass, in closed form if its head allows it.

    Args:
        activations: (B, D, h, w), a leaf from which the other two were computed.
        features: (B, D'), the input of the linear layer.
        logits: (B, C), its output.
        weight: (C, D') of the linear layer.
        classes: (B,) class whose evidence is attributed.
        target: the score of the class to attribute.

    Returns:
        (B, h, w) float32 maps before rectification, on the grid of the activations.
    """
    with torch.no_grad(), torch.autocast(activations.device.type, enabled=False):  # sums over channels in float32
        if are_spatial_means(features, activations):
            return linear_head_grad_cam(activations, weight, classes, target)
        return head_grad_cam(activations, logits, classes, target)
