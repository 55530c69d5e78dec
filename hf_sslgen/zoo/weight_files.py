"""List, hash and inspect the files of a checkpoint folder that affect results."""

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
"""Maps each tensor to one of several weights files."""

SHARD_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*\.safetensors", re.ASCII)

IDENTITY_DIGITS = 16


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as described in its file's header: safetensors' name for its type, such as `F32`, and its shape."""

    dtype: str
    shape: tuple[int, ...]


def shard_names(folder: Path) -> list[str]:
    """List the weights files in a folder's index, which must be safetensors files in the same folder.

    Raises:
        InputError: the index names anything else, or can't be read.
    """
    try:
        content = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        names = sorted(set(content["weight_map"].values()))
        unusable = [name for name in names if not SHARD_NAME.fullmatch(name)]
        complete = bool(names) and isinstance(content["metadata"], dict)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"its {INDEX_FILE} can't be read; ask its owner to write it anew") from error
    if unusable:
        raise InputError(
            f"its {INDEX_FILE} names {unusable[0][:80]!r}, which is not a safetensors file in the same folder"
        )
    if not complete:
        raise InputError(f"its {INDEX_FILE} lists no weights; ask its owner to write it anew")
    return names


def weights_files(folder: Path) -> list[Path]:
    """List the safetensors files that a folder's network is loaded from; empty if there are none.

    Raises:
        InputError: the index is invalid, or names a missing file.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return [folder / WEIGHTS_FILE]
    if not (folder / INDEX_FILE).is_file():
        return []
    paths = [folder / name for name in shard_names(folder)]
    for path in paths:
        if not path.is_file():
            raise InputError(f"its {INDEX_FILE} names {path.name}, which is missing; download all of its files")
    return paths


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Read names, types and shapes of the tensors in a folder's weights files from the headers alone.

    Raises:
        InputError: a file is truncated or not a safetensors file, or two files hold the same tensor.
    """
    found: dict[str, StoredTensor] = {}
    for path in weights_files(folder):
        for name, tensor in _header(path):
            if name in found:
                raise InputError(f"two of its weights files hold a tensor {name!r}; save the checkpoint again")
            found[name] = tensor
    return found


def _header(path: Path) -> Iterator[tuple[str, StoredTensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.offset_keys():
                piece = file.get_slice(name)
                yield name, StoredTensor(piece.get_dtype(), tuple(piece.get_shape()))
    except (SafetensorError, OSError, UnicodeError) as error:
        raise InputError(
            f"its {path.name} is damaged or not a safetensors file ({error}); download it again"
        ) from error


def content_identity(folder: Path, with_weights: bool = True) -> str:
    """Hash all files in a checkpoint folder that affect results, including their names.

    These are its configuration, that of its image processor and, if requested, its weights with their index.

    Args:
        with_weights: False for an untrained network, which uses only the architecture and the preprocessing.

    Raises:
        InputError: the index of the weights is invalid.
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
