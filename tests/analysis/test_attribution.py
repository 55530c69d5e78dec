"""Grad-CAM against closed forms, captum called plainly, and autograd written out."""

from collections.abc import Callable

import pytest
import timm
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from hf_sslgen.analysis.attribution import attribution_maps
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import AttributionLayer, find_attribution_layer, find_classifier
from hf_sslgen.zoo.backbone_loading import load_backbone, set_linear_classifier
from hf_sslgen.zoo.timm_folder import write_timm_folder

CLASS_NAMES = ("a", "b", "c", "d")
CLASSES = torch.tensor([0, 3, 1])
CNNS = ("timm_resnet", "transformers_resnet")
VITS = ("timm_vit", "transformers_vit", "timm_vit_registers")
SMALL = {
    "timm_vit_registers": (
        "vit_small_patch14_reg4_dinov2",
        {"img_size": 28, "patch_size": 7, "embed_dim": 32, "depth": 2, "num_heads": 2},
    ),
    "timm_swin": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4},
    ),
}


@pytest.fixture(scope="module")
def folders(small_backbones: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shared small networks, a transformer with register tokens, and a network whose channels come last."""
    root = tmp_path_factory.mktemp("more")
    for name, (architecture, arguments) in SMALL.items():
        network = timm.create_model(architecture, num_classes=0, **arguments)
        side = arguments["img_size"]
        preprocessing = {"input_size": [3, side, side], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
        features = network.num_features
        write_timm_folder(root / name, network.state_dict(), architecture, features, arguments, preprocessing)
    return {**small_backbones, **{name: str(root / name) for name in SMALL}}


@pytest.fixture(scope="module")
def load(folders: dict[str, str]) -> Callable[[str], nn.Module]:
    """A network by name, with a classifier whose weights are far enough from zero to compare maps by."""

    def load_with_head(name: str) -> nn.Module:
        model = load_backbone(folders[name], CLASS_NAMES).model
        generator = torch.Generator().manual_seed(1)
        weight = torch.randn(find_classifier(model)[1].weight.shape, generator=generator)
        set_linear_classifier(model, weight, torch.randn(len(CLASS_NAMES), generator=generator))
        return model

    return load_with_head


def pictures(height: int, width: int) -> Tensor:
    return torch.randn(len(CLASSES), 3, height, width, generator=torch.Generator().manual_seed(2))


def side_of(name: str) -> int:
    return {"timm_vit_registers": 28, "timm_resnet": 96}.get(name, 32)


def kept(module: nn.Module, side: str) -> list[Tensor]:
    """A list that receives what enters or leaves a module."""
    values: list[Tensor] = []
    if side == "input":
        module.register_forward_pre_hook(lambda _, inputs: values.append(inputs[0]))
    else:
        module.register_forward_hook(lambda _, __, output: values.append(output))
    return values


def assert_maps_equal(maps: Tensor, expected: Tensor) -> None:
    assert maps.shape == expected.shape
    assert expected.abs().amax() > 0
    assert (maps - expected).abs().amax() <= 1e-5 * max(1.0, float(expected.abs().amax()))


@pytest.mark.parametrize("name", CNNS)
@pytest.mark.parametrize("target", ["logit", "centred"])
def test_resnet_maps_equal_the_closed_form_and_captum(
    name: str, target: str, load: Callable[[str], nn.Module]
) -> None:
    model, inputs = load(name), pictures(side_of(name), side_of(name))
    layer = find_attribution_layer(model)
    maps = attribution_maps(model, inputs, CLASSES, layer, "grad_cam", target)
    pool = model.get_submodule(layer.module_name)
    plain = LayerGradCam(lambda x: model(pixel_values=x).logits, pool).attribute(
        inputs, target=CLASSES, attribute_to_layer_input=True, relu_attributions=False
    )
    entering = kept(pool, "input")
    with torch.no_grad():
        model(pixel_values=inputs)
    weight = find_classifier(model)[1].weight.detach()
    of_class = weight[CLASSES] - (weight.mean(0) if target == "centred" else 0)
    cells = entering[0].shape[-1] * entering[0].shape[-2]
    assert cells > 1
    assert_maps_equal(maps, torch.einsum("bd,bdhw->bhw", of_class, entering[0]) / cells)
    if target == "logit":
        assert_maps_equal(maps, plain.detach().squeeze(1))


@pytest.mark.parametrize("name", VITS)
@pytest.mark.parametrize("target", ["logit", "centred"])
def test_vit_maps_equal_autograd_on_the_patch_tokens_of_the_last_norm(
    name: str, target: str, load: Callable[[str], nn.Module]
) -> None:
    model, inputs = load(name), pictures(side_of(name), side_of(name))
    maps = attribution_maps(model, inputs, CLASSES, find_attribution_layer(model), "grad_cam", target)
    if name == "transformers_vit":
        norms = [module for path, module in model.named_modules() if path.endswith("layernorm_before")]
        num_prefix, norm = 1, norms[-1]
    else:
        num_prefix, norm = model.timm_model.num_prefix_tokens, model.timm_model.blocks[-1].norm1
    assert num_prefix == (5 if name == "timm_vit_registers" else 1)
    leaving = kept(norm, "output")
    logits = model(pixel_values=inputs).logits
    scores = logits - logits.mean(1, keepdim=True) if target == "centred" else logits
    (gradient,) = torch.autograd.grad(scores.gather(1, CLASSES[:, None]).sum(), leaving[0])
    weights = gradient[:, num_prefix:].mean(1)
    expected = torch.einsum("bd,bnd->bn", weights, leaving[0].detach()[:, num_prefix:]).view(len(CLASSES), 4, 4)
    assert_maps_equal(maps, expected)
    assert (maps.abs().amax((1, 2)) > 1e-4 * maps.abs().amax()).all()


def test_maps_of_a_network_whose_channels_come_last_lie_on_its_grid(load: Callable[[str], nn.Module]) -> None:
    model, inputs = load("timm_swin"), pictures(32, 32)
    maps = attribution_maps(
        model, inputs, CLASSES, AttributionLayer("timm_model.head.global_pool", "input", None), "grad_cam", "logit"
    )
    entering = kept(model.timm_model.head.global_pool, "input")
    with torch.no_grad():
        model(pixel_values=inputs)
    assert entering[0].shape == (3, 4, 4, 32)
    weight = find_classifier(model)[1].weight.detach()
    assert_maps_equal(maps, torch.einsum("bd,bhwd->bhw", weight[CLASSES], entering[0]) / 16)


@pytest.mark.parametrize("name", ["timm_resnet", "timm_vit"])
def test_the_model_is_as_it_was(name: str, load: Callable[[str], nn.Module]) -> None:
    model, inputs = load(name), pictures(side_of(name), side_of(name))
    next(model.parameters()).requires_grad_(False)
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    modules = dict(model.named_modules())
    state = {key: value.clone() for key, value in model.state_dict().items()}
    logits = model(pixel_values=inputs).logits.detach()
    attribution_maps(model, inputs, CLASSES, find_attribution_layer(model))
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert list(model.named_modules()) == list(modules.items())
    assert list(model.state_dict()) == list(state)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(model(pixel_values=inputs).logits, logits)


def test_the_model_is_as_it_was_after_an_error(load: Callable[[str], nn.Module]) -> None:
    model = load("timm_resnet")
    modules = list(model.named_modules())
    with pytest.raises(AssertionError, match="target"):
        attribution_maps(model, pictures(96, 96), torch.tensor([0, 1, 2, 99]), find_attribution_layer(model))
    assert list(model.named_modules()) == modules
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", ["timm_resnet", "timm_vit"])
def test_frozen_parameters_give_the_same_maps(name: str, load: Callable[[str], nn.Module]) -> None:
    model, inputs = load(name), pictures(side_of(name), side_of(name))
    layer = find_attribution_layer(model)
    maps = attribution_maps(model, inputs, CLASSES, layer)
    model.requires_grad_(False)
    assert torch.equal(attribution_maps(model, inputs, CLASSES, layer), maps)
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_inputs_need_not_be_square(load: Callable[[str], nn.Module]) -> None:
    model = load("transformers_resnet")
    assert attribution_maps(model, pictures(32, 48), CLASSES, find_attribution_layer(model)).shape == (3, 4, 6)


def test_a_named_layer_is_attributed_at_its_output(load: Callable[[str], nn.Module]) -> None:
    model, inputs = load("timm_resnet"), pictures(96, 96)
    layer = find_attribution_layer(model, "timm_model.layer3")
    maps = attribution_maps(model, inputs, CLASSES, layer, "grad_cam", "logit")
    plain = LayerGradCam(lambda x: model(pixel_values=x).logits, model.timm_model.layer3)
    assert_maps_equal(maps, plain.attribute(inputs, target=CLASSES, relu_attributions=False).detach().squeeze(1))
    assert maps.shape == (3, 6, 6)
    last = attribution_maps(
        model, inputs, CLASSES, find_attribution_layer(model, "timm_model.layer4"), "grad_cam", "logit"
    )
    assert_maps_equal(
        last, attribution_maps(model, inputs, CLASSES, find_attribution_layer(model), "grad_cam", "logit")
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("timm_vit", AttributionLayer("timm_model.blocks.1", "output", None)),
        ("timm_vit", AttributionLayer("timm_model.blocks.1.norm1", "output", 4)),
    ],
)
def test_a_layer_that_holds_no_map_is_refused(
    name: str, layer: AttributionLayer, load: Callable[[str], nn.Module]
) -> None:
    with pytest.raises(InputError, match="--attribution_layer"):
        attribution_maps(load(name), pictures(32, 32), CLASSES, layer)
