"""Classifier, attribution layer and last stage of small networks of every family, and of the zoo's full-size ones."""

import pytest
import timm
import torch
import transformers
from families import FAMILIES, NUM_CLASSES, pictures, pixels_of, small_network
from torch import nn
from transformers import AutoModelForImageClassification
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.analysis.taps import tapped
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import (
    find_attribution_layer,
    find_classifier,
    freeze_all_but,
    transformer_blocks,
)
from hf_sslgen.zoo.backbone_registry import all_backbones

FULL_SIZE = {
    "ResNet": (2048, 7, 7),
    "RegNet": (1088, 7, 7),
    "ConvNext": (768, 7, 7),
    "ConvNextV2": (768, 7, 7),
    "EfficientNet": (2560, 7, 7),
    "ViT": (768, 14, 14),
    "DeiT": (768, 14, 14),
    "ViTMSN": (768, 14, 14),
    "IJepa": (768, 14, 14),
    "Dinov2": (768, 16, 16),
    "Dinov2WithRegisters": (768, 14, 14),
    "Beit": (768, 14, 14),
    "Data2VecVision": (768, 14, 14),
    "Swin": (768, 7, 7),
    "Swinv2": (768, 7, 7),
}
"""Layers of transformers' default configurations for 224 px."""

TIMM_ARCHITECTURES = sorted(
    {
        backbone.architecture
        for backbone in all_backbones()
        if backbone.library == "timm" and timm.is_model(backbone.architecture)
    }
)
COARSE = ("resnet", "convnext", "regnet", "efficientnet", "swin")


def shape_at_the_layer(model: transformers.PreTrainedModel, height: int, width: int) -> tuple[int, ...]:
    """Shape of the attributed map for images of this size, after its batch dimension."""
    shapes = []
    with torch.no_grad(), tapped(model, find_attribution_layer(model), height, width) as grid:
        grid.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
        model(torch.zeros(1, 3, height, width))
    (shape,) = shapes
    return shape


@pytest.mark.parametrize("name", FAMILIES)
def test_the_rule_finds_the_layer_and_says_so(name: str) -> None:
    family = FAMILIES[name]
    model = small_network(name, *pixels_of(family, "square"))
    layer = find_attribution_layer(model)
    assert (layer.module_name, layer.side) == family.layer
    assert str(layer).endswith(f"at the {layer.side} of {layer.module_name}")
    assert layer.channels_last == family.channels_last
    if family.num_prefix_tokens is None:
        assert "spatial map" in str(layer) or "tokens (from patches of 4 px) that are pooled" in str(layer)
        assert transformer_blocks(model) == []
    else:
        after = {0: "", 1: ", after 1 prefix token"}.get(
            family.num_prefix_tokens, f", after {family.num_prefix_tokens} prefix tokens"
        )
        assert f"patch tokens (8 px each{after})" in str(layer)
        first, last = transformer_blocks(model)
        assert layer.module_name.startswith(f"{last}.") and first == last.replace(".1", ".0")


@pytest.mark.parametrize("name", [name for name in FAMILIES if name.startswith("timm-")])
def test_prefix_tokens_are_those_that_timm_counts(name: str) -> None:
    family = FAMILIES[name]
    if family.num_prefix_tokens is not None:
        model = small_network(name, *pixels_of(family, "square"))
        assert find_attribution_layer(model).num_prefix_tokens == model.timm_model.num_prefix_tokens


@pytest.mark.parametrize("name", FAMILIES)
def test_the_classifier_makes_the_logits(name: str) -> None:
    family = FAMILIES[name]
    size = pixels_of(family, "square")
    model = small_network(name, *size)
    found, classifier = find_classifier(model)
    assert found == family.classifier
    kept = []
    classifier.register_forward_hook(lambda _, inputs, output: kept.append((inputs[0], output)))
    logits = model(pictures(*size)).logits
    ((features, output),) = kept
    assert torch.equal(logits, output) and logits.shape == (2, NUM_CLASSES)
    wide = 2 if name in ("dinov2", "dinov2-registers") else 1  # class token and mean of the patches
    assert features.flatten(1).shape == (2, wide * family.width)


def test_timm_says_itself_which_layer_is_the_classifier() -> None:
    model = small_network("timm-resnet", 64, 64)
    model.timm_model.auxiliary = nn.Linear(24, NUM_CLASSES)  # the last linear layer, of the classifier's size
    assert find_classifier(model)[0] == "timm_model.fc"


@pytest.mark.parametrize("name", FAMILIES)
def test_exactly_what_is_asked_for_is_trained(name: str) -> None:
    family = FAMILIES[name]
    model = small_network(name, *pixels_of(family, "square"))
    names = [each for each, _ in model.named_parameters()]
    for trainable, prefixes in (
        ("head", (f"{family.classifier}.",)),
        ("last_stage", family.last_stage),
        ("all", ("",)),
    ):
        model.requires_grad_(True)
        frozen = set(freeze_all_but(model, trainable))
        trained = {each for each, parameter in model.named_parameters() if parameter.requires_grad}
        assert trained == {each for each in names if each.startswith(prefixes)}
        assert all(any(each.startswith(prefix) for each in trained) for prefix in prefixes)
        for module_name, module in model.named_modules():
            parameters = list(module.parameters())
            wholly_frozen = bool(parameters) and not any(each.requires_grad for each in parameters)
            assert (module in frozen) == wholly_frozen, module_name


def test_last_stage_that_is_not_there_is_refused() -> None:
    """Without parameters, as timm names it for VGG: the last pooling; and without stages at all."""
    model = small_network("timm-resnet", 64, 64)
    model.timm_model.feature_info[-1]["module"] = "maxpool"
    with pytest.raises(InputError, match="--trainable all or head"):
        freeze_all_but(model, "last_stage")
    stageless = small_network("resnet", 32, 32)
    stageless.resnet.encoder = nn.Identity()
    with pytest.raises(InputError, match="can't be identified; use --trainable all or head"):
        freeze_all_but(stageless, "last_stage")


@pytest.mark.parametrize("architecture", TIMM_ARCHITECTURES)
def test_every_timm_architecture_of_the_registry_is_read(architecture: str) -> None:
    """At full size, without memory for weights or values: only shapes are computed."""
    pretrained_cfg = timm.get_pretrained_cfg(architecture)
    side = pretrained_cfg.input_size[-1]
    config = TimmWrapperConfig(architecture=architecture, num_labels=NUM_CLASSES)
    config.architectures = ["TimmWrapperForImageClassification"]
    with torch.device("meta"):
        model = AutoModelForImageClassification.from_config(config).eval()
        shape = shape_at_the_layer(model, side, side)
    reduction = model.timm_model.feature_info[-1]["reduction"]
    assert reduction in ((32,) if architecture.startswith(COARSE) else (8, 14, 16))
    assert shape == (model.timm_model.num_features, side // reduction, side // reduction)


@pytest.mark.parametrize("source", FULL_SIZE)
def test_default_configurations_of_transformers_are_read(source: str) -> None:
    more = {} if source in ("ResNet", "RegNet") else {"image_size": 224}
    config = getattr(transformers, f"{source}Config")(num_labels=NUM_CLASSES, **more)
    with torch.device("meta"):
        model = getattr(transformers, f"{source}ForImageClassification")(config).eval()
        assert shape_at_the_layer(model, 224, 224) == FULL_SIZE[source]


def test_two_classifiers_are_refused_and_their_layer_is_found() -> None:
    config = TimmWrapperConfig(architecture="deit_tiny_distilled_patch16_224", num_labels=NUM_CLASSES)
    config.architectures = ["TimmWrapperForImageClassification"]
    with torch.device("meta"):
        model = AutoModelForImageClassification.from_config(config).eval()
        assert find_attribution_layer(model).num_prefix_tokens == 2
        assert shape_at_the_layer(model, 224, 224) == (192, 14, 14)
    with pytest.raises(InputError, match=r"2 classifiers.*transformers library"):
        find_classifier(model)


@pytest.mark.parametrize("name", ["timm-resnet", "resnet"])
def test_network_without_one_linear_classifier_is_refused(name: str) -> None:
    model = small_network(name, 64, 64)
    model.set_submodule(FAMILIES[name].classifier, nn.Identity())
    with pytest.raises(InputError, match="does not end in one linear layer with 3 outputs"):
        find_classifier(model)


def test_unread_networks_say_how_to_name_the_layer() -> None:
    """More than a normalisation between the last stage and the classifier, a stem that is no patch embedding."""
    tiny = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]}
    pool_former = transformers.PoolFormerForImageClassification(transformers.PoolFormerConfig(**tiny))
    with pytest.raises(InputError, match=r"PoolFormerForImageClassification could not be found.*--attribution_layer"):
        find_attribution_layer(pool_former)
    vit = small_network("vit", 32, 32)
    vit.vit.embeddings.patch_embeddings.projection.stride = (4, 4)
    with pytest.raises(InputError, match=r"ViTForImageClassification could not be found.*--attribution_layer"):
        find_attribution_layer(vit)
    with pytest.raises(InputError, match=r"'vit.layers.1.norm1' is not a module .*did you mean"):
        find_attribution_layer(small_network("vit", 32, 32), "vit.layers.1.norm1")
