"""Small pictures of a study's images, in its folder `pictures`, so that a report can show them without the data.

    pictures/<32 hexadecimal digits>.webp    a picture of at most 96 pixels a side
    pictures/of_cells/<name of a cell>.json  which pictures show the images of a cell

A picture's name follows from what it shows, so cells share pictures. The folder belongs to no single cell: it can be
removed at any time, and cells without pictures are as complete as others. Files that are not what they should be,
whoever wrote them, count as missing.
"""

import io
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.WebPImagePlugin import WebPImageFile

from hf_sslgen.decoding import DECODING_ERRORS
from hf_sslgen.study.cells.record_columns import Variant
from hf_sslgen.study.pictures.small_picture import MOST_BYTES, SIDE

PICTURES = "pictures"
OF_CELLS = "of_cells"

MOST_INDEX_BYTES = 65_536
MOST_IMAGES = 256
"""Largest number of images that a cell's index may name; about 40 are kept."""

PICTURE_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class CellPictures:
    """Where the pictures of a cell's images are; `read_picture` reads one.

    Attributes:
        folder: `pictures` of the study.
        images: name of the picture of each image, by sample id as text.
        moved: names of the pictures of an image as the network saw it, and of the transformed one, by `moved_key`.
    """

    folder: Path
    images: Mapping[str, str] = field(default_factory=dict)
    moved: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.images or self.moved)

    def image(self, sample_id: Any) -> Path | None:
        """Return the file of an image's picture; None if none was kept."""
        name = self.images.get(str(sample_id))
        return None if name is None else picture_path(self.folder, name)

    def before_and_after(self, sample_id: Any, variant: Variant) -> tuple[Path, Path] | None:
        """Return the files that show an image as the network saw it, before and after a transform."""
        names = self.moved.get(moved_key(sample_id, variant))
        return None if names is None else (picture_path(self.folder, names[0]), picture_path(self.folder, names[1]))


def pictures_of(cell: Path) -> CellPictures:
    """Return the pictures of a cell, given its folder in a study's `cells`; there may be none."""
    folder = cell.parent.parent / PICTURES
    content = _read_bounded(index_path(folder, cell.name), MOST_INDEX_BYTES)
    try:
        index = json.loads(content or b"")
    except (ValueError, RecursionError):
        return CellPictures(folder)
    if not isinstance(index, dict):
        return CellPictures(folder)
    images = {key: name for key, name in _entries(index, "images") if _is_name(name)}
    moved = {
        key: (names[0], names[1])
        for key, names in _entries(index, "moved")
        if isinstance(names, list) and len(names) == 2 and all(map(_is_name, names))
    }
    return CellPictures(folder, images, moved)


def moved_key(sample_id: Any, variant: Variant) -> str:
    """Return the key of a transformed image in a cell's index."""
    return " ".join((str(sample_id), *variant))


def picture_path(folder: Path, name: str) -> Path:
    return folder / f"{name}.webp"


def index_path(folder: Path, cell: str) -> Path:
    return folder / OF_CELLS / f"{cell}.json"


def _entries(index: dict[str, Any], part: str) -> list[tuple[str, Any]]:
    content = index.get(part)
    return list(content.items())[:MOST_IMAGES] if isinstance(content, dict) else []


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and PICTURE_NAME.fullmatch(value) is not None


def read_picture(path: Path) -> bytes | None:
    """Read a small picture; None if the file is missing, a link, too large, or no WebP picture of at most `SIDE`."""
    content = _read_bounded(path, MOST_BYTES)
    if not content:
        return None
    try:
        with Image.open(io.BytesIO(content), formats=("WEBP",)) as picture:
            if max(picture.size) > SIDE or not isinstance(picture, WebPImageFile) or picture.is_animated:
                return None
            picture.load()
    except DECODING_ERRORS:
        return None
    return content


def _read_bounded(path: Path, most: int) -> bytes | None:
    """Read a regular file of at most so many bytes; None if there is none, or it is a link or a larger file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_size > most:
            return None
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)
