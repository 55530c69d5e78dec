"""A backbone made ready to measure: what a pass yields in every precision and layout, and that it leaves no trace."""

import copy

import pytest
import torch
from captum.attr import LayerGradCam
from families import pictures

from hf_sslgen.analysis.analysis_settings import Compute
from hf_sslgen.analysis.grad_cam import grad_cam
from hf_sslgen.analysis.network import PassOutputs, measuring
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import normalise
from hf_sslgen.zoo.anatomy import find_attribution_layer, find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")
CLASSES = ("first", "second", "third")


@pytest.fixture(params=NAMES)
def backbone(request: pytest.FixtureRequest, small_backbones: dict[str, str]) -> LoadedBackbone:
    return load_backbone(small_backbones[request.param], CLASSES)


def photographs(side: int = 32) -> torch.Tensor:
    """(2, 3, S, S) bytes."""
    values = pictures(side, side)
    return ((values - values.min()) / (values.max() - values.min()) * 255).to(torch.uint8)


def run(backbone: LoadedBackbone, compute: Compute | None = None) -> PassOutputs:
    layer = find_attribution_layer(backbone.model)
    with measuring(backbone, compute, layer) as network:
        return network(photographs())


def maps_of(backbone: LoadedBackbone, outputs: PassOutputs) -> torch.Tensor:
    assert outputs.activations is not None
    weight = find_classifier(backbone.model)[1].weight.detach()
    classes = torch.tensor([2, 0])
    return grad_cam(outputs.activations, outputs.features, outputs.logits, weight, classes, "logit")


def test_one_pass_yields_what_separate_ones_do(backbone: LoadedBackbone) -> None:
    pixels = normalise(photographs(), backbone.preprocessing)
    entering = []
    classifier = find_classifier(backbone.model)[1]
    handle = classifier.register_forward_pre_hook(lambda _, values: entering.append(values[0].detach()))
    with torch.no_grad():
        logits = backbone.model(pixel_values=pixels).logits
    handle.remove()
    outputs = run(backbone)
    torch.testing.assert_close(outputs.logits, logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outputs.features, entering[0], atol=1e-5, rtol=1e-5)
    assert outputs.logits.dtype == outputs.features.dtype == torch.float32


def test_its_map_is_captums_of_a_pass_of_its_own(backbone: LoadedBackbone) -> None:
    maps = maps_of(backbone, run(backbone))
    if "vit" in backbone.name:  # captum knows no tokens; tests of the taps compare these with autograd
        assert maps.shape == (2, 4, 4) and maps.abs().max() > 0
        return
    module = backbone.model.get_submodule(find_attribution_layer(backbone.model).module_name)
    captum = LayerGradCam(lambda x: backbone.model(pixel_values=x).logits, module)
    of_input = find_attribution_layer(backbone.model).side == "input"
    pixels = normalise(photographs(), backbone.preprocessing)
    expected = captum.attribute(pixels, target=torch.tensor([2, 0]), attribute_to_layer_input=of_input).detach()
    scale = float(expected.abs().max())
    torch.testing.assert_close(maps, expected.squeeze(1), atol=1e-5 * scale, rtol=0)


@pytest.mark.parametrize(
    "compute", [Compute(channels_last=True), Compute("bf16"), Compute("bf16", channels_last=True)]
)
def test_layout_and_precision_change_rounding_only(backbone: LoadedBackbone, compute: Compute) -> None:
    plain, other = run(backbone), run(backbone, compute)
    tolerance = 1e-5 if compute.precision == "fp32" else 0.03
    for ours, theirs in ((other.features, plain.features), (other.logits, plain.logits)):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, atol=tolerance * float(theirs.abs().max()), rtol=0)
    expected = maps_of(backbone, plain)
    torch.testing.assert_close(
        maps_of(backbone, other), expected, atol=3 * tolerance * float(expected.abs().max()), rtol=0
    )


def test_logits_of_half_precision_are_those_of_its_features_in_full(backbone: LoadedBackbone) -> None:
    outputs = run(backbone, Compute("bf16"))
    classifier = find_classifier(backbone.model)[1]
    with torch.no_grad():
        logits = classifier(outputs.features)
    torch.testing.assert_close(outputs.logits, logits, atol=1e-6, rtol=1e-6)


def test_fp16_is_refused_on_a_cpu(small_backbones: dict[str, str]) -> None:
    backbone = load_backbone(small_backbones["timm_resnet"], CLASSES)
    if backbone.model.device.type != "cpu" or torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with (
        pytest.raises(InputError, match="fp16, which needs a GPU; on a CPU give bf16"),
        measuring(backbone, Compute("fp16")),
    ):
        pass


@pytest.mark.parametrize("compute", [Compute("fp32"), Compute("bf16")], ids=str)
def test_nothing_is_left_behind(backbone: LoadedBackbone, compute: Compute) -> None:
    model = backbone.model
    next(model.parameters()).requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    layer = find_attribution_layer(model)
    with pytest.raises(KeyboardInterrupt), measuring(backbone, compute, layer) as network:
        assert not any(parameter.requires_grad for parameter in network.model.parameters())
        network(photographs())
        raise KeyboardInterrupt
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert all("forward" not in vars(module) for module in model.modules())
    for name, tensor in model.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor, before[name])


def test_the_trunk_keeps_no_graph(backbone: LoadedBackbone) -> None:
    outputs = run(backbone)
    assert outputs.activations is not None and outputs.activations.is_leaf
    leaves, waiting = set(), [outputs.logits.grad_fn]
    while waiting:
        function = waiting.pop()
        assert function is not None
        if type(function).__name__ == "AccumulateGrad":
            leaves.add(id(function.variable))
        waiting += [following for following, _ in function.next_functions if following is not None]
    assert leaves == {id(outputs.activations)}


def test_without_gradients_nothing_is_tapped(backbone: LoadedBackbone) -> None:
    layer = find_attribution_layer(backbone.model)
    with measuring(backbone, layer=layer) as network:
        with torch.inference_mode():
            plain = network(photographs())
        tapped = network(photographs())
    assert plain.activations is None and tapped.activations is not None
    torch.testing.assert_close(plain.logits, tapped.logits.detach(), atol=1e-6, rtol=1e-6)


def test_features_hold_no_more_memory_than_their_own(backbone: LoadedBackbone) -> None:
    """A class token as it comes is a view of all tokens."""
    outputs = run(backbone)
    assert outputs.features.untyped_storage().nbytes() == outputs.features.numel() * 4


@pytest.mark.parametrize("named", ["timm_model.conv1", "timm_model.bn1"])
def test_a_named_layer_holds_what_it_holds_in_the_network(named: str, small_backbones: dict[str, str]) -> None:
    """Though elsewhere normalisation is folded into convolutions."""
    backbone = load_backbone(small_backbones["timm_resnet"], CLASSES)
    norm = backbone.model.timm_model.bn1
    norm.running_mean.normal_(generator=torch.Generator().manual_seed(0))
    seen = []
    handle = backbone.model.get_submodule(named).register_forward_hook(
        lambda _, __, output: seen.append(output.clone())
    )
    with torch.no_grad():
        backbone.model(pixel_values=normalise(photographs(), backbone.preprocessing))
    handle.remove()
    with measuring(backbone, layer=find_attribution_layer(backbone.model, named)) as network:
        activations = network(photographs()).activations
        assert activations is not None
    torch.testing.assert_close(activations.detach(), seen[0], atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm_resnet", "timm_vit"])
def test_compiled_networks_yield_the_same(name: str, small_backbones: dict[str, str]) -> None:
    backbone = load_backbone(small_backbones[name], CLASSES)
    plain, compiled = run(backbone), run(backbone, Compute(compile=True))
    torch.testing.assert_close(compiled.logits, plain.logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(compiled.features, plain.features, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(maps_of(backbone, compiled), maps_of(backbone, plain), atol=1e-4, rtol=1e-3)
