"""Which files the rows of a data set may name instead of bringing a picture's bytes.

Rows are not trusted: they must not lead to files outside the data set, nor to web addresses.
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
    """How a picture's path in an undecoded `datasets.Image` value is read.

    Attributes:
        folder: where relative paths begin and what no path may leave; None where rows have to bring bytes.
        listed_in: beginnings of paths and addresses that a listing of the data set's own files can have found. These
            are followed even where they are links, which the data set's owner made.
    """

    folder: Path | None = None
    listed_in: tuple[str, ...] = ()

    def read(self, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """The value with the bytes of its picture, or with the reason why it has none; None stays None."""
        if value is None or value["bytes"] is not None or value["path"] is None:
            return value
        path = value["path"]
        is_listed = self._is_listed(path)
        if is_listed and "://" in path:  # faults there may pass, and the caller tries again
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
        whole = path.rpartition("::")[2]  # of a file in an archive, the archive
        if "://" not in whole:
            whole = os.path.normpath(Path(whole).absolute())
        return ".." not in whole.split("/") and any(whole.startswith(place) for place in self.listed_in)

    def _objection(self, path: str) -> str | None:
        """Why a path that stands in a row is not followed; None where it is."""
        if BASE64.fullmatch(path):
            return "it is text, maybe base64; store the bytes that it stands for"
        if "://" in path or path.startswith("data:"):
            return "it is an address; store the picture's bytes, or the path of a file inside the data set"
        if self.folder is None:
            return "the row has a path and no bytes; store the bytes"
        if not (self.folder / path).resolve(strict=True).is_relative_to(self.folder.resolve()):
            return "it lies outside the data set's folder; store the picture's bytes, or put the file inside"
        return None


BYTES_ONLY = PictureFiles()


def listed_in_folder(folder: Path) -> PictureFiles:
    """For pictures that a listing of a local folder found."""
    return PictureFiles(listed_in=tuple({_beginning(folder), _beginning(folder.resolve())}))


def listed_on_hub(repository: str) -> PictureFiles:
    """For pictures that are files of a data set on the Hub: there, in the cache, or unpacked from archives of it."""
    in_cache = Path(constants.HF_HUB_CACHE, f"datasets--{repository.replace('/', '--')}")
    unpacked = Path(datasets.config.EXTRACTED_DATASETS_PATH)
    return PictureFiles(listed_in=(f"hf://datasets/{repository}@", _beginning(in_cache), _beginning(unpacked)))


def _beginning(folder: Path) -> str:
    """What the path of every file below a folder begins with."""
    return f"{os.path.normpath(folder.absolute())}/"


def _shown(path: str) -> str:
    return path if len(path) <= LONGEST_SHOWN else f"{path[:LONGEST_SHOWN]}..."
