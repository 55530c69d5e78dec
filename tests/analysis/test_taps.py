"""Taps on small networks of every family: grid, order of cells, maps, and what is left of a tap afterwards."""

import pytest
import torch
from captum.attr import LayerGradCam
from families import FAMILIES, POOLED_TOKENS, SIZES, as_map, at_the_layer, pictures, pixels_of, small_network
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.attribution import attribution_maps, frozen
from hf_sslgen.analysis.taps import layer_map, tapped, tapped_whole
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import AttributionLayer, find_attribution_layer, find_classifier

CLASSES = torch.tensor([2, 0])


def tapped_values(model: PreTrainedModel, layer: AttributionLayer, inputs: Tensor) -> Tensor:
    kept = []
    with frozen(model), tapped(model, layer, *inputs.shape[-2:]) as grid:
        grid.register_forward_hook(lambda _, __, output: kept.append(output.detach()))
        model(pixel_values=inputs)
    (values,) = kept
    return values


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FAMILIES)
def test_the_grid_holds_the_patches_in_their_order(name: str, size: str) -> None:
    family = FAMILIES[name]
    height, width = pixels_of(family, size)
    model, inputs = small_network(name, height, width), pictures(height, width)
    tapped_map = tapped_values(model, find_attribution_layer(model), inputs)
    h, w = family.grid(height, width)
    assert tapped_map.shape == (2, family.width, h, w) and h * w > 1 and (h == w) == (size == "square")
    values, _ = at_the_layer(model, name, inputs)
    if family.num_prefix_tokens is not None:
        assert values.shape[1] == family.num_prefix_tokens + h * w
    assert torch.allclose(tapped_map, as_map(values, name, height, width), atol=1e-5)


@pytest.mark.parametrize("size", ["square", "wide"])
@pytest.mark.parametrize("name", FAMILIES)
def test_maps_equal_captum_or_autograd_without_a_tap(name: str, size: str) -> None:
    """captum where it knows the layout: it takes axis 1 for channels. Autograd for channels-last maps and tokens."""
    family = FAMILIES[name]
    height, width = pixels_of(family, size)
    model, inputs = small_network(name, height, width), pictures(height, width)
    maps = attribution_maps(model, inputs, CLASSES, find_attribution_layer(model), "grad_cam", "logit")
    if family.channels_last:
        values, logits = at_the_layer(model, name, inputs)
        (gradient,) = torch.autograd.grad(logits[range(2), CLASSES].sum(), values)
        weights = as_map(gradient, name, height, width).mean((2, 3), keepdim=True)
        expected = (weights * as_map(values.detach(), name, height, width)).sum(1)
    else:
        module_name, side = family.layer
        captum = LayerGradCam(lambda x: model(pixel_values=x).logits, model.get_submodule(module_name))
        attributed = captum.attribute(
            inputs, target=CLASSES, attribute_to_layer_input=side == "input", relu_attributions=False
        )
        expected = attributed.detach().reshape(2, *family.grid(height, width))
    scale = float(expected.abs().max())
    assert maps.shape == expected.shape and scale > 1e-4
    assert (maps - expected).abs().max() <= 1e-5 * max(1.0, scale)
    assert (maps.abs() > 1e-4 * scale).float().mean() > 0.9  # no patch is out of the class's reach


@pytest.mark.parametrize("name", FAMILIES)
def test_the_trunk_keeps_no_graph_and_the_model_is_as_it_was(name: str) -> None:
    family = FAMILIES[name]
    size = pixels_of(family, "square")
    model, inputs = small_network(name, *size), pictures(*size)
    modules, wanted = list(model.named_modules()), [each.requires_grad for each in model.parameters()]
    attributes = {module_name: dict(vars(module)) for module_name, module in modules}
    logits = model(pixel_values=inputs).logits
    seen: list[tuple[bool, bool]] = []

    def see(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(output, Tensor):
            seen.append((grid.ran, output.requires_grad))

    with frozen(model), tapped(model, find_attribution_layer(model), *size) as grid:
        handles = [module.register_forward_hook(see) for module_name, module in modules if module_name]
        handles.append(grid.register_forward_hook(lambda _, __, output: seen.append((True, output.is_leaf))))
        outputs = model(pixel_values=inputs).logits
        for handle in handles:
            handle.remove()
    assert torch.allclose(outputs, logits, atol=1e-5) and outputs.requires_grad
    assert (False, False) in seen and (False, True) not in seen and (True, True) in seen
    assert list(model.named_modules()) == modules
    assert {module_name: dict(vars(module)) for module_name, module in modules} == attributes
    assert [each.requires_grad for each in model.parameters()] == wanted
    assert torch.equal(model(pixel_values=inputs).logits, logits)


def test_gradients_stop_at_the_tap_where_parameters_are_trained() -> None:
    model, inputs = small_network("timm-resnet", 64, 64), pictures(64, 64)
    with tapped(model, find_attribution_layer(model), 64, 64):
        model(pixel_values=inputs).logits.sum().backward()
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == {
        "timm_model.fc.weight",
        "timm_model.fc.bias",
    }


@pytest.mark.parametrize("height_width", [(36, 52), (40, 64), (20, 100)])
@pytest.mark.parametrize("name", POOLED_TOKENS)
def test_padded_and_merged_patches_lie_where_the_network_has_them(name: str, height_width: tuple[int, int]) -> None:
    """9 x 13 patches of 4 px are merged to 5 x 7 tokens; transformers itself says where they lie."""
    model, inputs = small_network(name, 32, 32), pictures(*height_width)
    tapped_map = tapped_values(model, find_attribution_layer(model), inputs)
    trunk = model.base_model
    with torch.no_grad():
        reshaped = trunk(inputs, output_hidden_states=True).reshaped_hidden_states[-1]
        expected = trunk.layernorm(reshaped.movedim(1, -1)).movedim(-1, 1)
    assert torch.allclose(tapped_map, expected, atol=1e-6)


NAMED = {
    ("timm-resnet", "timm_model.layer3"): (1, 4, 6),
    ("resnet", "resnet.encoder.stages.0"): (1, 8, 12),
    ("timm-convnext", "timm_model.stages.3.blocks.0.norm"): (-1, 2, 3),
    ("timm-convnext", "timm_model.stages.3"): (1, 2, 3),
    ("convnext", "convnext.encoder.stages.1.layers.1.pwconv2"): (-1, 4, 6),
    ("timm-swin", "timm_model.layers.0"): (-1, 8, 12),
    ("timm-swin", "timm_model.patch_embed.proj"): (1, 8, 12),
    ("timm-vit", "timm_model.blocks.0"): (-1, 4, 6),
    ("timm-dinov2-registers", "timm_model.blocks.0.norm2"): (-1, 4, 6),
    ("vit", "vit.layers.0"): (-1, 4, 6),
    ("deit-distilled", "deit.layers.0.layernorm_after"): (-1, 4, 6),
    ("swin", "swin.encoder.layers.0"): (-1, 4, 6),  # puts out a tuple, after merging
    ("swin", "swin.encoder.layers.0.blocks.0"): (-1, 8, 12),
}
"""Axis of the channels, and grid."""


@pytest.mark.parametrize(("name", "module_name"), NAMED)
def test_a_named_layer_is_attributed_at_its_output(name: str, module_name: str) -> None:
    height, width = pixels_of(FAMILIES[name], "wide")
    model, inputs = small_network(name, height, width), pictures(height, width)
    layer = find_attribution_layer(model, module_name)
    named = "spatial map with channels last" if module_name == "timm_model.layers.0" else "tensor"
    assert str(layer).startswith(f"{named} at the output of {module_name}")
    outputs = []
    handle = model.get_submodule(module_name).register_forward_hook(lambda _, __, output: outputs.append(output))
    logits = model(pixel_values=inputs).logits
    handle.remove()
    value = outputs[0][0] if isinstance(outputs[0], tuple) else outputs[0]
    (gradient,) = torch.autograd.grad(logits[range(2), CLASSES].sum(), value)
    axis, h, w = NAMED[name, module_name]
    cells = [each.detach().movedim(axis, -1).flatten(1, -2)[:, -h * w :] for each in (gradient, value)]
    expected = (cells[0].mean(1, keepdim=True) * cells[1]).sum(-1).unflatten(1, (h, w))
    maps = attribution_maps(model, inputs, CLASSES, layer, "grad_cam", "logit")
    scale = float(expected.abs().max())
    assert maps.shape == (2, h, w) and scale > 1e-4
    assert (maps - expected).abs().max() <= 1e-5 * max(1.0, scale)


def test_a_cube_is_read_as_the_network_reads_it() -> None:
    """Where all of a map's axes are equal, its shape does not say which are the channels."""
    size = (32, 32)
    for name, module_name, channels_axis in (
        ("timm-swin", "timm_model.layers.0", -1),  # 8 px of 8 channels
        ("convnext", "convnext.encoder.stages.0", 1),
    ):
        model, inputs = small_network(name, *size), pictures(*size)
        outputs = []
        model.get_submodule(module_name).register_forward_hook(lambda _, __, out, kept=outputs: kept.append(out))
        tapped_map = tapped_values(model, find_attribution_layer(model, module_name), inputs)
        assert tapped_map.shape == (2, 8, 8, 8)
        assert torch.equal(tapped_map, outputs[0].detach().movedim(channels_axis, 1))


@pytest.mark.parametrize(
    ("name", "module_name", "message"),
    [
        ("timm-resnet", "timm_model.global_pool", r"timm_model.global_pool holds a tensor of shape \(2, 24\)"),
        ("timm-resnet", "timm_model.layer4.0.drop_path", "not a module of"),
        ("resnet", "resnet.encoder", "outputs a BaseModelOutputWithNoAttention instead of a tensor"),
        ("timm-vit", "timm_model.head", r"shape \(2, 3\)"),
        ("vit", "vit.layers", "vit.layers does not run in a forward pass"),
        ("timm-vit", "timm_model.blocks.1.attn.q_norm", r"shape \(2, 2, 17, 16\), which is no"),
    ],
)
def test_a_layer_that_holds_no_map_is_refused(name: str, module_name: str, message: str) -> None:
    size = (32, 32)
    model = small_network(name, *size)
    modules = list(model.named_modules())
    with pytest.raises(InputError, match=message) as raised:
        attribution_maps(model, pictures(*size), CLASSES, find_attribution_layer(model, module_name))
    assert "attribution_layer" in str(raised.value)
    assert list(model.named_modules()) == modules
    assert all("forward" not in vars(module) for _, module in modules)
    assert all(not module._forward_hooks for _, module in modules)


def test_tokens_that_fill_no_grid_are_refused() -> None:
    model = small_network("timm-vit", 32, 32)
    for layer in (
        AttributionLayer("timm_model.blocks.1.norm1", "output", 16, 1, channels_last=True),
        AttributionLayer("timm_model.blocks.1.norm1", "output", 8, 2, channels_last=True),
        AttributionLayer("timm_model.blocks.1.norm1", "output", 8, 0, channels_last=True),
    ):
        with pytest.raises(InputError, match=r"17 tokens at .*do not fill a grid of patches .*--attribution_layer"):
            attribution_maps(model, pictures(32, 32), CLASSES, layer)


@pytest.mark.parametrize("name", ["resnet", pytest.param("timm-vit", marks=pytest.mark.slow)])
def test_compiled_networks_are_tapped(name: str) -> None:
    """Whether they were compiled before the tap, inside it, or for an earlier one."""
    torch._dynamo.reset()
    size = (32, 32)
    model, inputs = small_network(name, *size).requires_grad_(False), pictures(*size)
    compiled = torch.compile(lambda x: model(pixel_values=x).logits, backend="eager")
    plain = model(pixel_values=inputs).logits
    assert torch.allclose(compiled(inputs), plain, atol=1e-6)
    layer = find_attribution_layer(model)
    for _ in range(2):
        with tapped(model, layer, *size) as grid:
            kept = []
            grid.register_forward_hook(lambda _, __, output, kept=kept: kept.append(output))
            logits = compiled(inputs)
        assert torch.allclose(logits, plain, atol=1e-6) and len(kept) == 1
        (gradient,) = torch.autograd.grad(logits[range(2), CLASSES].sum(), kept[0])
        maps = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1)
        assert torch.allclose(maps, attribution_maps(model, inputs, CLASSES, layer, "grad_cam", "logit"), atol=1e-5)
        assert not compiled(inputs).requires_grad


def test_dinov2_of_transformers_reads_class_token_and_patches() -> None:
    """Its classifier has 2 D inputs; the gradient reaches the patch tokens through both halves."""
    model, inputs = small_network("dinov2-registers", 32, 48), pictures(32, 48)
    layer = find_attribution_layer(model)
    for half in (slice(0, 32), slice(32, 64)):
        _, classifier = find_classifier(model)
        weight = classifier.weight.detach().clone()
        with torch.no_grad():
            classifier.weight[:, half] = 0
        maps = attribution_maps(model, inputs, CLASSES, layer)
        assert maps.shape == (2, 4, 6) and (maps.abs() > 1e-5).all()
        with torch.no_grad():
            classifier.weight.copy_(weight)


@pytest.mark.parametrize("name", ["timm-resnet", "dinov2-registers", "swin", "timm-swin"])
def test_the_whole_tensor_is_tapped_in_float32_and_holds_the_map(name: str) -> None:
    size = pixels_of(FAMILIES[name], "wide")
    model, inputs = small_network(name, *size).bfloat16().requires_grad_(False), pictures(*size).bfloat16()
    layer, kept = find_attribution_layer(model), []
    values, logits = at_the_layer(model, name, inputs)
    with frozen(model), tapped_whole(model, layer) as whole:
        whole.register_forward_hook(lambda _, __, output: kept.append(output))
        assert torch.allclose(model(pixel_values=inputs).logits, logits, atol=0.02)  # pooled in another order
    assert kept[0].dtype == torch.float32 and kept[0].is_leaf and torch.equal(kept[0], values.float())
    assert torch.equal(layer_map(kept[0], layer, *size), tapped_values(model, layer, inputs).float())
