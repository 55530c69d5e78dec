"""Survey every file below a folder, pictures and others, so that nothing is left out silently."""

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
"""Folders that programs create next to users' files, holding copies or parts of them."""


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """Return the suffixes of readable pictures, in lower case."""
    kinds = picture_formats()
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds)


@dataclass(frozen=True)
class FoundFile:
    """A file below a folder.

    Attributes:
        parts: folders and name below the folder, joined by `/` in `name`.
        real: the file that links lead to; equal for two paths to the same file.
    """

    parts: tuple[str, ...]
    path: str
    real: str

    @property
    def name(self) -> str:
        return "/".join(self.parts)

    @property
    def suffix(self) -> str:
        """The suffix in lower case, with its dot; empty if there is none."""
        return PurePath(self.parts[-1]).suffix.lower()

    @property
    def is_picture(self) -> bool:
        return self.suffix in picture_suffixes()

    @property
    def is_metadata(self) -> bool:
        return self.parts[-1].lower() in METADATA_NAMES


@dataclass(frozen=True)
class Survey:
    """The contents of a folder, ordered by name.

    Attributes:
        folders: every folder below it except hidden ones, as the names along its path.
        hidden: number of pictures in each hidden folder or one of `SYSTEM_FOLDERS`; hidden files are under "".
        repeated_folders: links to a folder that contains them.
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
        """Files that are neither pictures nor metadata tables."""
        return [file for file in self.files if not file.is_picture and not file.is_metadata]


def survey_folder(root: Path) -> Survey:
    """List every file below a folder, following links except those to a folder that contains them.

    Raises:
        InputError: a folder can't be read, or a name is not valid text.
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
    """Add the contents of a folder, recursively.

    Args:
        real: the folder that a link leads to, or the folder itself.
        around: the folders that contain it.
        hidden: the hidden folder that contains it, if any.
    """
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"folder {folder!r} of the dataset can't be read: {error.strerror}") from error
    for entry in listed:
        if not _is_text(entry.name):
            raise InputError(f"the name of {entry.path!r} is not valid UTF-8; rename it")
        # Only links are resolved: looking up every component of every path would take most of the time.
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
        elif entry.name != ".git":  # annexed pictures occur there a second time
            inside = hidden or ("/".join(here) if is_hidden else None)
            if inside is None:
                found.folders.append(here)
            _walk(entry.path, target, here, (*around, real), inside, found)


def _is_text(name: str) -> bool:
    """Whether a file's name can be encoded: bytes that are not valid UTF-8 are decoded to surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
