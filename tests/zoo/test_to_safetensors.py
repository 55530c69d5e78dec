"""Pickled weights become safetensors, and nothing but tensors is opened."""

import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.to_safetensors import conversion_advice, convert_folder


def test_several_files_become_one_with_the_same_tensors(tmp_path):
    shared = torch.randn(4, 4)
    first = {"a": shared, "b": shared, "c": shared.T}
    torch.save(first, tmp_path / "pytorch_model-00001-of-00002.bin")
    torch.save({"d": torch.arange(3)}, tmp_path / "pytorch_model-00002-of-00002.bin")
    found = load_file(convert_folder(tmp_path))
    assert found.keys() == {"a", "b", "c", "d"}
    assert all(torch.equal(found[name], tensor) for name, tensor in first.items())
    assert torch.equal(found["d"], torch.arange(3))
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".bin", ".bin", ".safetensors"]


class _Runs:
    """Touches a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_what_is_more_than_tensors_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "was-run"
    torch.save({"a": _Runs(marker)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="contains more than tensors"):
        convert_folder(tmp_path)
    assert not marker.exists() and not (tmp_path / "model.safetensors").exists()
    nested, numbered = {"model": {"a": torch.ones(1)}}, {0: torch.ones(1)}
    for state in (nested, numbered, {"a": torch.eye(2).to_sparse()}, {"a": torch.empty(1, device="meta")}):
        torch.save(state, tmp_path / "pytorch_model.bin")
        with pytest.raises(InputError, match=r"to plain tensors|more than tensors"):
            convert_folder(tmp_path)


def test_advice_depends_on_what_there_is():
    assert "transformers' or timm's own layout" in conversion_advice(["config.json", "weights.pth"])
    assert "`hf-sslgen convert FOLDER`" in conversion_advice(["pytorch_model.bin"])
    pinned = conversion_advice(["pytorch_model.bin"], "owner/name", "v1")
    assert "`hf download owner/name --revision v1 --local-dir name`" in pinned


def test_a_part_that_differs_from_its_checksum_is_named_and_nothing_is_written(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save({"a": torch.arange(64.0)}, path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        data = next(each for each in archive.infolist() if each.filename.endswith("data/0"))
    start = whole.index(torch.arange(64.0).numpy().tobytes(), data.header_offset)
    damaged = bytearray(whole)
    damaged[start + 5] ^= 1
    path.write_bytes(damaged)
    assert not torch.equal(torch.load(path)["a"], torch.arange(64.0))  # torch itself sees nothing
    with pytest.raises(InputError, match=r"its part '.*data/0' does not match its checksum"):
        convert_folder(tmp_path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        convert_folder(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_tensors_below_a_key_and_tensors_held_twice_are_named(tmp_path):
    torch.save({"epoch": 3, "state_dict": {"a": torch.ones(1)}}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="are under the key 'state_dict'"):
        convert_folder(tmp_path)
    torch.save({"a": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model-2.bin")
    with pytest.raises(InputError, match="holds 'a', as does another"):
        convert_folder(tmp_path)
