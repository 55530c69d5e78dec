"""From an undecoded value of a data set to an RGB picture."""

import functools
import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from hf_sslgen.errors import InputError
from hf_sslgen.intensity import (
    STATED,
    Intensity,
    StoredValues,
    UnknownRangeError,
    least_and_largest,
    stored_values,
    to_rgb,
    values_of,
)

LONGEST = 1000
"""Largest ratio of a picture's longer side to its shorter one: resizing the shorter side scales the longer one too."""

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


FORMATS = (
    "PNG",
    "JPEG",
    "MPO",
    "GIF",
    "BMP",
    "DIB",
    "TIFF",
    "WEBP",
    "PPM",
    "JPEG2000",
    "AVIF",
    "TGA",
    "PCX",
    "SGI",
    "ICO",
)
"""Kinds of pictures that are read. Pillow knows more, some of which run other programs (EPS) or only name files."""


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(each for each in FORMATS if each in Image.OPEN)


class CorruptImageError(InputError):
    """An image that can't be decoded; the message names it, and `reason` says why in words."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


def unreadable(path: str | None, reason: str) -> dict[str, Any]:
    """A value for a picture that a row names and that can't be read."""
    return {"bytes": None, "path": path, "unreadable": reason}


def encoded_bytes(value: dict[str, Any] | None, where: str) -> bytes:
    """The bytes that an undecoded `datasets.Image` value brings; a missing picture has none.

    Raises:
        CorruptImageError: it is the file that a row names, and that can't be read; `where` as in `decode_image`.
    """
    if value is not None and value.get("unreadable"):
        raise corrupt_image(value, where, value["unreadable"])
    return b"" if value is None or value["bytes"] is None else bytes(value["bytes"])


def corrupt_image(value: dict[str, Any] | None, where: str, reason: str) -> CorruptImageError:
    """The error that an image can't be decoded, with the way out."""
    name = f" ({value['path']})" if value is not None and value.get("path") else ""
    message = f"{where}{name} can't be decoded: {reason}. Remove it, or pass --skip_corrupt to leave such images out"
    return CorruptImageError(message, reason)


@contextmanager
def opened_picture(value: dict[str, Any] | None, where: str) -> Iterator[Image.Image]:
    """An undecoded `datasets.Image` value opened by Pillow; what goes wrong inside is a CorruptImageError."""
    encoded = encoded_bytes(value, where)
    try:
        with Image.open(io.BytesIO(encoded), formats=picture_formats()) as opened:
            if max(opened.size) > LONGEST * min(opened.size):
                raise ValueError(f"{opened.width} x {opened.height} pixels are too narrow for a picture")
            yield opened
    except UnknownRangeError:
        raise
    except UnidentifiedImageError as error:
        kinds = f"its format is not one of those that are read ({', '.join(picture_formats())})"
        raise corrupt_image(value, where, kinds if encoded else "there is no picture") from error
    except DECODING_ERRORS as error:
        raise corrupt_image(value, where, str(error)) from error


def decode_image(value: dict[str, Any] | None, where: str, intensity: Intensity = STATED) -> Image.Image:
    """Decode an undecoded `datasets.Image` value to RGB, upright as its EXIF orientation says.

    Only the first of several frames or pages is read. Transparency is dropped, as in Pillow's own conversion.

    Args:
        where: what to call the image in an error, such as "image 3 of split 'train' of cifar10".
        intensity: which stored values are black and white.

    Raises:
        CorruptImageError: the bytes are not a picture, or a broken one.
        UnknownRangeError: nothing says which of its values are black and white.
    """
    with opened_picture(value, where) as opened:
        stored = stored_values(opened)
        image = ImageOps.exif_transpose(opened)
        image.load()
        return to_rgb(image, stored, intensity, where)


@dataclass(frozen=True)
class ValueRange:
    """What values a picture could hold, and the least and largest that it does."""

    stored: StoredValues
    least: float
    largest: float


def value_range(value: dict[str, Any] | None, where: str) -> ValueRange:
    """The least and the largest value that an undecoded `datasets.Image` value holds; raises as `decode_image`."""
    with opened_picture(value, where) as opened:
        stored = stored_values(opened)
        opened.load()
        return ValueRange(stored, *least_and_largest(values_of(opened, stored)))


def depth(value: dict[str, Any] | None, where: str) -> StoredValues:
    """How an undecoded `datasets.Image` value holds its values, read off its header; raises as `decode_image`."""
    with opened_picture(value, where) as opened:
        return stored_values(opened)


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
