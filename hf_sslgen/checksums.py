"""Checksums of files that belong together, to verify that all exist and none has changed since it was written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_sslgen.errors import InputError
from hf_sslgen.files import flush_to_disk, write_json

CHECKSUMS_FILE = "checksums.json"


def files_below(folder: Path) -> dict[str, Path]:
    """Return every file of a folder by its relative path, except its checksums."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {name: path for path in paths if (name := path.relative_to(folder).as_posix()) != CHECKSUMS_FILE}


def write_checksums(folder: Path, files: Mapping[str, Path]) -> None:
    """Write the size and SHA-256 of finished files, by their names in `folder`, to its `checksums.json`.

    On return, the files and their checksums are safe against a power failure.
    """
    facts = {}
    for name, path in files.items():
        flush_to_disk(path)
        facts[name] = {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    write_json(folder / CHECKSUMS_FILE, {"files": facts})
    for path in {folder / CHECKSUMS_FILE, folder, *(path.parent for path in files.values())}:
        flush_to_disk(path)


def damage(folder: Path) -> str | None:
    """Describe what is wrong with the files listed by `write_checksums`, such as "optimizer.pt is missing".

    Returns:
        None if all files are intact.

    Raises:
        InputError: a file exists but can't be read.
    """
    try:
        facts = _read(folder / CHECKSUMS_FILE)
        if facts is None:
            return f"it has no {CHECKSUMS_FILE}, which is written last"
        for name, expected in facts.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            size = path.stat().st_size
            if size != expected["bytes"]:
                return f"{name} has {size} bytes instead of {expected['bytes']}"
            if file_sha256(path) != expected["sha256"]:
                return f"{name} has changed since it was written"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{CHECKSUMS_FILE} is damaged"
    except OSError as error:
        raise InputError(f"{error.filename or folder} can't be read ({error.strerror})") from error
    return None


def _read(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["files"]
    if not facts:
        raise ValueError("no file is named")
    return facts


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
