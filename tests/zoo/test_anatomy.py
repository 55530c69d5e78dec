"""Finding the classifier, the layer whose attribution is measured, and the last stage, in seven networks."""

from pathlib import Path

import pytest
import timm
import torch
from torch import nn

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import AttributionLayer, find_attribution_layer, find_classifier, freeze_all_but
from hf_sslgen.zoo.loading import load_backbone
from hf_sslgen.zoo.timm_folder import write_timm_folder

CLASSES = ("cat", "dog", "owl")
SMALL = {
    "convnext_atto": {},
    "regnety_002": {},
    "efficientnet_b0": {},
    "swin_tiny_patch4_window7_224": {"img_size": 32, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2]},
}
SPATIAL = {
    "timm_resnet": ("timm_model.global_pool", (32, 1, 1)),
    "transformers_resnet": ("resnet.pooler", (16, 4, 4)),
    "convnext_atto": ("timm_model.head.global_pool", (320, 1, 1)),
    "regnety_002": ("timm_model.head.global_pool", (368, 1, 1)),
    "efficientnet_b0": ("timm_model.global_pool", (1280, 1, 1)),
}
TOKENS = {"timm_vit": "timm_model.blocks.1.norm1", "transformers_vit": "vit.layers.1.layernorm_before"}
CLASSIFIERS = {
    "timm_resnet": "timm_model.fc",
    "timm_vit": "timm_model.head",
    "transformers_resnet": "classifier.1",
    "transformers_vit": "classifier",
    "convnext_atto": "timm_model.head.fc",
    "regnety_002": "timm_model.head.fc",
    "efficientnet_b0": "timm_model.classifier",
}
LAST_STAGE = {
    "timm_resnet": ("timm_model.layer4.", "timm_model.fc."),
    "timm_vit": ("timm_model.blocks.1.", "timm_model.norm.", "timm_model.head."),
    "transformers_resnet": ("resnet.encoder.stages.1.", "classifier.1."),
    "transformers_vit": ("vit.layers.1.", "vit.layernorm.", "classifier."),
    "convnext_atto": ("timm_model.stages.3.", "timm_model.head."),
    "regnety_002": ("timm_model.s4.", "timm_model.head."),
    "efficientnet_b0": (
        "timm_model.blocks.6.",
        "timm_model.conv_head.",
        "timm_model.bn2.",
        "timm_model.classifier.",
    ),
}


@pytest.fixture(scope="module")
def load_model(small_backbones, tmp_path_factory):
    """A network by name, loaded once unless it has to be `fresh`."""
    folders, loaded = dict(small_backbones), {}

    def load(name: str, fresh: bool = False):
        if name not in folders:
            network = timm.create_model(name, num_classes=0, **SMALL[name])
            cfg = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3}
            folders[name] = str(tmp_path_factory.mktemp("network") / name)
            write_timm_folder(Path(folders[name]), network.state_dict(), name, network.num_features, SMALL[name], cfg)
        if fresh:
            return load_backbone(folders[name], CLASSES).model
        if name not in loaded:
            loaded[name] = load_backbone(folders[name], CLASSES).model
        return loaded[name].requires_grad_(True)

    return load


def _tapped(model, layer: AttributionLayer) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Input, tensor at the layer, and logits, with a graph from the second to the third."""
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    found = []

    def keep(_module, inputs, output):
        found.append(inputs[0] if layer.side == "input" else output)

    handle = dict(model.named_modules())[layer.module_name].register_forward_hook(keep)
    logits = model(images).logits
    handle.remove()
    assert len(found) == 1
    return images, found[0], logits


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifier_is_the_layer_that_makes_the_logits(load_model, name):
    model = load_model(name)
    found, classifier = find_classifier(model)
    assert found == CLASSIFIERS[name]
    logits = []
    handle = classifier.register_forward_hook(lambda _module, _inputs, output: logits.append(output))
    outputs = model(torch.randn(2, 3, 32, 32)).logits
    handle.remove()
    assert torch.equal(outputs, logits[0]) and outputs.shape == (2, 3)


@pytest.mark.parametrize("name", SPATIAL)
def test_spatial_networks_are_read_where_the_map_is_pooled(load_model, name):
    model = load_model(name)
    layer = find_attribution_layer(model)
    module_name, shape = SPATIAL[name]
    assert layer == AttributionLayer(module_name, "input", None)
    assert "spatial map at the input of" in str(layer)
    images, tapped, _ = _tapped(model, layer)
    assert tapped.shape == (2, *shape)
    trunk = model.timm_model.forward_features if "timm_model" in module_name else lambda x: model.resnet(x)[0]
    assert torch.allclose(tapped, trunk(images), atol=1e-5)


@pytest.mark.parametrize("name", TOKENS)
def test_transformers_are_read_where_tokens_enter_the_last_attention(load_model, name):
    model = load_model(name)
    layer = find_attribution_layer(model)
    assert layer == AttributionLayer(TOKENS[name], "output", 8)
    assert str(layer) == f"patch tokens (8 px each) at the output of {TOKENS[name]}"
    _, tapped, logits = _tapped(model, layer)
    assert tapped.shape == (2, 1 + (32 // 8) ** 2, 32)
    (gradient,) = torch.autograd.grad(logits[:, 0].sum(), tapped)
    assert (gradient[:, 1:].abs().amax(dim=-1) > 0).all()


def test_a_layer_can_be_named(load_model):
    model = load_model("timm_vit")
    norm = find_attribution_layer(model, "timm_model.blocks.0.norm2")
    assert norm == AttributionLayer("timm_model.blocks.0.norm2", "output", 8)
    resnet = load_model("timm_resnet")
    assert find_attribution_layer(resnet, "timm_model.layer3").patch_size is None
    with pytest.raises(InputError, match=r"attribution_layer 'timm_model.layer5' .* did you mean .*'timm_model.layer"):
        find_attribution_layer(resnet, "timm_model.layer5")


def test_network_with_its_channels_last_is_refused(load_model):
    with pytest.raises(InputError, match="--attribution_layer"):
        find_attribution_layer(load_model("swin_tiny_patch4_window7_224"))


def test_network_without_one_linear_classifier_is_refused(load_model):
    model = load_model("timm_resnet", fresh=True)
    model.timm_model.fc = nn.Identity()
    with pytest.raises(InputError, match="does not end in one linear layer with 3 outputs"):
        find_classifier(model)


@pytest.mark.parametrize("name", LAST_STAGE)
def test_exactly_what_is_asked_for_is_trained(load_model, name):
    model = load_model(name)
    for trainable, prefixes in (
        ("head", (f"{CLASSIFIERS[name]}.",)),
        ("last_stage", LAST_STAGE[name]),
        ("all", ("",)),
    ):
        model.requires_grad_(True)
        frozen = set(freeze_all_but(model, trainable))
        names = [each for each, _ in model.named_parameters()]
        assert {each for each, parameter in model.named_parameters() if parameter.requires_grad} == {
            each for each in names if each.startswith(prefixes)
        }
        assert all(any(each.startswith(prefix) for each in names) for prefix in prefixes)
        for module_name, module in model.named_modules():
            parameters = list(module.parameters())
            wholly_frozen = bool(parameters) and not any(each.requires_grad for each in parameters)
            assert (module in frozen) == wholly_frozen, module_name


def test_last_stage_without_parameters_is_refused(load_model):
    """As timm names it for VGG: the last pooling."""
    model = load_model("timm_resnet", fresh=True)
    model.timm_model.feature_info[-1]["module"] = "maxpool"
    with pytest.raises(InputError, match="--trainable all or head"):
        freeze_all_but(model, "last_stage")
