"""Grad-CAM of the final convolutional layer, or of the patch tokens of a transformer, on the layer's own grid."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from captum.attr import LayerGradCam
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.taps import tapped
from hf_sslgen.zoo.anatomy import AttributionLayer

Target = Literal["centred", "logit"]


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
