"""Networks of one architecture are recognised by their shapes in either library; others are told apart."""

from typing import Any

import pytest
import timm
import torch
from transformers import (
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
)
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.zoo.network_description import NetworkDescription, describe_network

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}


def of_timm(architecture: str, **model_args: Any) -> NetworkDescription:
    return describe_network(
        TimmWrapperForImageClassification(
            TimmWrapperConfig(architecture=architecture, model_args=model_args, num_labels=3)
        )
    )


def vit_of_transformers(heads: int = 2) -> PreTrainedModel:
    config = ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=heads,
        intermediate_size=128,
        image_size=32,
        patch_size=8,
        num_labels=3,
    )
    return ViTForImageClassification(config)


def test_a_network_is_described_in_its_librarys_terms() -> None:
    found = of_timm("resnet18", channels=[8, 16, 16, 32])
    assert (found.library, found.architecture, found.num_features) == ("timm", "resnet18", 32)
    other = describe_network(vit_of_transformers())
    assert (other.library, other.architecture, other.num_features) == ("transformers", "vit", 32)
    assert found == of_timm("resnet18", channels=[8, 16, 16, 32])  # whatever the weights


def test_the_same_network_in_two_libraries_has_the_same_trunk() -> None:
    ours, others = of_timm("vit_tiny_patch16_224", **VIT), describe_network(vit_of_transformers())
    assert ours.trunk == others.trunk and ours.layers != others.layers
    config = ResNetConfig(
        embedding_size=64, hidden_sizes=[64, 128, 256, 512], depths=[2, 2, 2, 2], layer_type="basic", num_labels=3
    )
    with torch.device("meta"):
        resnet = describe_network(ResNetForImageClassification(config))
    assert resnet.trunk == of_timm("resnet18").trunk


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("vit_tiny_patch16_224", VIT), ("vit_tiny_patch16_224", VIT | {"num_heads": 4})),  # of equal shapes
        (("vit_tiny_patch16_224", VIT), ("vit_tiny_patch16_224", VIT | {"depth": 3})),
        (("resnet18", {}), ("resnet18", {"channels": [8, 16, 16, 32]})),
    ],
)
def test_other_heads_depths_and_widths_are_other_architectures(first: Any, second: Any) -> None:
    a, b = (of_timm(name, **model_args) for name, model_args in (first, second))
    assert a.architecture == b.architecture and a.trunk != b.trunk


def test_equal_shapes_with_other_layers_are_told_apart() -> None:
    plain, blurred = (of_timm(name) for name in ("resnet50", "resnetblur50"))
    assert plain.trunk == blurred.trunk and plain.layers != blurred.layers
    assert timm.create_model("resnet18").num_features == of_timm("resnet18").num_features
