"""Grad-CAM of one forward pass against captum, autograd and the closed form, on every family."""

import pytest
import torch
from families import FAMILIES, pictures, pixels_of, small_network
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import PreTrainedModel

from hf_sslgen.analysis.analysis_settings import Target
from hf_sslgen.analysis.attribution import attribution_maps, frozen
from hf_sslgen.analysis.grad_cam import are_spatial_means, class_scores, grad_cam, head_grad_cam, linear_head_grad_cam
from hf_sslgen.analysis.taps import captured_features, tapped
from hf_sslgen.zoo.anatomy import find_attribution_layer, find_classifier

CLASSES = torch.tensor([2, 0])
LINEAR_HEADS = {
    "timm-resnet",
    "timm-regnet",
    "timm-efficientnet",
    "timm-swin",
    "timm-swinv2",
    "resnet",
    "regnet",
    "efficientnet",
    "swin",
    "swinv2",
}
"""Families that average a map and put one linear layer behind; ConvNeXt normalises in between."""


def one_pass(model: PreTrainedModel, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Activations, features, logits, and the classifier's weight."""
    grids: list[Tensor] = []
    layer = find_attribution_layer(model)
    with frozen(model), captured_features(model) as features, tapped(model, layer, *inputs.shape[-2:]) as grid:
        grid.register_forward_hook(lambda _, __, output: grids.append(output))
        logits = model(pixel_values=inputs).logits
    return grids[0], features[0], logits, find_classifier(model)[1].weight.detach()


def network_and_pictures(name: str, size: str = "wide") -> tuple[PreTrainedModel, Tensor]:
    height, width = pixels_of(FAMILIES[name], size)
    return small_network(name, height, width), pictures(height, width)


def assert_equal_maps(maps: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    scale = expected.abs().max()
    assert maps.shape == expected.shape and maps.dtype == torch.float32 and scale > 0
    assert (maps - expected).abs().max() <= tolerance * scale


@pytest.mark.parametrize("target", ["logit", "centred"])
@pytest.mark.parametrize("name", FAMILIES)
def test_one_pass_equals_captum(name: str, target: Target) -> None:
    model, inputs = network_and_pictures(name)
    expected = attribution_maps(model, inputs, CLASSES, find_attribution_layer(model), "grad_cam", target)
    activations, features, logits, weight = one_pass(model, inputs)
    assert are_spatial_means(features, activations.detach()) == (name in LINEAR_HEADS)
    assert_equal_maps(grad_cam(activations, features, logits, weight, CLASSES, target), expected)


@pytest.mark.parametrize("target", ["logit", "centred"])
@pytest.mark.parametrize("name", sorted(LINEAR_HEADS))
def test_the_closed_form_equals_autograd(name: str, target: Target) -> None:
    model, inputs = network_and_pictures(name)
    activations, _, logits, weight = one_pass(model, inputs)
    closed = linear_head_grad_cam(activations.detach(), weight, CLASSES, target)
    assert_equal_maps(closed, head_grad_cam(activations, logits, CLASSES, target))


@pytest.mark.parametrize("name", sorted(LINEAR_HEADS))
def test_maps_of_linear_heads_add_up_to_the_score_without_bias(name: str) -> None:
    """No second implementation asked: the sum over cells of W[y] . A / (h w) is the logit less its bias."""
    model, inputs = network_and_pictures(name)
    activations, features, logits, weight = one_pass(model, inputs)
    bias = find_classifier(model)[1].bias.detach()
    for target, of_bias in (("logit", bias), ("centred", bias - bias.mean())):
        maps = grad_cam(activations, features, logits, weight, CLASSES, target)
        score = class_scores(logits.detach(), CLASSES, target) - of_bias[CLASSES]
        assert torch.allclose(maps.sum((1, 2)), score, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["timm-resnet", "timm-convnext", "vit"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_maps_are_summed_in_float32(name: str, dtype: torch.dtype) -> None:
    model, inputs = network_and_pictures(name)
    expected = attribution_maps(model, inputs, CLASSES, find_attribution_layer(model), "grad_cam")
    with torch.autocast("cpu", dtype):
        activations, features, logits, weight = one_pass(model, inputs)
        assert dtype in (activations.dtype, logits.dtype)
        assert are_spatial_means(features, activations.detach()) == (name in LINEAR_HEADS)
        maps = grad_cam(activations, features, logits, weight, CLASSES, "centred")
    assert maps.isfinite().all()
    assert_equal_maps(maps, expected, 0.05)
    if name in LINEAR_HEADS:
        rows = weight.double()[CLASSES] - weight.double().mean(0)
        exact = torch.einsum("bd,bdhw->bhw", rows, activations.detach().double()) / activations[0, 0].numel()
        assert_equal_maps(maps, exact.float(), 1e-5)


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_maps_are_had_after_the_pass_where_gradients_are_off(name: str) -> None:
    model, inputs = network_and_pictures(name)
    expected = grad_cam(*one_pass(model, inputs), CLASSES, "centred")
    outputs = one_pass(model, inputs)
    with torch.no_grad():
        maps = grad_cam(*outputs, CLASSES, "centred")
    assert torch.equal(maps, expected) and not maps.requires_grad


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5), st.floats(-4, 4), st.data())
def test_only_features_that_are_means_are_taken_for_means(
    images: int, channels: int, height: int, width: int, exponent: float, data: st.DataObject
) -> None:
    """At any scale; one feature of one image that is off by a thousandth of the largest is enough."""
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    activations = 10**exponent * torch.randn(images, channels, height, width, generator=generator)
    means = activations.mean((2, 3))
    assert are_spatial_means(means, activations)
    index = data.draw(st.integers(0, images - 1)), data.draw(st.integers(0, channels - 1))
    means[index] += 1e-3 * means.abs().max()
    assert not are_spatial_means(means, activations)
    assert not are_spatial_means(torch.cat([means, means], dim=1), activations)


def test_a_head_that_normalises_or_takes_the_largest_is_not_linear() -> None:
    activations = torch.randn(2, 8, 3, 4, generator=torch.Generator().manual_seed(0))
    means = activations.mean((2, 3))
    assert not are_spatial_means(torch.nn.functional.layer_norm(means, (8,)), activations)
    assert not are_spatial_means(activations.amax((2, 3)), activations)
    assert not are_spatial_means(means.relu(), activations)
