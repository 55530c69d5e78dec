"""Decide which files the rows of a dataset may refer to instead of containing a picture's bytes.

Rows are not trusted: they must not lead to files outside the dataset or to web addresses.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import fsspec
from huggingface_hub import constants

from hf_sslgen.decoding import unreadable

BASE64 = re.compile(r"(data:image/[\w.+-]+;base64,)?[A-Za-z0-9+/\s]{200,}={0,2}\s*")
LONGEST_SHOWN = 80


@dataclass(frozen=True)
class PictureFiles:
    """How to resolve a picture's path in an undecoded `datasets.Image` value.

    Attributes:
        folder: base of relative paths, which no path may leave; None if rows must contain bytes.
        listed_in: prefixes of the paths and addresses that a listing of the dataset's own files can produce. These
            are followed even through links, since the dataset's owner made those.
    """

    folder: Path | None = None
    listed_in: tuple[str, ...] = ()

    def read(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Add the picture's bytes to a value, or the reason why they are missing; None stays None."""
        if value is None or value["bytes"] is not None or value["path"] is None:
            return value
        path = value["path"]
        is_listed = self._is_listed(path)
        if is_listed and "://" in path:  # such faults may be temporary, and the caller retries
            with fsspec.open(path, "rb") as file:
                return {"bytes": bytes(file.read()), "path": path}
        try:
            reason = None if is_listed else self._objection(path)
            if reason is None:
                return {"bytes": (self.folder or Path()).joinpath(path).read_bytes(), "path": path}
        except (OSError, ValueError) as error:  # ValueError: a path with a NUL byte
            reason = "there is no such file" if isinstance(error, FileNotFoundError) else str(error)
        return unreadable(_shown(path), reason)

    def _is_listed(self, path: str) -> bool:
        whole = path.rpartition("::")[2]  # for a file in an archive, the archive
        if "://" not in whole:
            whole = os.path.normpath(Path(whole).absolute())
        return ".." not in whole.split("/") and any(whole.startswith(place) for place in self.listed_in)

    def _objection(self, path: str) -> str | None:
        """Explain why a path in a row is not followed; None if it is."""
        if BASE64.fullmatch(path):
            return "it is text, possibly base64; store the decoded bytes instead"
        if "://" in path or path.startswith("data:"):
            return "it is a web address; store the picture's bytes, or the path of a file inside the dataset"
        if self.folder is None:
            return "the row has a path and no bytes; store the bytes"
        if not (self.folder / path).resolve(strict=True).is_relative_to(self.folder.resolve()):
            return "it lies outside the dataset's folder; store the picture's bytes, or move the file inside"
        return None


BYTES_ONLY = PictureFiles()


def listed_in_folder(folder: Path) -> PictureFiles:
    """Allow pictures found by listing a local folder."""
    return PictureFiles(listed_in=tuple({_beginning(folder), _beginning(folder.resolve())}))


def listed_on_hub(repository: str) -> PictureFiles:
    """Allow files of a dataset on the Hub: remote, in the cache, or unpacked from its archives."""
    in_cache = Path(constants.HF_HUB_CACHE, f"datasets--{repository.replace('/', '--')}")
    unpacked = Path(datasets.config.EXTRACTED_DATASETS_PATH)
    return PictureFiles(listed_in=(f"hf://datasets/{repository}@", _beginning(in_cache), _beginning(unpacked)))


def _beginning(folder: Path) -> str:
    """Return the prefix shared by the paths of all files below a folder."""
    return f"{os.path.normpath(folder.absolute())}/"


def _shown(path: str) -> str:
    return path if len(path) <= LONGEST_SHOWN else f"{path[:LONGEST_SHOWN]}..."
