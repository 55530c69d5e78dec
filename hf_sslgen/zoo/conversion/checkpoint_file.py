"""Read a published checkpoint file without executing anything that it contains."""

import hashlib
import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.serialization import safe_globals

from hf_sslgen.errors import InputError
from hf_sslgen.memory import is_out_of_memory
from hf_sslgen.shortages import raise_shortage
from hf_sslgen.zoo.conversion.content_bounds import require_bounded
from hf_sslgen.zoo.conversion.file_formats import FileFormat, recognise
from hf_sslgen.zoo.conversion.numpy_pickle import numpy_maker
from hf_sslgen.zoo.conversion.pickle_machine import interpret
from hf_sslgen.zoo.conversion.pickle_values import RefusedPickleError
from hf_sslgen.zoo.conversion.torch_pickle import SHARED_TIMES, TorchNames, torch_stand_ins
from hf_sslgen.zoo.conversion.zip_members import require_plain_members

DAMAGES = (
    pickle.UnpicklingError,
    SafetensorError,
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)
"""Exceptions that a damaged file, whose instructions are arbitrary, may cause on reading."""


@dataclass(frozen=True, eq=False)
class CheckpointFile:
    """A published file and what it holds.

    Attributes:
        content: nested mappings, lists and plain values; its tensors are CPU tensors of torch or arrays of NumPy, some
            of which may still be read from the file.
        size: bytes of the file.
        sha256: of the file's bytes, in hexadecimal digits; `md5` likewise.
    """

    path: Path
    content: Any
    format: FileFormat
    size: int
    sha256: str
    md5: str


def read_checkpoint_file(path: Path) -> CheckpointFile:
    """Read a file of weights; its format is recognised by its content, never by its name.

    Memory stays within a small multiple of the file's size, whatever the file declares.

    Raises:
        InputError: it is not such a file, is damaged, would execute code, or declares more than it holds.
    """
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'missing'}; give a file of weights")
    try:
        found = recognise(path)
        size, sha256, md5 = path.stat().st_size, *_digests(path)
        with _naming(path):
            content = READERS[found](path)
    except OSError as error:
        raise_shortage(error)
        raise InputError(f"{path} can't be read ({error.strerror or error})") from error
    return CheckpointFile(path, content, found, size, sha256, md5)


def _digests(path: Path) -> tuple[str, str]:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what goes wrong while a file is read into one sentence that names the file."""
    try:
        yield
    except InputError:
        raise
    except RefusedPickleError as error:
        raise InputError(
            f"{path} is not opened, because pickles can execute code and it contains more than tensors and plain "
            f"values: {error}; ask its publisher for safetensors, or for a file of the state_dict alone"
        ) from error
    except DAMAGES as error:
        if isinstance(error, OSError) or is_out_of_memory(error):
            raise_shortage(error)
        said = str(error).strip().partition("\n")[0][:200] or type(error).__name__
        raise InputError(f"{path} is truncated or damaged ({said}); download it again") from error


def _read_torch(path: Path) -> Any:
    """Read torch's zip file; its tensors are mapped from the file where that works."""
    with zipfile.ZipFile(path) as archive:
        sizes = require_plain_members(archive, path.stat().st_size)
        (pickled,) = [name for name in sizes if name.count("/") == 1 and name.endswith("/data.pkl")]
        with archive.open(pickled) as stream:
            names = TorchNames()
            content = interpret(stream, sizes[pickled], names.maker, names.stored)
    root = pickled.removesuffix("data.pkl")
    for storage in names.storages.values():
        stored = sizes.get(f"{root}data/{storage.key}")
        if stored != storage.nbytes:
            raise ValueError(f"its storage {storage.key!r} declares {storage.nbytes} bytes and has {stored}")
    _require_affordable(content, names, path)
    return _load(path, names, mapped=True)


def _read_old_torch(path: Path) -> Any:
    """Read the format before torch 1.6: four pickles, the list of storages, and these one after another."""
    size = path.stat().st_size
    names = TorchNames()
    with path.open("rb") as stream:
        parts = [interpret(stream, size, names.maker, names.stored) for _ in range(5)]
        if not isinstance(parts[4], list) or set(parts[4]) != names.storages.keys():
            raise ValueError("its list of storages is not that of its tensors")
        needed = sum(8 + storage.nbytes for storage in names.storages.values())
        left = size - stream.tell()
    if needed > left:
        raise ValueError(f"its storages declare {needed} bytes and have {left}")
    _require_affordable(parts[3], names, path)
    return _load(path, names, mapped=False)


def _require_affordable(content: Any, names: TorchNames, path: Path) -> None:
    require_bounded(content)
    if names.tensor_bytes > SHARED_TIMES * path.stat().st_size:
        raise RefusedPickleError(f"tensors of {names.tensor_bytes} bytes that share those in the file")


def _load(path: Path, names: TorchNames, mapped: bool) -> Any:
    """Read with torch itself, which takes a file named `.safetensors` for what its name says."""
    with safe_globals(torch_stand_ins(names.ignored)):
        if mapped and path.suffix != ".safetensors":
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        with path.open("rb") as stream:
            return torch.load(stream, map_location="cpu", weights_only=True)


def _read_safetensors(path: Path) -> Any:
    return load_file(path)


def _read_pickle(path: Path) -> Any:
    size = path.stat().st_size
    with path.open("rb") as stream:
        content = interpret(stream, size, numpy_maker)
        rest = size - stream.tell()
    if rest:
        raise ValueError(f"{rest} bytes follow its end")
    require_bounded(content)
    return content


READERS: dict[FileFormat, Callable[[Path], Any]] = {
    "torch": _read_torch,
    "old torch": _read_old_torch,
    "safetensors": _read_safetensors,
    "pickle": _read_pickle,
}
