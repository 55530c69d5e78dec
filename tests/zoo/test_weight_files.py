"""Which files of a folder are a checkpoint's, what identifies them, and that nothing outside is read."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.weight_files import content_identity, stored_tensors

CLASSES = ("cat", "dog", "owl")


def _sharded(folder: str, target: Path) -> Path:
    """A copy of a checkpoint whose weights lie in two files with an index."""
    shutil.copytree(folder, target)
    tensors = load_file(target / "model.safetensors")
    (target / "model.safetensors").unlink()
    weight_map = {}
    for position, key in enumerate(tensors):
        weight_map[key] = f"model-0000{position % 2 + 1}-of-00002.safetensors"
    for name in set(weight_map.values()):
        save_file({key: tensors[key] for key in tensors if weight_map[key] == name}, target / name, {"format": "pt"})
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (target / "model.safetensors.index.json").write_text(json.dumps(index))
    return target


def _rewritten(path: Path) -> None:
    """Change one byte: of a number in a weights file, of the space between words elsewhere."""
    content = bytearray(path.read_bytes())
    if path.suffix == ".safetensors":
        content[-1] ^= 1
    else:
        content += b" "
    path.write_bytes(content)


@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("name", ["timm_resnet", "transformers_vit"])
def test_every_file_that_decides_numbers_is_in_the_identity(small_backbones, name, sharded, tmp_path):
    folder = tmp_path / "checkpoint"
    if sharded:
        _sharded(small_backbones[name], folder)
    else:
        shutil.copytree(small_backbones[name], folder)
    seen = {load_backbone(str(folder), CLASSES).weights}
    files = sorted(folder.iterdir())
    assert len(files) == 2 + 2 * sharded + (name == "transformers_vit")
    for path in files:
        _rewritten(path)
        seen.add(load_backbone(str(folder), CLASSES).weights)
    assert len(seen) == 1 + len(files)
    (folder / "README.md").write_text("decides nothing")
    assert content_identity(folder) in seen


def test_files_that_change_their_places_are_another_checkpoint(small_backbones, tmp_path):
    folder = _sharded(small_backbones["timm_resnet"], tmp_path / "checkpoint")
    before = content_identity(folder)
    first, second = sorted(folder.glob("*.safetensors"))
    first.rename(folder / "kept")
    second.rename(first)
    (folder / "kept").rename(second)
    assert content_identity(folder) != before


def test_an_untrained_network_is_identified_by_its_configuration(small_backbones, tmp_path):
    folder = Path(shutil.copytree(small_backbones["timm_vit"], tmp_path / "checkpoint"))
    before = load_backbone(f"untrained:{folder}", CLASSES).weights
    _rewritten(folder / "model.safetensors")
    assert load_backbone(f"untrained:{folder}", CLASSES).weights == before
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["depth"] = 1
    (folder / "config.json").write_text(json.dumps(config))
    assert load_backbone(f"untrained:{folder}", CLASSES).weights != before


class _Runs:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("place", ["absolute", "outside", "beside"])
@pytest.mark.parametrize("ending", [".pth", ".bin", ".safetensors"])
def test_an_index_reaches_no_file_but_safetensors_beside_it(small_backbones, place, ending, tmp_path):
    folder = _sharded(small_backbones["timm_resnet"], tmp_path / "checkpoint")
    marker = tmp_path / "was-run"
    target = (folder if place == "beside" else tmp_path) / f"weights{ending}"
    if ending == ".safetensors":
        save_file({"conv1.weight": torch.ones(1)}, target)
    else:
        torch.save({"conv1.weight": _Runs(marker)}, target)
    named = {"absolute": str(target), "outside": f"../{target.name}", "beside": target.name}[place]
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["conv1.weight"] = named
    for name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        (folder / name).write_text(json.dumps(index))
    allowed = (place, ending) == ("beside", ".safetensors")  # but another file holds a tensor of the same name
    reason = "two of its weights files hold" if allowed else "not a safetensors file"
    with pytest.raises(InputError, match=reason):
        load_backbone(str(folder), CLASSES)
    path.unlink()
    with pytest.raises(InputError, match=r"there is no model\.safetensors"):
        load_backbone(str(folder), CLASSES)
    assert not marker.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": 3, "metadata": {}}'])
def test_an_index_that_cannot_be_read_is_refused(small_backbones, content, tmp_path):
    folder = _sharded(small_backbones["timm_resnet"], tmp_path / "checkpoint")
    (folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(InputError, match=r"its model\.safetensors\.index\.json"):
        load_backbone(str(folder), CLASSES)


def test_a_shard_that_is_missing_is_named(small_backbones, tmp_path):
    folder = _sharded(small_backbones["timm_resnet"], tmp_path / "checkpoint")
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match=r"names model-00002-of-00002\.safetensors, which is missing"):
        load_backbone(str(folder), CLASSES)


def test_announced_tensors_are_those_in_the_files(small_backbones, tmp_path):
    folder = _sharded(small_backbones["timm_resnet"], tmp_path / "checkpoint")
    whole = load_file(Path(small_backbones["timm_resnet"]) / "model.safetensors")
    found = stored_tensors(folder)
    assert {key: each.shape for key, each in found.items()} == {key: tuple(each.shape) for key, each in whole.items()}


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_written_weights_have_the_users_umask(umask, small_backbones, tmp_path):
    from hf_sslgen.zoo.timm_folder import write_timm_folder
    from hf_sslgen.zoo.to_safetensors import convert_folder

    before = os.umask(umask)
    try:
        write_timm_folder(tmp_path / "timm", {"a": torch.ones(1)}, "resnet18", 8, {}, {})
        torch.save({"a": torch.ones(1)}, tmp_path / "pytorch_model.bin")
        converted = convert_folder(tmp_path)
    finally:
        os.umask(before)
    for path in (tmp_path / "timm" / "model.safetensors", converted):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask
