"""Recognise what a file is by its first bytes, and say what to do with what holds no weights itself."""

import json
import re
import zipfile
from pathlib import Path
from typing import Literal

from hf_sslgen.errors import InputError

FileFormat = Literal["torch", "old torch", "safetensors", "pickle"]
"""torch's zip file, its format before torch 1.6, safetensors, or a pickle of NumPy arrays, as of Haiku."""

BEGINNING_BYTES = 1024
OLD_TORCH = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of torch's format before 1.6 after its protocol: one large integer."""

COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip"),
    b"BZh": ("bzip2", "bunzip2"),
    b"\xfd7zXZ": ("xz", "unxz"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd"),
    b"7z\xbc\xaf\x27\x1c": ("7z", "7z x"),
    b"Rar!": ("rar", "unrar x"),
}
OTHERS = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras and TensorFlow write it",
    b"\x93NUMPY": "a single NumPy array",
    b"GGUF": "a GGUF file of a language model",
    b"\x08": "a protocol buffer, such as an ONNX model",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
}
POINTER = b"version https://git-lfs.github.com/spec/"
WEIGHTS_WANTED = (
    "give a .pth, .pth.tar, .ckpt, .torch, .bin or .safetensors file of weights, or a pickle of NumPy arrays"
)


def recognise(path: Path) -> FileFormat:
    """Return a file's format.

    Raises:
        InputError: it holds no weights that can be read, or wraps a file that does; says which, and what to do.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        beginning = file.read(BEGINNING_BYTES)
    if size == 0:
        raise InputError(f"{path} is empty; download it again")
    if beginning.startswith(b"PK\x03\x04"):
        return _zip_format(path)
    if _is_safetensors(beginning):
        return "safetensors"
    if len(beginning) > 2 and beginning[0] == 0x80 and beginning[1] <= 5:
        return "old torch" if beginning[2:].startswith(OLD_TORCH) else "pickle"
    raise InputError(f"{path} {_reason(path, beginning)}")


def _is_safetensors(beginning: bytes) -> bool:
    """Whether a file begins with the length of a header and the header, as no text does."""
    return beginning[8:9] == b"{" and 0 < int.from_bytes(beginning[:8], "little") < 2**40


def _reason(path: Path, beginning: bytes) -> str:
    """Say in the rest of a sentence why a file is not read."""
    text = beginning.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<error")):
        return (
            "is a web page, probably a server's error message or a page that asks to confirm the download, and holds "
            "no weights; download the file again, with a browser if need be"
        )
    if text.startswith(b"{"):
        return f"is JSON text{_error_in(beginning)} and holds no weights; download the file again"
    if beginning.startswith(POINTER):
        return "is a pointer of Git LFS instead of the file itself; fetch that with `git lfs pull` or `hf download`"
    for start, (name, command) in COMPRESSED.items():
        if beginning.startswith(start):
            archive = "a tar archive compressed by " if _is_tar(path) else "compressed by "
            unpack = f"tar xf {path.name}" if _is_tar(path) else f"{command} {path.name}"
            return f"is {archive}{name}; unpack it (`{unpack}`) and give the file of weights inside"
    if beginning[257:262] == b"ustar":
        return f"is a tar archive; unpack it (`tar xf {path.name}`) and give the file of weights inside"
    known = next((words for start, words in OTHERS.items() if beginning.startswith(start)), None)
    return f"is {known or 'in no format that is known here, or damaged from its first byte on'}; {WEIGHTS_WANTED}"


def _is_tar(path: Path) -> bool:
    """Whether a compressed file is named like a compressed tar archive, without unpacking any of it."""
    return re.search(r"\.(tar\.\w+|t[gbx]z2?)$", path.name) is not None


def _error_in(beginning: bytes) -> str:
    """Quote the message of a server's JSON."""
    found = re.search(rb'"(?:error|message|detail)"\s*:\s*("(?:[^"\\]|\\.){1,80}")', beginning)
    if found is None:
        return ""
    try:
        return f" (it says {json.loads(found[1])!r})"
    except ValueError:
        return ""


def _zip_format(path: Path) -> FileFormat:
    """Return torch's format for a zip file that torch wrote; refuse any other."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is truncated or damaged ({error}); download it again") from error
    roots = {name.rpartition("/")[0] for name in names if re.fullmatch(r"[^/]+/data\.pkl", name)}
    if roots and any(
        name == f"{root}/constants.pkl" or name.startswith(f"{root}/code/") for root in roots for name in names
    ):
        raise InputError(
            f"{path} is a TorchScript program, which is never run; give a file of weights (a state_dict) instead"
        )
    if len(roots) == 1:
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        raise InputError(f"{path} is a NumPy archive (.npz) in no layout that is known here; {WEIGHTS_WANTED}")
    inside = next((name for name in names if not name.endswith("/")), "nothing")
    raise InputError(
        f"{path} is a zip archive that holds {inside[:80]!r}; unpack it (`unzip {path.name}`) and give the file of "
        "weights inside"
    )
