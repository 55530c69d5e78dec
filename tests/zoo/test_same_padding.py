"""TensorFlow's padding, wherever a network that was trained with it is loaded, measured, saved and published."""

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from same_padding_reference import convolution, features, max_pool, pads
from timm.layers import Conv2dSame
from torch import nn
from transformers import AutoModelForImageClassification

from hf_sslgen.analysis.folding import fold_batch_norm
from hf_sslgen.errors import InputError
from hf_sslgen.reporting.cards import render_card
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.conversion.convert_file import convert_checkpoint
from hf_sslgen.zoo.conversion.stand_ins import write_stand_in
from hf_sslgen.zoo.reinitialised import reinitialised
from hf_sslgen.zoo.same_padding import use_same_padding
from hf_sslgen.zoo.weight_files import content_identity
from hf_sslgen.zoo.wrapped_network import as_backbone

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def byol(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder converted from a small file in BYOL's layout."""
    folder = tmp_path_factory.mktemp("byol")
    write_stand_in("byol", folder / "pretrain.pkl", seed=3)
    convert_checkpoint(folder / "pretrain.pkl", folder / "converted")
    return folder / "converted"


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def pooled(model: Any, images: torch.Tensor) -> torch.Tensor:
    """Features before the classifier."""
    network = model.timm_model
    with torch.no_grad():
        found: torch.Tensor = network.forward_head(network.forward_features(images), pre_logits=True)
    return found


def reference(model: Any, images: torch.Tensor) -> np.ndarray[Any, Any]:
    tensors = {name: each.double().numpy() for name, each in model.timm_model.state_dict().items()}
    return features(tensors, images.double().numpy())


def test_the_reference_pads_as_the_publishers_of_byol_do() -> None:
    assert pads(224, 7, 2) == (2, 3)
    assert pads(112, 3, 2) == pads(56, 3, 2) == (0, 1)
    assert pads(56, 3, 1) == pads(7, 3, 2) == (1, 1)
    assert pads(225, 7, 2) == (3, 3)
    assert pads(56, 1, 2) == (0, 0)


@pytest.mark.parametrize("side", [7, 8, 13, 32])
def test_each_layer_equals_an_explicitly_padded_one(side: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(2, 4, side, side, dtype=torch.float64)
    layers = nn.Sequential(
        nn.Conv2d(4, 6, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1), nn.Conv2d(6, 6, 3, 1, 1)
    ).double()
    names, kept = list(layers.state_dict()), copy.deepcopy(layers[2])
    weight = layers[0].weight
    use_same_padding(layers)
    assert list(layers.state_dict()) == names
    assert layers[0].weight is weight
    assert type(layers[2]) is nn.Conv2d
    expected = max_pool(convolution(images.numpy(), layers[0].weight.detach().numpy(), 2), 3, 2)
    with torch.no_grad():
        assert np.allclose(layers(images), kept(torch.from_numpy(expected)), atol=1e-12)


@pytest.mark.parametrize("side", [64, 63])
def test_features_of_a_converted_network_equal_the_reference_and_not_torch_s(byol: Path, side: int) -> None:
    backbone = load_backbone(str(byol), CLASSES)
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    found, expected = pooled(backbone.model, images), reference(backbone.model, images)
    scale = np.abs(expected).max()
    assert np.abs(found.numpy() - expected).max() < 1e-4 * scale
    plain = AutoModelForImageClassification.from_pretrained(byol, num_labels=2)
    assert np.abs(pooled(plain.eval(), images).numpy() - expected).max() > 0.01 * scale


def test_the_padding_is_part_of_the_identity_and_survives_saving(
    byol: Path, images: torch.Tensor, tmp_path: Path
) -> None:
    backbone = load_backbone(str(byol), CLASSES)
    expected = pooled(backbone.model, images)
    backbone.model.save_pretrained(tmp_path / "saved")
    again = load_backbone(str(tmp_path / "saved"), CLASSES)
    assert torch.equal(pooled(again.model, images), expected)
    assert again.has_trained_head
    other = Path(shutil.copytree(byol, tmp_path / "other"))
    config = json.loads((other / "config.json").read_text())
    del config["padding"]
    (other / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    assert content_identity(other) != content_identity(byol)
    assert not torch.equal(pooled(load_backbone(str(other), CLASSES).model, images), expected)
    config["padding"] = "valid"
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"padding in its config.json is 'valid'"):
        load_backbone(str(other), CLASSES)


def test_copies_controls_and_folded_networks_pad_alike(byol: Path, images: torch.Tensor) -> None:
    backbone = load_backbone(str(byol), CLASSES)
    expected = pooled(backbone.model, images)
    assert torch.equal(pooled(as_backbone(backbone.model, backbone.preprocessing).model, images), expected)
    folded = fold_batch_norm(backbone.model, 64)
    assert folded is not backbone.model
    assert isinstance(folded.timm_model.conv1, Conv2dSame)
    assert torch.allclose(pooled(folded, images), expected, atol=1e-4 * float(expected.abs().max()))
    for control in (load_backbone(f"untrained:{byol}", CLASSES), reinitialised(backbone, 0)):
        found, wanted = pooled(control.model, images), reference(control.model, images)
        assert np.abs(found.numpy() - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_the_lines_on_the_card_give_a_network_of_timm_its_padding(byol: Path, images: torch.Tensor) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", render_card("same_padding.md", {}), re.DOTALL)
    expected = pooled(load_backbone(str(byol), CLASSES).model, images)
    network = timm.create_model(f"local-dir:{byol}", pretrained=True, num_classes=0).eval()
    with torch.no_grad():
        assert not torch.allclose(network(images), expected, rtol=0.01)
        exec(code, {"network": network})
        assert torch.equal(network(images), expected)


def test_layers_without_an_equal_are_refused() -> None:
    for layer in (nn.AvgPool2d(3, 2, 1), nn.Conv2d(1, 1, 3, 2, 1, padding_mode="reflect")):
        with pytest.raises(InputError, match="no equal with SAME padding"):
            use_same_padding(nn.Sequential(layer))
