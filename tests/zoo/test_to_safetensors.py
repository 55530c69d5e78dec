"""Pickled weights become safetensors, and nothing but tensors is opened."""

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
    with pytest.raises(InputError, match="holds more than tensors"):
        convert_folder(tmp_path)
    assert not marker.exists() and not (tmp_path / "model.safetensors").exists()
    nested, numbered = {"model": {"a": torch.ones(1)}}, {0: torch.ones(1)}
    for state in (nested, numbered, {"a": torch.eye(2).to_sparse()}, {"a": torch.empty(1, device="meta")}):
        torch.save(state, tmp_path / "pytorch_model.bin")
        with pytest.raises(InputError, match="no mapping of names to plain tensors"):
            convert_folder(tmp_path)


def test_advice_depends_on_what_there_is():
    assert "transformers' or timm's own layout" in conversion_advice(["config.json", "weights.pth"])
    assert "`hf-sslgen convert FOLDER`" in conversion_advice(["pytorch_model.bin"])
    pinned = conversion_advice(["pytorch_model.bin"], "owner/name", "v1")
    assert "`hf download owner/name --revision v1 --local-dir name`" in pinned
