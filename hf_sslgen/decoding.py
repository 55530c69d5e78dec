"""Decode undecoded values of a dataset to RGB pictures."""

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
"""Largest accepted ratio of a picture's longer to its shorter side, since resizing one scales the other as well."""

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
"""Exceptions that Pillow raises on damaged files, depending on the format."""


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
"""Supported picture formats. Pillow knows more, some of which run other programs (EPS) or only refer to files."""


@functools.cache
def picture_formats() -> tuple[str, ...]:
    """Return the entries of `FORMATS` that this Pillow was built with."""
    Image.init()
    return tuple(each for each in FORMATS if each in Image.OPEN)


class CorruptImageError(InputError):
    """An image can't be decoded; the message names it, and `reason` states why."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


def unreadable(path: str | None, reason: str) -> dict[str, Any]:
    """Return the value for a picture that a row refers to but that can't be read."""
    return {"bytes": None, "path": path, "unreadable": reason}


def encoded_bytes(value: dict[str, Any] | None, where: str) -> bytes:
    """Return the bytes of an undecoded `datasets.Image` value; empty for a missing picture.

    Raises:
        CorruptImageError: the file that the row refers to can't be read; `where` as in `decode_image`.
    """
    if value is not None and value.get("unreadable"):
        raise corrupt_image(value, where, value["unreadable"])
    return b"" if value is None or value["bytes"] is None else bytes(value["bytes"])


def corrupt_image(value: dict[str, Any] | None, where: str, reason: str) -> CorruptImageError:
    """Build the error that an image can't be decoded, with the remedy."""
    name = f" ({value['path']})" if value is not None and value.get("path") else ""
    message = f"{where}{name} can't be decoded: {reason}. Remove it, or pass --skip_corrupt to leave such images out"
    return CorruptImageError(message, reason)


@contextmanager
def opened_picture(value: dict[str, Any] | None, where: str) -> Iterator[Image.Image]:
    """Open an undecoded `datasets.Image` value with Pillow; failures in the block become a CorruptImageError."""
    encoded = encoded_bytes(value, where)
    try:
        with Image.open(io.BytesIO(encoded), formats=picture_formats()) as opened:
            if max(opened.size) > LONGEST * min(opened.size):
                raise ValueError(f"a picture of {opened.width} x {opened.height} pixels is too narrow")
            yield opened
    except UnknownRangeError:
        raise
    except UnidentifiedImageError as error:
        kinds = f"its format is not supported (supported: {', '.join(picture_formats())})"
        raise corrupt_image(value, where, kinds if encoded else "there is no picture") from error
    except DECODING_ERRORS as error:
        raise corrupt_image(value, where, str(error)) from error


def decode_image(value: dict[str, Any] | None, where: str, intensity: Intensity = STATED) -> Image.Image:
    """Decode an undecoded `datasets.Image` value to RGB, rotated upright by its EXIF orientation.

    Only the first of several frames or pages is read. Transparency is dropped, as in Pillow's own conversion.

    Args:
        where: description of the image for errors, such as "image 3 of split 'train' of cifar10".
        intensity: the stored values that map to black and white.

    Raises:
        CorruptImageError: the bytes are not a picture, or are damaged.
        UnknownRangeError: the values that mean black and white are not known.
    """
    with opened_picture(value, where) as opened:
        stored = stored_values(opened)
        image = ImageOps.exif_transpose(opened)
        image.load()
        return to_rgb(image, stored, intensity, where)


@dataclass(frozen=True)
class ValueRange:
    """The range of values that a picture could hold, and the smallest and largest that it does hold."""

    stored: StoredValues
    least: float
    largest: float


def value_range(value: dict[str, Any] | None, where: str) -> ValueRange:
    """Measure the smallest and largest value in an undecoded `datasets.Image` value; raises as `decode_image`."""
    with opened_picture(value, where) as opened:
        stored = stored_values(opened)
        opened.load()
        return ValueRange(stored, *least_and_largest(values_of(opened, stored)))


def depth(value: dict[str, Any] | None, where: str) -> StoredValues:
    """Read from its header how an undecoded `datasets.Image` value stores values; raises as `decode_image`."""
    with opened_picture(value, where) as opened:
        return stored_values(opened)


@dataclass(frozen=True)
class StoredPicture:
    """Width and height of a picture as stored, and the EXIF orientation (1 to 8) that makes it upright."""

    width: int
    height: int
    orientation: int

    @property
    def is_turned(self) -> bool:
        """Whether width and height are swapped when the picture is made upright."""
        return self.orientation >= 5

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the picture that `decode_image` returns."""
        return (self.height, self.width) if self.is_turned else (self.width, self.height)


def stored_picture(value: dict[str, Any] | None, where: str) -> StoredPicture:
    """Read size and orientation of an undecoded `datasets.Image` value; raises as `decode_image` does.

    The header is enough, except for a PNG without an orientation in it, which may have one at the end of the file.
    """
    with opened_picture(value, where) as opened:
        orientation = opened.getexif().get(ExifTags.Base.Orientation, 1)
        orientation = orientation if orientation in range(1, 9) else 1
        width, height = opened.size
        if opened.format == "TIFF" and orientation >= 5:  # Pillow reports the size of the upright picture
            width, height = height, width
        return StoredPicture(width, height, orientation)
