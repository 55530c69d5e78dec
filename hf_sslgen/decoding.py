"""From an undecoded value of a data set to an RGB picture."""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from PIL import ExifTags, Image, ImageOps

from hf_sslgen.errors import InputError

DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow raises on broken files of one format or another."""


class CorruptImageError(InputError):
    """An image that can't be decoded; the message names it."""


def encoded_bytes(value: dict[str, Any] | None) -> bytes:
    """The file's bytes of an undecoded `datasets.Image` value: its `bytes`, or else what its `path` leads to.

    Paths of streamed data sets may be addresses, also of files inside archives. A missing picture has no bytes.
    """
    if value is None:
        return b""
    if value["bytes"] is not None:
        return bytes(value["bytes"])
    if value["path"] is None:
        return b""
    if "://" in value["path"]:
        with fsspec.open(value["path"], "rb") as file:
            return bytes(file.read())
    return Path(value["path"]).read_bytes()


@contextmanager
def opened_picture(value: dict[str, Any] | None, where: str) -> Iterator[Image.Image]:
    """An undecoded `datasets.Image` value opened by Pillow; what goes wrong inside is a CorruptImageError."""
    try:
        with Image.open(io.BytesIO(encoded_bytes(value))) as opened:
            yield opened
    except DECODING_ERRORS as error:
        name = f" ({value['path']})" if value is not None and value.get("path") else ""
        raise CorruptImageError(
            f"{where}{name} can't be decoded: {error}. Remove it, or pass --skip_corrupt to leave such images out"
        ) from error


def decode_image(value: dict[str, Any] | None, where: str) -> Image.Image:
    """Decode an undecoded `datasets.Image` value to RGB, upright as its EXIF orientation says.

    16-bit grayscale is scaled to 8 bits (Pillow alone would clip it to white).

    Args:
        where: what to call the image in an error, such as "image 3 of split 'train' of cifar10".

    Raises:
        CorruptImageError: the bytes are no picture, or a broken one.
    """
    with opened_picture(value, where) as opened:
        image = ImageOps.exif_transpose(opened)
        image.load()
        if image.mode.startswith("I;16"):
            image = Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
        return image.convert("RGB")


@dataclass(frozen=True)
class StoredPicture:
    """Width and height of a picture as its file holds it, and the EXIF orientation (1 to 8) that makes it upright."""

    width: int
    height: int
    orientation: int

    @property
    def is_turned(self) -> bool:
        """Whether width and height change places when it is made upright."""
        return self.orientation >= 5

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of what `decode_image` returns."""
        return (self.height, self.width) if self.is_turned else (self.width, self.height)


def stored_picture(value: dict[str, Any] | None, where: str) -> StoredPicture:
    """What an undecoded `datasets.Image` value says of itself; raises as `decode_image` does.

    The header tells it, but a PNG without an orientation there is read whole, because that may stand at its end.
    """
    with opened_picture(value, where) as opened:
        orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
        orientation = orientation if orientation in range(1, 9) else 1
        width, height = opened.size
        if opened.format == "TIFF" and orientation >= 5:  # Pillow gives the size of the upright picture
            width, height = height, width
        return StoredPicture(width, height, orientation)
