"""Published files are read bit for bit in every format, and any other file is refused in one sentence."""

import argparse
import collections
import gzip
import io
import itertools
import pickle
import random
import resource
import struct
import sys
import tarfile
import types
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_pickles import executing, greedy_files, in_old_torch, in_zip
from safetensors.torch import save_file

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion import pickle_machine
from hf_sslgen.zoo.conversion.checkpoint_file import read_checkpoint_file

LITTLE_MEMORY = 1_500_000_000
TENSORS = {
    "conv.weight": torch.arange(120.0).reshape(5, 2, 3, 4),
    "norm.weight": torch.arange(4.0, dtype=torch.float64),
    "half": torch.arange(6).half(),
    "brain": torch.arange(6).bfloat16(),
    "count": torch.tensor(7),
    "flags": torch.tensor([True, False]),
    "empty": torch.zeros(0, 3),
    "turned": torch.arange(12.0).reshape(3, 4).t(),
}


@contextmanager
def little_memory() -> Iterator[None]:
    """Refuse this process further memory beyond the limit, so that a declared giant fails where it is allocated."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + LITTLE_MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def refusal(path: Path) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(InputError) as refused:
        read_checkpoint_file(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 600
    return str(refused.value)


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and torch.equal(found, expected)
    if isinstance(expected, np.ndarray):
        return found.dtype == expected.dtype and np.array_equal(found, expected)
    if isinstance(expected, dict):
        return list(found) == list(expected) and all(same(found[key], expected[key]) for key in expected)
    return bool(found == expected)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_training_checkpoint_of_torch_is_read_to_the_bit_whatever_its_name(zipped: bool, tmp_path: Path) -> None:
    counts = collections.defaultdict(list, {"a": [1]})
    state = collections.OrderedDict(TENSORS)
    state._metadata = {"": {"version": 1}}  # type: ignore[attr-defined]
    plain = {"state_dict": state, "epoch": 3, "lr": 0.5, "names": ["x", ("y", None)], "sizes": torch.Size([1, 2])}
    dropped = {"args": argparse.Namespace(data=Path("/a")), "best": np.float64(3.5), "history": np.arange(3)}
    whole = {**plain, **dropped, "counts": counts, "steps": collections.Counter([30, 60]), "used": {1, 2}}
    path = tmp_path / "checkpoint.safetensors"  # a name that lies
    torch.save(whole, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint_file(path)
    assert found.format == ("torch" if zipped else "old torch")
    assert found.size == path.stat().st_size
    assert found.content.keys() == whole.keys()
    assert all(same(found.content[name], value) for name, value in plain.items())
    assert found.content["counts"] == {"a": [1]}


def test_safetensors_are_read_to_the_bit_whatever_their_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth.tar"
    save_file({name: each.contiguous() for name, each in TENSORS.items()}, path)
    found = read_checkpoint_file(path)
    assert found.format == "safetensors"
    assert same({name: found.content[name] for name in TENSORS}, TENSORS)


@pytest.fixture
def haiku() -> Iterator[Any]:
    """Modules under the names of Haiku's and BYOL's, so that pickles name them."""
    structures, experiment = types.ModuleType("haiku._src.data_structures"), types.ModuleType("byol.byol_experiment")

    class FlatMapping(dict):  # type: ignore[type-arg]
        def __reduce__(self) -> tuple[type, tuple[dict[str, Any]]]:
            return type(self), (dict(self),)

    fields = ("online_params", "target_params", "online_state", "target_state", "opt_state")
    state = collections.namedtuple("_ByolExperimentState", fields)  # type: ignore[misc]
    for kind, module in ((FlatMapping, structures), (state, experiment)):
        kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
        setattr(module, kind.__name__, kind)
    names = {each: types.ModuleType(each) for each in ("haiku", "haiku._src", "byol")}
    names |= {each.__name__: each for each in (structures, experiment)}
    sys.modules.update(names)
    yield FlatMapping, state
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_haiku_pickle_becomes_plain_mappings_of_arrays(haiku: Any, protocol: int, tmp_path: Path) -> None:
    mapping, state = haiku
    layer = {"w": np.arange(24.0, dtype="<f4").reshape(2, 3, 4), "b": np.asfortranarray(np.ones((3, 2), ">f8"))}
    shared = np.arange(5, dtype=np.int32)
    params = {"net/~/conv": layer, "net/~/norm": {"scale": shared, "again": shared, "flags": np.array([True, False])}}
    nested = mapping({name: mapping(each) for name, each in params.items()})
    content = {"experiment_state": state(nested, nested, nested, (), [np.float32(0.5)]), "step": 3, "rng": shared}
    path = tmp_path / "pretrain.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    found = read_checkpoint_file(path)
    assert found.format == "pickle"
    assert type(found.content["experiment_state"]) is dict
    for part in ("online_params", "target_params", "online_state"):
        assert same(found.content["experiment_state"][part], params)
    assert same(found.content["rng"], shared)
    assert found.content["experiment_state"]["opt_state"] == [0.5]


@pytest.mark.parametrize("wrapped", [bytes, in_zip, in_old_torch], ids=["pickle", "zip", "old torch"])
def test_what_would_execute_code_is_refused_and_does_not(wrapped: Any, tmp_path: Path) -> None:
    marker, path = tmp_path / "was-run", tmp_path / "weights.pth"
    for name, pickled in executing(marker).items():
        path.write_bytes(wrapped(pickled))
        assert "not opened" in refusal(path), name
    assert not marker.exists()
    ran = 0
    for pickled in executing(marker).values():  # else the test would show nothing
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(action="ignore"):
            patch.setattr("os.system", lambda _: marker.touch())
            patch.setattr("posix.system", lambda _: marker.touch())
            with suppress(Exception):
                pickle.loads(pickled)
        ran += marker.exists()
        marker.unlink(missing_ok=True)
    assert ran >= 8


def test_files_that_declare_gigabytes_are_refused_in_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pickle_machine, "MOST_INSTRUCTIONS", 200_000)  # to be quick
    path = tmp_path / "weights.pth"
    for name, content in greedy_files().items():
        path.write_bytes(content)
        with little_memory():
            said = refusal(path)
        assert "memory" not in said.lower(), (name, said)


def _packed(content: bytes, name: str) -> dict[str, tuple[bytes, str]]:
    tar, zipped = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(f"folder/{name}", content)
    arrays = io.BytesIO()
    np.savez(arrays, a=np.ones(3))
    return {
        "empty": (b"", "is empty; download it again"),
        "cut off early": (content[:3], "known here, or damaged"),
        "cut off": (content[: len(content) // 2], "truncated or damaged"),
        "cut off late": (content[:-1], "truncated or damaged"),
        "a page": (b"\n<!DOCTYPE html><title>Not found</title>", "is a web page"),
        "an answer of a bucket": (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is a web page"),
        "an answer in JSON": (b'{"error": "Entry not found"}', "it says 'Entry not found'"),
        "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git lfs pull"),
        "zip": (zipped.getvalue(), "unpack it (`unzip weights.pth`)"),
        "tar": (tar.getvalue(), "unpack it (`tar xf weights.pth`)"),
        "gzip": (gzip.compress(content), "unpack it (`gunzip weights.pth`)"),
        "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
        "npz": (arrays.getvalue(), ".npz"),
        "text": (b"conv.weight 0.1 0.2", "in no format that is known here"),
        "zeros": (bytes(5000), "in no format that is known here"),
    }


def test_wrong_and_wrapped_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(TENSORS, buffer)
    path = tmp_path / "weights.pth"
    for name, (content, expected) in _packed(buffer.getvalue(), "weights.pth").items():
        path.write_bytes(content)
        assert expected in refusal(path), name
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)  # type: ignore[no-untyped-call]
    assert "TorchScript" in refusal(path)
    torch.save(torch.nn.Linear(2, 2), path)
    assert "torch.nn.modules.linear.Linear" in refusal(path)
    packed = path.with_name("weights.tar.gz")
    packed.write_bytes(gzip.compress(bytes(100)))
    assert "tar xf weights.tar.gz" in refusal(packed)
    assert "a folder" in refusal(tmp_path)
    assert "missing" in refusal(tmp_path / "nothing.pth")


def _small_files() -> dict[str, bytes]:
    files = {}
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.arange(3)}
    for zipped, name in ((True, "zip"), (False, "old torch")):
        buffer = io.BytesIO()
        torch.save({"state_dict": tensors, "epoch": 3}, buffer, _use_new_zipfile_serialization=zipped)
        files[name] = buffer.getvalue()
    header = b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    files["safetensors"] = struct.pack("<Q", len(header)) + header + bytes(8)
    files["pickle"] = pickle.dumps({"a": {"w": np.arange(6.0)}, "b": np.arange(3)}, 2)
    return files


@pytest.mark.parametrize("kind", ["zip", "old torch", "safetensors", "pickle"])
def test_damaged_bytes_never_end_in_a_traceback(kind: str, tmp_path: Path) -> None:
    path, whole, chance = tmp_path / "weights", _small_files()[kind], random.Random(kind)
    refused = 0
    path.write_bytes(whole)
    expected = read_checkpoint_file(path).content
    for case in range(250):
        content = bytearray(whole)
        for _ in range(1 + case % 3):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content[: chance.randrange(len(content))] if case % 10 == 9 else content)
        with little_memory():
            try:
                found = read_checkpoint_file(path).content
            except InputError as error:
                assert "\n" not in str(error)
                refused += 1
                continue
        if kind == "zip":  # the only format with checksums
            assert same(found, expected), case
    assert refused > 20
    assert not list(itertools.chain(tmp_path.glob("was-run*")))


def test_settings_of_training_frameworks_are_dropped_without_importing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class DictConfig:
        def __init__(self) -> None:
            self.content = {"lr": 0.1}

    names = [f"omegaconf{rest}" for rest in ("", ".dictconfig")]
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    DictConfig.__module__, DictConfig.__qualname__ = names[1], "DictConfig"
    vars(sys.modules[names[1]])["DictConfig"] = DictConfig
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": TENSORS, "hyper_parameters": DictConfig(), "callbacks": {DictConfig: {"best": 1}}}, path)
    for name in names:
        monkeypatch.delitem(sys.modules, name)
    found = read_checkpoint_file(path).content
    assert same(found["state_dict"], TENSORS)
    assert not vars(found["hyper_parameters"])
    assert "omegaconf" not in sys.modules
