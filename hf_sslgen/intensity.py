"""Map the stored values of pictures to shades between black and white.

Most pictures have 8 bits per channel, which leaves nothing to choose. Medical, microscopy and satellite pictures may
have more bits, signed values or floats, which Pillow alone would clip to white or black.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin

from hf_sslgen.errors import InputError

GRAY_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")
"""Pillow's single-channel modes with more than 8 bits."""

VALUES_AT_ONCE = 2**22
"""Number of values converted to floats at a time."""

BITS_PER_SAMPLE, SAMPLE_FORMAT, PHOTOMETRIC, LOWEST, HIGHEST = 258, 339, 262, 340, 341
"""TIFF tags BitsPerSample, SampleFormat, PhotometricInterpretation, SMinSampleValue and SMaxSampleValue."""

UNSIGNED, SIGNED = 1, 2
"""Values of the tag SampleFormat."""

WHITE_IS_ZERO = 0
"""A value of the tag PhotometricInterpretation."""


class UnknownRangeError(InputError):
    """The stored values that mean black and white in a picture are unknown."""


@dataclass(frozen=True)
class Intensity:
    """Mapping of stored values to shades; without `limits`, the range that each picture's file states.

    Attributes:
        limits: the values that map to black and white.
        per_image: whether black and white are each picture's own smallest and largest value.
    """

    limits: tuple[float, float] | None = None
    per_image: bool = False

    @property
    def is_stated(self) -> bool:
        """Whether the range stated in each file is used."""
        return self.limits is None and not self.per_image

    def __str__(self) -> str:
        if self.limits is None:
            return "image" if self.per_image else "as stated"
        return "{:.9g},{:.9g}".format(*self.limits)


DATASET_RANGE = "dataset"
"""Placeholder for the smallest and largest value of a dataset's training images until these are known."""

STATED, PER_IMAGE = Intensity(), Intensity(per_image=True)


def read_intensity(text: str) -> Intensity:
    """Parse `LOW,HIGH` or `image`.

    Raises:
        InputError: the text is neither.
    """
    if text == "image":
        return PER_IMAGE
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(
            f"intensity_range {text!r} must be LOW,HIGH (such as 0,4095: the values that map to black and white), "
            "`dataset` (the smallest and largest value of the training images) or `image` (those of each picture)"
        )
    return Intensity((low, high))


@dataclass(frozen=True)
class StoredValues:
    """How a file stores its values.

    Attributes:
        bits: bits per channel as stored; 8 for fewer, which Pillow scales up.
        is_gray: whether there is one channel without alpha, whose values can be read as stored.
        stated: smallest and largest possible value; None if not stated.
        white_is_zero: whether zero is white and Pillow does not invert the shades.
        largest_of_file: the value for white in a PNM file, which Pillow scales to 65535; None for others.
    """

    bits: int
    is_gray: bool
    kind: str
    stated: tuple[float, float] | None
    white_is_zero: bool = False
    is_signed: bool = False
    largest_of_file: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether only one range is possible: the values have 8 unsigned bits or fewer."""
        return self.bits == 8 and not self.is_signed


def stored_values(opened: Image.Image) -> StoredValues:
    """Read the storage format from the header of a picture that is opened but not loaded."""
    raw_mode, largest = _raw_mode(opened)
    if opened.format == "TIFF":
        return _tiff_values(opened)
    if opened.mode == "F":
        return StoredValues(32, True, "floats", None)
    if opened.mode in GRAY_MODES:
        in_file = largest if opened.format == "PPM" else None
        return StoredValues(16, True, "16-bit integers", (0, in_file or 65535), largest_of_file=in_file)
    if ";16" in raw_mode or (largest is not None and largest > 255):
        return StoredValues(16, False, "16-bit integers", (0, 65535))
    return StoredValues(8, opened.mode in ("1", "L"), "8-bit integers", (0, 255))


def _raw_mode(opened: Image.Image) -> tuple[str, int | None]:
    """Return the layout passed to Pillow's decoder, and a PNM file's largest value."""
    tiles = opened.tile if isinstance(opened, ImageFile.ImageFile) else []
    arguments = tiles[0].args if tiles else None
    if isinstance(arguments, str):
        return arguments, None
    if not isinstance(arguments, tuple) or not arguments:
        return "", None
    largest = arguments[-1] if opened.format == "PPM" and isinstance(arguments[-1], int) else None
    return str(arguments[0]), largest


def _tiff_values(opened: Image.Image) -> StoredValues:
    assert isinstance(opened, TiffImagePlugin.TiffImageFile)
    tags = opened.tag_v2
    bits, formats = (tags.get(tag, (default,)) for tag, default in ((BITS_PER_SAMPLE, 1), (SAMPLE_FORMAT, 1)))
    depth, form = max(bits), formats[0]
    is_gray = len(bits) == 1 and tags.get(PHOTOMETRIC) in (0, 1)
    low, high = (_single(tags.get(tag)) for tag in (LOWEST, HIGHEST))
    stated = (low, high) if low is not None and high is not None and low < high else None
    if form == UNSIGNED and depth <= 16:
        stated = stated if is_gray and depth > 8 and stated else (0.0, 2.0**depth - 1)
    inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO and opened.mode in GRAY_MODES
    kind = {UNSIGNED: f"{depth}-bit integers", SIGNED: f"signed {depth}-bit integers"}.get(form, "floats")
    return StoredValues(max(depth, 8), is_gray, kind, stated, inverted, is_signed=form == SIGNED)


def _single(value: object) -> float | None:
    """Return a tag's single value."""
    if isinstance(value, tuple):
        value = value[0] if len(set(value)) == 1 else None
    return float(value) if isinstance(value, (int, float)) and np.isfinite(value) else None


def values_of(image: Image.Image, stored: StoredValues) -> Iterator[NDArray[np.float64]]:
    """Iterate over the stored values a few rows at a time: (h, W), or (h, W, 3) for colours or a palette.

    A picture of a few kilobytes may have millions of pixels, which would need much memory as floats.
    """
    values = np.asarray(image if stored.is_gray else image.convert("RGB"))
    if stored.is_signed and values.dtype == np.uint8:
        values = values.view(np.int8)
    if values.dtype == np.int32 and not stored.is_signed and stored.bits == 32:
        values = values.view(np.uint32)
    factor = 255 if values.dtype == np.bool_ else 1
    rows = max(1, VALUES_AT_ONCE // max(1, image.width))
    for start in range(0, len(values), rows):
        block = values[start : start + rows].astype(np.float64)
        if stored.largest_of_file is not None:
            yield np.rint(block * (stored.largest_of_file / 65535))
        else:
            yield factor * block


def least_and_largest(values: Iterable[NDArray[np.float64]]) -> tuple[float, float]:
    """Return the smallest and largest finite values; 0 and 0 if there are none."""
    least, largest = np.inf, -np.inf
    for block in values:
        finite = block[np.isfinite(block)]
        if finite.size:
            least, largest = min(least, float(finite.min())), max(largest, float(finite.max()))
    return (least, largest) if least <= largest else (0.0, 0.0)


def _shades(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.uint8]:
    shares = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / (high - low if high > low else 1.0)
    return np.rint(255 * shares.clip(0, 1)).astype(np.uint8)


def to_rgb(image: Image.Image, stored: StoredValues, intensity: Intensity, where: str) -> Image.Image:
    """Convert a loaded picture to 8 bits per channel, keeping the colours stored under transparent parts.

    Values outside the range become black or white; NaN becomes black.

    Raises:
        UnknownRangeError: the values that mean black and white are not known.
    """
    if intensity.is_stated and (stored.is_plain or not stored.is_gray):
        return image.convert("RGB")
    if not stored.is_plain and not stored.is_gray:
        raise UnknownRangeError(
            f"{where} has {stored.kind} in several channels, of which Pillow keeps only 8 bits; intensity_range "
            "needs single-channel or 8-bit pictures: convert them, or drop --intensity_range"
        )
    limits = stored.stated if intensity.is_stated else intensity.limits
    if intensity.per_image:
        limits = least_and_largest(values_of(image, stored))
    if limits is None:
        raise UnknownRangeError(
            f"{where} holds {stored.kind} and does not state which values are black and white; pass --intensity_range "
            "LOW,HIGH, or --intensity_range dataset for the smallest and largest value of the training images"
        )
    low, high = limits
    result = Image.fromarray(np.concatenate([_shades(block, low, high) for block in values_of(image, stored)]))
    return (ImageOps.invert(result) if stored.white_is_zero else result).convert("RGB")
