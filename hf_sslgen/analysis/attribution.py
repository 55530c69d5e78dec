"""Attribution methods with a common interface: a signed map for each image on the layer's own grid.

Three show which cells contribute to a class's score, one shows which cells the features depend on. Their costs in
forward passes:

- `grad_cam`: one, plus the backward pass through the part behind the layer.
- `gradient_x_activation`: the same. If the head averages over space and is linear, it equals Grad-CAM.
- `integrated_gradients`: `INTEGRATION_STEPS` + 2, each step with such a backward pass; three if the head is linear.
- `occlusion`: one for each cell, plus one.

The last two also pass a single image to determine the layer's grid and the kind of head.
"""

from collections.abc import Callable

import torch
from captum.attr import LayerGradCam, LayerGradientXActivation, LayerIntegratedGradients
from torch import Tensor
from transformers import PreTrainedModel

from hf_sslgen.analysis.analysis_settings import Target
from hf_sslgen.analysis.grad_cam import are_spatial_means
from hf_sslgen.analysis.occlusion import occlusion_grid, occlusion_maps
from hf_sslgen.analysis.taps import captured_features, frozen, layer_map, tapped, tapped_whole
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.zoo.anatomy import AttributionLayer

INTEGRATION_STEPS = 50
"""Number of Gauss-Legendre points along the path of integrated gradients; captum's default.

For attention of moderate sharpness 20 suffice; queries and keys of four times the length need 30 to 50.
"""

OCCLUSION_WINDOW = 3
"""Side, in cells, of the window that occlusion hides.

A single cell hides texture rather than a part of an object. On 150 to 200 validation images of Tiny ImageNet the lift
in the object's box for untrained, supervised, Barlow Twins and SimCLR was 1.03, 0.98, 1.09 and 1.25 with windows of
one cell, and 1.05, 1.21, 1.25 and 1.37 with windows of three; standard errors were 0.02 to 0.04.
"""

Scores = Callable[[Tensor], Tensor]
"""Maps normalised images (B, 3, H, W) to scores (B, C)."""


def _scores(model: PreTrainedModel, target: Target) -> Scores:
    """Wrapper that returns a network's logits as a plain tensor, as captum expects."""

    def scores(pixel_values: Tensor) -> Tensor:
        logits = model(pixel_values=pixel_values).logits.float()
        return logits - logits.mean(dim=1, keepdim=True) if target == "centred" else logits

    return scores


def _glance(model: PreTrainedModel, pixel_values: Tensor, layer: AttributionLayer) -> tuple[Tensor, Tensor]:
    """Return features (1, D') and the layer's map (1, D, h, w) for the first image."""
    first, grids = pixel_values[:1], []
    with torch.no_grad(), captured_features(model) as features, tapped(model, layer, *first.shape[-2:]) as grid:
        grid.register_forward_hook(lambda _, __, output: grids.append(output.detach()))
        model(pixel_values=first)
    return features[0], grids[0]


def _grad_cam(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target
) -> Tensor:
    """Compute Grad-CAM (Selvaraju et al. 2017) before rectification: channel sum of mean gradient times activation."""
    with frozen(model), tapped(model, layer, *pixel_values.shape[-2:]) as grid:
        maps = LayerGradCam(_scores(model, target), grid).attribute(
            pixel_values, target=classes, relu_attributions=False
        )
    return maps.squeeze(1)


def _gradient_x_activation(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target
) -> Tensor:
    """Compute the channel sum of gradient times activation (Shrikumar et al. 2016), with each cell's own gradient."""
    size = pixel_values.shape[-2:]
    with frozen(model), tapped_whole(model, layer) as whole:
        attributed = LayerGradientXActivation(_scores(model, target), whole).attribute(pixel_values, target=classes)
    return layer_map(attributed, layer, *size).sum(dim=1)


def _integrated_gradients(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target
) -> Tensor:
    """Compute integrated gradients (Sundararajan et al. 2017) of the layer's tensor, summed over channels.

    The path is a straight line from the layer's tensor for an image of the normalisation's mean colour, captum's own
    baseline, to the tensor for the image; class and register tokens move along with the patches. Connections that
    bypass the layer, such as the residual of a transformer block, keep the image's values. The attributions of all
    cells and of those tokens sum to the drop in score when the baseline tensor replaces the image's.
    """
    size = pixel_values.shape[-2:]
    # With a linear head the gradient is constant along the path.
    num_steps = 1 if are_spatial_means(*_glance(model, pixel_values, layer)) else INTEGRATION_STEPS
    with frozen(model), tapped_whole(model, layer) as whole:
        attributed = LayerIntegratedGradients(_scores(model, target), whole).attribute(
            pixel_values,
            baselines=0,
            target=classes,
            n_steps=num_steps,
            internal_batch_size=len(pixel_values),  # one step at a time needs the memory of one forward pass
        )
    return layer_map(attributed, layer, *size).sum(dim=1)


def _occlusion(model: PreTrainedModel, pixel_values: Tensor, layer: AttributionLayer) -> Tensor:
    """Apply `hf_sslgen.analysis.occlusion`, which uses only the layer's grid."""
    _, activations = _glance(model, pixel_values, layer)
    h, w = activations.shape[-2:]
    with captured_features(model) as captured:

        def embed(images: Tensor) -> Tensor:
            model(pixel_values=images)
            return captured.pop()

        return occlusion_maps(embed, pixel_values, occlusion_grid(h, w), window=OCCLUSION_WINDOW)


CLASS_METHODS = {
    "grad_cam": _grad_cam,
    "integrated_gradients": _integrated_gradients,
    "gradient_x_activation": _gradient_x_activation,
}
LABEL_FREE_METHODS = {"occlusion": _occlusion}
ATTRIBUTION_METHODS = (*CLASS_METHODS, *LABEL_FREE_METHODS)


def _ordinary(tensor: Tensor) -> Tensor:
    """Outside inference mode, return a tensor that automatic differentiation may keep."""
    return tensor.clone() if tensor.is_inference() else tensor


def check_attribution_method(name: str) -> None:
    """Raise InputError unless the method is in `ATTRIBUTION_METHODS`."""
    if name not in ATTRIBUTION_METHODS:
        raise InputError(
            hinted(
                f"attribution_method {name!r} is unknown; choose from {', '.join(ATTRIBUTION_METHODS)}",
                name,
                ATTRIBUTION_METHODS,
            )
        )


def attribution_maps(
    model: PreTrainedModel,
    pixel_values: Tensor,
    classes: Tensor | None,
    layer: AttributionLayer,
    method: str = "grad_cam",
    target: Target = "centred",
) -> Tensor:
    """Compute maps of a layer by one of `ATTRIBUTION_METHODS`.

    Args:
        model: in evaluation mode.
        pixel_values: (B, 3, H, W), normalised, on the model's device.
        classes: (B,) class whose evidence is attributed; `LABEL_FREE_METHODS` ignore classes and target.
        target: the score of the class to attribute.

    Returns:
        Signed (B, h, w) float32 maps on the layer's grid; occlusion may use a coarser grid (`occlusion_grid`).

    Raises:
        InputError: the method is unknown, classes are missing, or the layer does not hold a map.
    """
    check_attribution_method(method)
    with torch.inference_mode(False):
        images = _ordinary(pixel_values)
        if method in LABEL_FREE_METHODS:
            return LABEL_FREE_METHODS[method](model, images, layer)
        if classes is None:
            label_free = ", ".join(LABEL_FREE_METHODS)
            raise InputError(
                f"attribution_method {method!r} needs a class for each image; without any use {label_free}"
            )
        return CLASS_METHODS[method](model, images, _ordinary(classes), layer, target).detach().float()
