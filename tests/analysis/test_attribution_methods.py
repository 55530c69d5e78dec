"""Every attribution method against captum called its documented way on the layer itself, and against closed forms."""

import contextlib

import pytest
import torch
from captum.attr import LayerGradientXActivation, LayerIntegratedGradients
from families import FAMILIES, as_map, at_the_layer, pictures, pixels_of, small_network
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.attribution import ATTRIBUTION_METHODS, CLASS_METHODS, INTEGRATION_STEPS, attribution_maps
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import find_attribution_layer, find_classifier

CLASSES = torch.tensor([2, 0])
LINEAR_HEADS = ("timm-resnet", "resnet", "timm-swin", "swin", "timm-efficientnet")
TOKENS = ("timm-vit", "vit", "timm-dinov2-registers", "dinov2-registers")
NETWORKS = (*LINEAR_HEADS, "timm-convnext", "convnext", *TOKENS)


def network_and_pictures(name: str, size: str = "wide", count: int = 2) -> tuple[PreTrainedModel, Tensor]:
    height, width = pixels_of(FAMILIES[name], size)
    return small_network(name, height, width), pictures(height, width, count)


def maps_of(
    model: PreTrainedModel, inputs: Tensor, method: str, target: str = "logit", classes: Tensor | None = CLASSES
) -> Tensor:
    return attribution_maps(model, inputs, classes, find_attribution_layer(model), method, target)


def by_captum(method: type, model: PreTrainedModel, name: str, inputs: Tensor) -> Tensor:
    """captum's attributions of the layer that the table names, written out by it and summed over channels."""
    module_name, side = FAMILIES[name].layer
    plain = method(lambda x: model(pixel_values=x).logits, model.get_submodule(module_name))
    attributed = plain.attribute(inputs, target=CLASSES, attribute_to_layer_input=side == "input").detach()
    return as_map(attributed, name, *inputs.shape[-2:]).sum(1)


def assert_equal_maps(maps: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    scale = expected.abs().max()
    assert maps.shape == expected.shape and scale > 0
    assert (maps - expected).abs().max() <= tolerance * scale


@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients_equal_captum(name: str) -> None:
    """captum with its own baseline and number of steps, also where one step is all that is taken here."""
    model, inputs = network_and_pictures(name)
    assert_equal_maps(
        maps_of(model, inputs, "integrated_gradients"), by_captum(LayerIntegratedGradients, model, name, inputs)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_gradient_x_activation_equals_captum(name: str) -> None:
    model, inputs = network_and_pictures(name)
    assert_equal_maps(
        maps_of(model, inputs, "gradient_x_activation"), by_captum(LayerGradientXActivation, model, name, inputs)
    )


@pytest.mark.parametrize("name", LINEAR_HEADS)
def test_linear_heads_have_closed_forms(name: str) -> None:
    """W[y] . A / (h w), and for integrated gradients A less the activations of an image of the mean colour."""
    model, inputs = network_and_pictures(name)
    rows = find_classifier(model)[1].weight.detach()[CLASSES]
    with torch.no_grad():
        activations, baseline = (
            as_map(at_the_layer(model, name, images)[0], name, *images.shape[-2:]) for images in (inputs, 0 * inputs)
        )
    cells = activations.shape[2] * activations.shape[3]
    for method, attributed in (
        ("grad_cam", activations),
        ("gradient_x_activation", activations),
        ("integrated_gradients", activations - baseline),
    ):
        assert_equal_maps(maps_of(model, inputs, method), torch.einsum("bd,bdhw->bhw", rows, attributed) / cells, 2e-5)


@pytest.mark.parametrize("name", ["timm-convnext", "convnext", "timm-vit-no-class-token", "ijepa", "timm-swin"])
@pytest.mark.parametrize("target", ["logit", "centred"])
def test_integrated_gradients_add_up_to_what_the_score_loses(name: str, target: str) -> None:
    """When the layer's tensor becomes that of a mean-coloured image, and what goes around the layer stays."""
    model, inputs = network_and_pictures(name)
    module_name, side = FAMILIES[name].layer
    module = model.get_submodule(module_name)
    with torch.no_grad():
        baseline, empty = at_the_layer(model, name, 0 * inputs)
        if side == "input":
            handle = module.register_forward_pre_hook(lambda *_: (baseline,))
        else:
            handle = module.register_forward_hook(lambda *_: baseline)
        without = model(pixel_values=inputs).logits
        handle.remove()
        lost = model(pixel_values=inputs).logits - without
    if "vit" not in name and name != "ijepa":  # nothing goes around the layer
        assert torch.allclose(without, empty, atol=1e-6)
    if target == "centred":
        lost = lost - lost.mean(1, keepdim=True)
    added = maps_of(model, inputs, "integrated_gradients", target).sum((1, 2))
    assert torch.allclose(added, lost[range(2), CLASSES], rtol=1e-3, atol=1e-5)
    assert added.abs().min() > 1e-3


@pytest.mark.parametrize("name", ["resnet", "timm-convnext", "vit"])
@pytest.mark.parametrize("method", CLASS_METHODS)
def test_the_centred_target_subtracts_the_mean_of_all_classes(method: str, name: str) -> None:
    model, inputs = network_and_pictures(name)
    every = torch.stack([maps_of(model, inputs, method, classes=torch.full((2,), label)) for label in range(3)])
    expected = every[CLASSES, range(2)] - every.mean(0)
    assert_equal_maps(maps_of(model, inputs, method, "centred"), expected, 1e-4)


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
def test_class_tokens_and_registers_leave_no_patch_without_attribution(method: str, name: str) -> None:
    model, inputs = network_and_pictures(name)
    maps = maps_of(model, inputs, method)
    assert maps.shape == (2, *FAMILIES[name].grid(*inputs.shape[-2:]))
    assert (maps.abs() > 1e-4 * maps.abs().amax((1, 2), keepdim=True)).float().mean() > 0.95


@pytest.mark.parametrize("name", ["timm-resnet", "convnext", "timm-dinov2-registers"])
@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
def test_a_batch_changes_nothing(method: str, name: str) -> None:
    model, inputs = network_and_pictures(name, count=8)
    classes = torch.arange(8) % 3
    alone = [maps_of(model, inputs[[i]], method, classes=classes[[i]]) for i in range(8)]
    assert_equal_maps(maps_of(model, inputs, method, classes=classes), torch.cat(alone), 2e-5)


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
@pytest.mark.parametrize("name", ["resnet", "timm-vit"])
def test_half_precision_gives_finite_maps_near_those_of_float32(name: str, method: str) -> None:
    model, inputs = network_and_pictures(name)
    expected = maps_of(model, inputs, method)
    half = small_network(name, *inputs.shape[-2:]).to(torch.bfloat16)
    of_half = maps_of(half, inputs.bfloat16(), method)
    with torch.autocast("cpu", torch.bfloat16):
        of_autocast = maps_of(model, inputs, method)
    for maps in (of_half, of_autocast):
        assert maps.dtype == torch.float32 and maps.shape == expected.shape and maps.isfinite().all()
        if method != "occlusion":  # an untrained network's features move by less than half precision can tell
            assert_equal_maps(maps, expected, 0.05)


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_maps_are_had_where_gradients_are_off(mode: type[contextlib.ContextDecorator], method: str) -> None:
    model, inputs = network_and_pictures("vit")
    expected = maps_of(model, inputs, method)
    with mode():
        maps = maps_of(model, inputs.clone(), method, classes=CLASSES.clone())  # in inference mode, inference tensors
    assert torch.equal(maps, expected) and not maps.requires_grad and maps.is_leaf


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
@pytest.mark.parametrize("name", ["timm-resnet", "swin", "vit"])
def test_the_model_is_as_it_was(name: str, method: str) -> None:
    model, inputs = network_and_pictures(name)
    next(model.parameters()).requires_grad_(False)
    modules, wanted = list(model.named_modules()), [each.requires_grad for each in model.parameters()]
    hooks = [(len(module._forward_hooks), len(module._forward_pre_hooks)) for _, module in modules]
    state = {key: value.clone() for key, value in model.state_dict().items()}
    maps_of(model, inputs, method)
    assert list(model.named_modules()) == modules
    assert [(len(module._forward_hooks), len(module._forward_pre_hooks)) for _, module in modules] == hooks
    assert all("forward" not in vars(module) for _, module in modules)
    assert [each.requires_grad for each in model.parameters()] == wanted
    assert all(each.grad is None for each in model.parameters())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not inputs.requires_grad


def forward_passes(model: nn.Module, inputs: Tensor, method: str) -> list[tuple[int, bool]]:
    """Images in each forward pass, and whether the first layer's output had a graph."""
    passes: list[tuple[int, bool]] = []
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    handle = first.register_forward_hook(lambda _, __, output: passes.append((len(output), output.requires_grad)))
    maps_of(model, inputs, method, classes=torch.zeros(len(inputs), dtype=torch.long))
    handle.remove()
    return passes


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet", {"grad_cam": 1, "gradient_x_activation": 1, "integrated_gradients": 4, "occlusion": 4 * 6 + 2}),
        (
            "vit",
            {
                "grad_cam": 1,
                "gradient_x_activation": 1,
                "integrated_gradients": INTEGRATION_STEPS + 3,
                "occlusion": 4 * 6 + 2,
            },
        ),
    ],
)
def test_forward_passes_are_as_many_and_as_large_as_said(name: str, expected: dict[str, int]) -> None:
    model, inputs = network_and_pictures(name, count=3)
    for method, number in expected.items():
        passes = forward_passes(model, inputs, method)
        assert len(passes) == number
        assert max(size for size, _ in passes) == 3  # no more memory than the batch that the caller chose
        assert not any(graph for _, graph in passes)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion"])
@pytest.mark.parametrize("name", ["timm-resnet", "vit"])
def test_an_image_of_the_mean_colour_has_a_map_of_zeros(name: str, method: str) -> None:
    """In a batch beside others, too."""
    model, inputs = network_and_pictures(name)
    inputs[1] = 0
    maps = maps_of(model, inputs, method)
    assert maps[0].abs().max() > 0 and (maps[1] == 0).all()


@pytest.mark.parametrize("method", ["gradient_x_activation", "integrated_gradients"])
def test_a_layer_that_puts_out_a_tuple_is_attributed(method: str) -> None:
    """Which captum's own hooks can't: the gradient written out, along the path for integrated gradients."""
    model, inputs = network_and_pictures("swin")
    module_name, (h, w) = "swin.encoder.layers.0", (4, 6)
    module, kept = model.get_submodule(module_name), []
    handle = module.register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        for images in (inputs, 0 * inputs):
            model(pixel_values=images)
    handle.remove()
    tensor, baseline = (output[0] for output in kept)

    def gradient_at(value: Tensor) -> Tensor:
        value = value.requires_grad_(True)
        handle = module.register_forward_hook(lambda *_: (value, *kept[0][1:]))
        logits = model(pixel_values=inputs).logits
        handle.remove()
        return torch.autograd.grad(logits[range(2), CLASSES].sum(), value)[0]

    if method == "gradient_x_activation":
        attributed = gradient_at(tensor.clone()) * tensor
    else:
        midpoints = (torch.arange(200) + 0.5) / 200
        gradients = [gradient_at((baseline + alpha * (tensor - baseline)).detach()) for alpha in midpoints]
        attributed = torch.stack(gradients).mean(0) * (tensor - baseline)
    maps = attribution_maps(model, inputs, CLASSES, find_attribution_layer(model, module_name), method, "logit")
    assert_equal_maps(maps, attributed.detach().sum(-1).unflatten(1, (h, w)), 1e-3)


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
def test_a_layer_that_holds_no_map_is_refused_by_every_method(method: str) -> None:
    model, inputs = network_and_pictures("timm-resnet", "square")
    layer = find_attribution_layer(model, "timm_model.global_pool")
    with pytest.raises(InputError, match="--attribution_layer"):
        attribution_maps(model, inputs, CLASSES, layer, method)


def test_an_unknown_method_and_missing_classes_are_refused() -> None:
    model, inputs = network_and_pictures("resnet")
    with pytest.raises(InputError, match=r"'gradcam' is unknown; choose from grad_cam.* did you mean 'grad_cam'"):
        maps_of(model, inputs, "gradcam")
    for method in CLASS_METHODS:
        with pytest.raises(InputError, match=f"'{method}' needs a class for each image; without any use occlusion"):
            maps_of(model, inputs, method, classes=None)
    assert maps_of(model, inputs, "occlusion", classes=None).shape == (2, 4, 6)
