"""Figures of a study drawn before, in a folder that can be removed at any time.

A figure is found by what it is drawn from and by the code that draws it: one that would look otherwise is not found.
A file that is damaged, or that another program has written, is not used. Only the figures of the last report are kept.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import matplotlib

from hf_sslgen.errors import DiskFullError
from hf_sslgen.files import is_disk_full, replace_file
from hf_sslgen.reporting.figures.drawing import DrawnFigure

FIGURES_FOLDER = "figures"
LIBRARIES = ("matplotlib", "numpy", "pandas", "pillow")


def read_figure(folder: Path, key: str) -> DrawnFigure | None:
    """Return a figure drawn before; None if there is none, or its file is damaged."""
    try:
        content = json.loads(_path(folder, key).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.keys() != {"width", "content", "checksum"}:
        return None
    width, markup = content["width"], content["content"]
    if not isinstance(width, int) or not isinstance(markup, str) or content["checksum"] != _checksum(key, markup):
        return None
    return DrawnFigure(width, markup)


def keep_figure(folder: Path, key: str, figure: DrawnFigure) -> None:
    """Keep a figure, unless the folder can't be written or the disk is full: the page does not need it."""
    content = {"width": figure.width, "content": figure.content, "checksum": _checksum(key, figure.content)}
    try:
        with replace_file(_path(folder, key)) as unfinished:
            unfinished.write_text(json.dumps(content), encoding="utf-8")
    except (OSError, DiskFullError) as error:
        if not isinstance(error, PermissionError) and not is_disk_full(error):
            raise


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"


def _checksum(key: str, content: str) -> str:
    return hashlib.blake2b(f"{key}\n{content}".encode(), digest_size=16).hexdigest()


def remove_others(folder: Path, keys: Iterable[str]) -> None:
    """Remove all but these figures, and what killed processes left behind."""
    kept = {_path(folder, key).name for key in keys}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept and path.is_file():
            path.unlink(missing_ok=True)


@cache
def drawing_version() -> str:
    """Return text that changes with anything that may change how a figure looks: our code, libraries and settings."""
    digest = hashlib.blake2b(digest_size=16)
    for text in _sources(files("hf_sslgen")):
        digest.update(text)
    settings = {name: repr(value) for name, value in sorted(matplotlib.rcParams.items())}
    return json.dumps([digest.hexdigest(), [version(name) for name in LIBRARIES], settings])


def _sources(folder: Traversable) -> list[bytes]:
    """Return the source of every module below a folder."""
    found = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _sources(entry)
        elif entry.name.endswith(".py"):
            found.append(entry.read_bytes())
    return found
