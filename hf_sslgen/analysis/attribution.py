"""Attribution methods behind one interface: a map for each image on the layer's own grid, with its sign.

Three ask which cells a class's score comes from, one which cells the features depend on. Their cost in forward passes:

- `grad_cam`: one, and the backward pass of what lies behind the layer.
- `gradient_x_activation`: the same. Where the head averages over space and is linear, it equals Grad-CAM.
- `integrated_gradients`: `INTEGRATION_STEPS` + 2, each step with such a backward pass; three where the head is linear.
- `occlusion`: one for each cell, and one more.

The last two pass a single image beside these, to see the layer's grid and the kind of head.
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
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.zoo.anatomy import AttributionLayer

INTEGRATION_STEPS = 50
"""Points of the Gauss-Legendre rule along the path of integrated gradients, captum's default.

For attention of moderate sharpness 20 do; queries and keys four times as long need 30 to 50.
"""

OCCLUSION_WINDOW = 3
"""Cells a side that occlusion hides together.

A single cell hides texture rather than a part of an object. On 150 to 200 validation images of Tiny ImageNet the lift
in the object's box was, untrained, supervised, Barlow Twins and SimCLR, 1.03, 0.98, 1.09 and 1.25 with windows of one
cell, and 1.05, 1.21, 1.25 and 1.37 with windows of three; standard errors 0.02 to 0.04.
"""

Scores = Callable[[Tensor], Tensor]
"""From (B, 3, H, W) normalised images to (B, C) scores."""


def _scores(model: PreTrainedModel, target: Target) -> Scores:
    """A network's logits as captum wants them: a tensor."""

    def scores(pixel_values: Tensor) -> Tensor:
        logits = model(pixel_values=pixel_values).logits.float()
        return logits - logits.mean(dim=1, keepdim=True) if target == "centred" else logits

    return scores


def _glance(model: PreTrainedModel, pixel_values: Tensor, layer: AttributionLayer) -> tuple[Tensor, Tensor]:
    """Features (1, D') and the layer's map (1, D, h, w) of the first image."""
    first, grids = pixel_values[:1], []
    with torch.no_grad(), captured_features(model) as features, tapped(model, layer, *first.shape[-2:]) as grid:
        grid.register_forward_hook(lambda _, __, output: grids.append(output.detach()))
        model(pixel_values=first)
    return features[0], grids[0]


def _grad_cam(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target
) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) before rectification: sum over channels of mean gradient times activation."""
    with frozen(model), tapped(model, layer, *pixel_values.shape[-2:]) as grid:
        maps = LayerGradCam(_scores(model, target), grid).attribute(
            pixel_values, target=classes, relu_attributions=False
        )
    return maps.squeeze(1)


def _gradient_x_activation(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target
) -> Tensor:
    """Sum over channels of gradient times activation (Shrikumar et al. 2016), each cell with its own gradient."""
    size = pixel_values.shape[-2:]
    with frozen(model), tapped_whole(model, layer) as whole:
        attributed = LayerGradientXActivation(_scores(model, target), whole).attribute(pixel_values, target=classes)
    return layer_map(attributed, layer, *size).sum(dim=1)


def _integrated_gradients(
    model: PreTrainedModel, pixel_values: Tensor, classes: Tensor, layer: AttributionLayer, target: Target
) -> Tensor:
    """Integrated gradients (Sundararajan et al. 2017) of the layer's tensor, summed over channels.

    The path leads straight from the layer's tensor for an image of the normalisation's mean colour, captum's own
    baseline, to that for the image; class and register tokens move along it with the patches. What goes around the
    layer, as the residual of a transformer's block does, is the image's all along. The attributions of all cells and
    of those tokens add up to what the score loses when the first tensor is put in place of the second.
    """
    size = pixel_values.shape[-2:]
    # Behind a linear head the gradient is the same all along the path.
    num_steps = 1 if are_spatial_means(*_glance(model, pixel_values, layer)) else INTEGRATION_STEPS
    with frozen(model), tapped_whole(model, layer) as whole:
        attributed = LayerIntegratedGradients(_scores(model, target), whole).attribute(
            pixel_values,
            baselines=0,
            target=classes,
            n_steps=num_steps,
            internal_batch_size=len(pixel_values),  # one step at a time takes the memory of a forward pass
        )
    return layer_map(attributed, layer, *size).sum(dim=1)


def _occlusion(model: PreTrainedModel, pixel_values: Tensor, layer: AttributionLayer) -> Tensor:
    """See `hf_sslgen.analysis.occlusion`; of the layer only the grid is taken."""
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
    """Outside inference mode, a tensor that automatic differentiation may keep."""
    return tensor.clone() if tensor.is_inference() else tensor


def check_attribution_method(name: str) -> None:
    """Refuse, with an `InputError`, what is none of `ATTRIBUTION_METHODS`."""
    if name not in ATTRIBUTION_METHODS:
        raise InputError(
            f"attribution_method {name!r} is none; choose from {', '.join(ATTRIBUTION_METHODS)}. "
            f"{nearest_names(name, ATTRIBUTION_METHODS)}".rstrip()
        )


def attribution_maps(
    model: PreTrainedModel,
    pixel_values: Tensor,
    classes: Tensor | None,
    layer: AttributionLayer,
    method: str = "grad_cam",
    target: Target = "centred",
) -> Tensor:
    """Maps of a layer by one of `ATTRIBUTION_METHODS`.

    Args:
        model: in evaluation mode.
        pixel_values: (B, 3, H, W), normalised, on the model's device.
        classes: (B,) class whose evidence is attributed; `LABEL_FREE_METHODS` don't look at them, nor at the target.
        target: which score of the class.

    Returns:
        (B, h, w) float32 maps on the layer's grid, with their sign; that of occlusion is coarser where
        `occlusion_grid` says so.

    Raises:
        InputError: an unknown method, no classes where they are needed, or a layer that holds no map.
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
