"""Every file below a folder: the pictures, and what else lies there, so that nothing is left out without a word."""

import functools
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath

from PIL import Image

from hf_sslgen.decoding import picture_formats
from hf_sslgen.errors import InputError

ARCHIVE_SUFFIXES = (".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".tbz2", ".txz", ".xz", ".zip", ".zst")

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

SYSTEM_FOLDERS = frozenset({"__MACOSX", "@eaDir", ".git", ".cache", ".ipynb_checkpoints"})
"""Folders that programs make beside people's files, with copies or parts of them."""


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """Suffixes of the kinds of pictures that are read, in lower case."""
    kinds = picture_formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds)


@dataclass(frozen=True)
class FoundFile:
    """A file below a folder.

    Attributes:
        parts: folders and name below the folder, joined by `/` in `name`.
        real: the file itself, where links lead to it; equal for two ways to one file.
    """

    parts: tuple[str, ...]
    path: str
    real: str

    @property
    def name(self) -> str:
        return "/".join(self.parts)

    @property
    def suffix(self) -> str:
        """In lower case, with its dot; empty where there is none."""
        return PurePath(self.parts[-1]).suffix.lower()

    @property
    def is_picture(self) -> bool:
        return self.suffix in picture_suffixes()

    @property
    def is_metadata(self) -> bool:
        return self.parts[-1].lower() in METADATA_NAMES


@dataclass(frozen=True)
class Survey:
    """What lies below a folder, in the order of names.

    Attributes:
        folders: every folder below it, by the names on the way, without hidden ones.
        hidden: pictures in each hidden folder, or in those of `SYSTEM_FOLDERS`; single hidden ones are under "".
        repeated_folders: links that lead to a folder that they lie in.
    """

    root: Path
    files: tuple[FoundFile, ...]
    folders: tuple[tuple[str, ...], ...]
    hidden: dict[str, int]
    repeated_folders: tuple[str, ...]

    @property
    def pictures(self) -> list[FoundFile]:
        return [file for file in self.files if file.is_picture]

    @property
    def others(self) -> list[FoundFile]:
        """Files that are neither pictures nor tables of metadata."""
        return [file for file in self.files if not file.is_picture and not file.is_metadata]


def survey_folder(root: Path) -> Survey:
    """Look at every file below a folder, by way of links too; a link to a folder around it is not followed.

    Raises:
        InputError: a folder can't be read, or a name is not text.
    """
    found = _Found([], [], Counter(), [])
    _walk(str(root), os.path.realpath(root), (), (), None, found)
    return Survey(
        root,
        tuple(sorted(found.files, key=lambda file: file.name)),
        tuple(sorted(found.folders)),
        dict(sorted(found.hidden.items())),
        tuple(sorted(found.repeated)),
    )


@dataclass(frozen=True)
class _Found:
    files: list[FoundFile]
    folders: list[tuple[str, ...]]
    hidden: Counter[str]
    repeated: list[str]


def _walk(
    folder: str, real: str, parts: tuple[str, ...], around: tuple[str, ...], hidden: str | None, found: _Found
) -> None:
    """Add what lies in a folder and below.

    Args:
        real: the folder itself, where a link leads to it.
        around: the folders on the way to it.
        hidden: the hidden folder it lies in, if any.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"folder {folder!r} of the data set can't be read: {error.strerror}") from error
    for entry in listed:
        if not _is_text(entry.name):
            raise InputError(f"the name of {entry.path!r} is not valid UTF-8; rename it")
        # Only links are resolved: asking the disk for every component of every path would take most of the time.
        target = os.path.realpath(entry.path) if entry.is_symlink() else f"{real}/{entry.name}"
        here = (*parts, entry.name)
        is_hidden = entry.name.startswith(".") or entry.name in SYSTEM_FOLDERS
        if not entry.is_dir():
            file = FoundFile(here, entry.path, target)
            if hidden is None and not is_hidden:
                found.files.append(file)
            elif file.is_picture:
                found.hidden[hidden or ""] += 1
        elif target == real or target in around:
            found.repeated.append("/".join(here))
        elif entry.name != ".git":  # annexed pictures lie there a second time
            inside = hidden or ("/".join(here) if is_hidden else None)
            if inside is None:
                found.folders.append(here)
            _walk(entry.path, target, here, (*around, real), inside, found)


def _is_text(name: str) -> bool:
    """Whether a file's name can be written down: bytes that are no UTF-8 come as halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
