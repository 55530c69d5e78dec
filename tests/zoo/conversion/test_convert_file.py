"""A published file becomes a folder: the same bytes every time, its input stated, its card complete, or nothing."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile import split_card
from PIL import Image
from safetensors.torch import load_file

from hf_sslgen.errors import InputError
from hf_sslgen.hub.conversion_card import write_conversion_card
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import Backbone, all_backbones, find_backbone
from hf_sslgen.zoo.conversion.checkpoint_file import read_checkpoint_file
from hf_sslgen.zoo.conversion.convert_file import convert_checkpoint, num_trunk_parameters
from hf_sslgen.zoo.conversion.layouts import find_network
from hf_sslgen.zoo.conversion.stand_ins import write_stand_in

CLASSES = ("cat", "dog")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "moco_v2.pth.tar"
    write_stand_in("moco", path, seed=5)
    return path


def row_of(layout: str) -> Backbone:
    return next(row for row in all_backbones() if row.needs_conversion and row.layout == layout)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_file_gives_the_same_bytes_whatever_its_name(published: Path, tmp_path: Path) -> None:
    first = convert_checkpoint(published, tmp_path / "first", write_card=write_conversion_card)
    other = Path(shutil.copy(published, tmp_path / "another.bin"))
    second = convert_checkpoint(other, tmp_path / "deep" / "second", write_card=write_conversion_card)
    assert content(first.folder) == content(second.folder)
    assert content(first.folder).keys() == {"config.json", "model.safetensors", "README.md"}
    text = b"".join(content(first.folder).values())
    assert str(tmp_path).encode() not in text
    assert published.name.encode() not in text
    state = torch.load(published, weights_only=True)["state_dict"]
    found = load_file(first.folder / "model.safetensors")
    trunk = {
        name: found[name.removeprefix("module.encoder_q.")] for name in state if "_q.conv" in name or "_q.l" in name
    }
    assert len(trunk) > 200
    assert all(torch.equal(tensor, state[name]) for name, tensor in trunk.items())


def test_the_card_states_what_a_reader_needs(published: Path, tmp_path: Path) -> None:
    row = row_of("moco")
    converted = convert_checkpoint(published, tmp_path / "moco", row=row, write_card=write_conversion_card)
    metadata, text = split_card((tmp_path / "moco" / "README.md").read_text())
    assert metadata["library_name"] == "timm"
    plain = text.replace("\\", "")
    expected = [row.id, row.objective, str(row.url), converted.file.sha256, "momentum encoder", "queue of negatives"]
    expected += [f"hf-sslgen convert {row.id}", "values in [0, 1], minus ImageNet's mean", "torch's", "265"]
    expected += [str(each.top1) for each in row.published]
    assert [words for words in expected if words not in plain] == []
    assert "is assumed" not in plain
    licence = row.licence or "not stated"
    assert f"Licence of the weights: {licence}" in plain
    config = json.loads((tmp_path / "moco" / "config.json").read_text())
    assert config["conversion"]["source"] == row.url
    assert config["conversion"]["sha256"] == converted.file.sha256


@pytest.mark.parametrize(
    ("layout", "mean", "std"),
    [
        ("simclr_v1", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        ("swav", (0.485, 0.456, 0.406), (0.228, 0.224, 0.225)),
        ("byol", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ],
)
def test_pixels_reach_the_network_as_its_method_made_them(
    layout: str, mean: tuple[float, ...], std: tuple[float, ...], tmp_path: Path
) -> None:
    write_stand_in(layout, tmp_path / "file", seed=1)
    converted = convert_checkpoint(tmp_path / "file", tmp_path / "folder", row=row_of(layout))
    backbone = load_backbone(str(tmp_path / "folder"), CLASSES)
    assert converted.padding == ("same" if layout == "byol" else "torch")
    levels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    seen: list[torch.Tensor] = []
    backbone.model.timm_model.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.no_grad():
        pixels = evaluation_pixels(picture, backbone.preprocessing.geometry)
        backbone.model(pixel_values=normalise(pixels[None], backbone.preprocessing))
    side = backbone.preprocessing.geometry.image_size
    resized = picture.resize((int(side / 0.875 * 400 / 300), int(side / 0.875)), Image.Resampling.BILINEAR)
    left, top = round((resized.width - side) / 2), round((resized.height - side) / 2)
    cropped = np.asarray(resized.crop((left, top, left + side, top + side)), np.float64) / 255
    expected = (cropped - np.array(mean)) / np.array(std)
    assert np.abs(seen[0][0].permute(1, 2, 0).numpy() - expected).max() < 1e-5
    if layout == "simclr_v1":
        assert 0 <= float(seen[0].min()) < 0.1
        assert 0.9 < float(seen[0].max()) <= 1


def test_what_nothing_states_is_assumed_with_a_warning_and_options_override(
    published: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assumed = convert_checkpoint(published, tmp_path / "assumed", write_card=write_conversion_card)
    assert assumed.assumed_normalization
    assert "ImageNet's mean and standard deviation are assumed" in caplog.text
    assert "The input normalisation is not documented" in (tmp_path / "assumed" / "README.md").read_text()
    caplog.clear()
    stated = convert_checkpoint(published, tmp_path / "stated", normalization="half", padding="same")
    assert caplog.text == ""
    assert (stated.normalization, stated.padding, stated.assumed_normalization) == ("half", "same", False)
    assert json.loads((tmp_path / "stated" / "config.json").read_text())["padding"] == "same"


def _broken(state: dict[str, Any], how: str) -> None:
    key = "module.encoder_q.layer2.0.conv2.weight"
    if how == "missing":
        del state[key]
    elif how == "shape":
        state[key] = state[key][:, :-1]
    else:
        state[key][0, 0, 0, 0] = float("nan")


@pytest.mark.parametrize("how", ["missing", "shape", "nan"])
def test_a_broken_file_is_refused_by_name_and_nothing_is_written(how: str, published: Path, tmp_path: Path) -> None:
    whole = torch.load(published, weights_only=True)
    _broken(whole["state_dict"], how)
    path = tmp_path / "broken.pth"
    torch.save(whole, path)
    folder = tmp_path / "folder"
    with pytest.raises(InputError, match=r"broken\.pth: .*layer2\.0\.conv2\.weight"):
        convert_checkpoint(path, folder)
    assert not folder.exists()
    convert_checkpoint(published, folder)
    before = content(folder)
    with pytest.raises(InputError):
        convert_checkpoint(path, folder)
    assert content(folder) == before


def test_a_failing_card_leaves_the_folder_as_it_was(published: Path, tmp_path: Path) -> None:
    def fails(*_: object) -> None:
        raise InputError("no card")

    with pytest.raises(InputError, match="no card"):
        convert_checkpoint(published, tmp_path / "folder", write_card=fails)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_contradicts_the_registry_is_refused(published: Path, tmp_path: Path) -> None:
    write_stand_in("byol", tmp_path / "byol.pkl", seed=1)
    row = row_of("byol")
    with pytest.raises(InputError, match="registry states padding 'torch', but its layout 'byol' implies 'same'"):
        convert_checkpoint(tmp_path / "byol.pkl", tmp_path / "folder", row=replace(row, padding="torch"))
    with pytest.raises(InputError, match="holds a resnet50, and the registry states resnet101"):
        convert_checkpoint(published, tmp_path / "folder", row=replace(row_of("moco"), architecture="resnet101"))
    torch.save([torch.ones(2)], tmp_path / "list.pth")
    with pytest.raises(InputError, match="holds a value of type list instead of tensors by name"):
        convert_checkpoint(tmp_path / "list.pth", tmp_path / "folder")


def test_a_network_of_another_size_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    row = find_backbone("moco-v2-800ep-resnet50")
    assert row is not None
    write_stand_in("moco", tmp_path / "file")
    convert_checkpoint(tmp_path / "file", tmp_path / "folder", row=row)
    assert "moco-v2-800ep-resnet50 has 23,508,032: it is not the published file" in caplog.text
    caplog.clear()
    found = num_trunk_parameters(find_network(read_checkpoint_file(tmp_path / "file").content))
    convert_checkpoint(tmp_path / "file", tmp_path / "folder", row=replace(row, parameters=found))
    assert "parameters" not in caplog.text
