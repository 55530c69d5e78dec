"""The files of a checkpoint's folder that decide numbers: which they are, what identifies them, what they hold."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from hf_sslgen.checksums import file_sha256
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.checkpoint_preprocessing import PROCESSOR_FILES
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

CONFIG_FILES = ("config.json", *PROCESSOR_FILES)

INDEX_FILE = f"{WEIGHTS_FILE}.index.json"
"""Says which of several weights files holds which tensor."""

SHARD_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*\.safetensors", re.ASCII)

IDENTITY_DIGITS = 16


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as its file announces it: safetensors' name of its type, such as `F32`, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def shard_names(folder: Path) -> list[str]:
    """The weights files that a folder's index names, which may be neither elsewhere nor anything but safetensors.

    Raises:
        InputError: it names something else, or can't be read.
    """
    try:
        content = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        names = sorted(set(content["weight_map"].values()))
        unusable = [name for name in names if not SHARD_NAME.fullmatch(name)]
        complete = bool(names) and isinstance(content["metadata"], dict)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"its {INDEX_FILE} can't be read; ask its owner to write it again") from error
    if unusable:
        raise InputError(f"its {INDEX_FILE} names {unusable[0][:80]!r}, which is not a safetensors file beside it")
    if not complete:
        raise InputError(f"its {INDEX_FILE} names no weights; ask its owner to write it again")
    return names


def weights_files(folder: Path) -> list[Path]:
    """The safetensors files that a folder's network is loaded from; [] where there are none.

    Raises:
        InputError: an index that can't be followed, or names a file that is not there.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if not (folder / INDEX_FILE).is_file():
        return []
    paths = [folder / name for name in shard_names(folder)]
    for path in paths:
        if not path.is_file():
            raise InputError(f"its {INDEX_FILE} names {path.name}, which is not there; fetch all of its files")
    return paths


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Names, types and shapes of the tensors in a folder's weights files; nothing else of them is read.

    Raises:
        InputError: a file that is no safetensors file or is cut off, or a tensor that two of them hold.
    """
    found: dict[str, StoredTensor] = {}
    for path in weights_files(folder):
        for name, tensor in _header(path):
            if name in found:
                raise InputError(f"two of its weights files hold a tensor {name!r}; write them again")
            found[name] = tensor
    return found


def _header(path: Path) -> Iterator[tuple[str, StoredTensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.offset_keys():
                piece = file.get_slice(name)
                yield name, StoredTensor(piece.get_dtype(), tuple(piece.get_shape()))
    except (SafetensorError, OSError, UnicodeError) as error:
        raise InputError(f"its {path.name} is damaged or not a safetensors file ({error}); fetch it again") from error


def content_identity(folder: Path, with_weights: bool = True) -> str:
    """A hash of everything in a checkpoint's folder that decides numbers, names of the files included.

    These are its configuration, that of its image processor and, where they are wanted, its weights with their index.

    Args:
        with_weights: False for an untrained network, of which only the architecture and the pixels are taken.

    Raises:
        InputError: the weights' index can't be followed.
    """
    paths = [folder / name for name in CONFIG_FILES if (folder / name).is_file()]
    if with_weights:
        weights = weights_files(folder)
        paths += weights
        if weights and weights[0].name != WEIGHTS_FILE:
            paths.append(folder / INDEX_FILE)
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.name} {file_sha256(path)}\n".encode())
    return digest.hexdigest()[:IDENTITY_DIGITS]
