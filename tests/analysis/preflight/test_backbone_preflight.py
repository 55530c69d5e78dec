"""A preflight names what would spoil every number of a backbone, and is silent about the untouched twins."""

import copy
from dataclasses import replace

import pytest
import timm
import torch
from torch import nn

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.analysis.preflight.first_layer import find_first_layer
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.wrapped_network import as_backbone
from tests.support.spoilt_backbones import HALF, IMAGENET, spoilt_backbones

TWINS = ("twin-resnet18-barlow-twins", "twin-resnet18-simclr", "twin-resnet18-supervised")


@pytest.fixture(scope="module", params=TWINS)
def twin(request: pytest.FixtureRequest) -> LoadedBackbone:
    return load_backbone(request.param, ("first", "second"), match="none")


def test_untouched_twins_are_not_accused_at_any_size(twin: LoadedBackbone) -> None:
    for side in (64, 112):
        geometry = replace(twin.preprocessing.geometry, image_size=side)
        report = preflight(replace(twin, preprocessing=replace(twin.preprocessing, geometry=geometry)))
        assert report.findings == (), side
        assert "running statistics" in report.inputs


def test_each_fault_is_named_and_nothing_else(twin: LoadedBackbone) -> None:
    """`benchmarks/preflight_power.py` prints this table, for other networks too."""
    sentences = {}
    for spoilt in spoilt_backbones(twin):
        findings = preflight(spoilt.backbone).findings
        kinds = {each.kind.value for each in findings}
        # A mean that is far off is as little compatible with the photographs as a wrong scale.
        assert kinds == {spoilt.kind} or (kinds, spoilt.kind) == ({"input_scale"}, "input_mean"), spoilt.fault
        assert [each.severity for each in findings] == [spoilt.severity], spoilt.fault
        sentences[spoilt.fault] = findings[0].sentence
    assert "fit ImageNet's mean and std better" in sentences["[0, 1]"]
    assert "while RGB gives those of photographs" in sentences["BGR"]
    assert "`padding` 'torch'" in sentences["the other padding"]


@torch.no_grad()
def test_the_mean_of_training_is_recovered_from_running_statistics() -> None:
    """Of a convolution whose running statistics are those of inputs with a known mean."""
    torch.manual_seed(0)
    network = timm.create_model("resnet18", num_classes=2)
    inputs = torch.randn(64, 3, 48, 48) * 0.3 + torch.tensor([1.0, -0.5, 0.25])[:, None, None]
    made = network.conv1(inputs)[..., 3:-3, 3:-3]
    network.bn1.running_mean.copy_(made.mean((0, 2, 3)))
    network.bn1.running_var.copy_(made.var((0, 2, 3)))
    backbone = as_backbone(network, Preprocessing(Geometry(48, None, "bilinear"), *IMAGENET))
    layer = find_first_layer(backbone.model, inputs)
    assert layer is not None
    mean, error = layer.expected_mean()
    torch.testing.assert_close(mean, torch.tensor([1.0, -0.5, 0.25]).double(), atol=0.01, rtol=0)
    assert error < 0.05


@pytest.mark.parametrize("architecture", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "efficientnet_lite0"])
def test_new_networks_are_not_judged_by_what_they_never_saw(architecture: str) -> None:
    torch.manual_seed(0)
    sized = {"img_size": 64} if architecture.startswith("vit") else {}
    network = timm.create_model(architecture, num_classes=2, **sized).eval()
    geometry = Geometry(64, None, "bilinear")
    for values in (IMAGENET, (HALF, HALF), ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))):
        report = preflight(as_backbone(network, Preprocessing(geometry, *values)))
        assert not report.wrong, (architecture, report.line)
        assert "untrained" in report.inputs or "keeps no statistics" in report.inputs


def test_a_network_without_statistics_betrays_bytes() -> None:
    torch.manual_seed(0)
    network = timm.create_model("convnext_atto", num_classes=2).eval()
    byte = 1 / 255
    fed = Preprocessing(Geometry(64, None, "bilinear"), (0.0, 0.0, 0.0), (byte, byte, byte))
    assert [(each.kind, each.severity) for each in preflight(as_backbone(network, fed)).findings] == [
        ("input_scale", "look")
    ]


def test_features_that_are_not_finite_or_lie_on_a_line(twin: LoadedBackbone) -> None:
    model = copy.deepcopy(twin.model)
    last = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    assert last.running_var is not None
    last.running_var[0] = torch.nan
    assert [each.kind for each in preflight(replace(twin, model=model)).wrong] == ["not_finite"]
