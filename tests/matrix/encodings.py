"""Ways to store a picture, and what a right reader makes of each."""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.matrix.pictures import Picture, colours, shades


@dataclass(frozen=True)
class Encoding:
    """How a picture is stored.

    Attributes:
        encode: the file's bytes.
        decoded: (height, width, 3) bytes that a right reader finds, where it reads the file at all.
        ordinary: whether refusing it would be a fault.
        readable: whether reading it would be a fault, because nobody can know what it means.
        options: what a user adds to the command to have it read.
    """

    name: str
    suffix: str
    encode: Callable[[Picture], bytes]
    decoded: Callable[[Picture], NDArray[np.uint8]]
    ordinary: bool = True
    readable: bool = True
    options: tuple[str, ...] = field(default=())


def _saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def _rgb(picture: Picture) -> Image.Image:
    return Image.fromarray(colours(picture))


def _gray(picture: Picture) -> Image.Image:
    return Image.fromarray(shades(picture))


def _gray_pixels(picture: Picture) -> NDArray[np.uint8]:
    return np.repeat(shades(picture)[..., None], 3, axis=2)


def _black_and_white(picture: Picture) -> NDArray[np.uint8]:
    return np.repeat(np.where(shades(picture) >= 128, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def _lossy(image: Callable[[Picture], Image.Image], **options: Any) -> tuple[Callable[[Picture], bytes], Any]:
    """A JPEG, and what libjpeg makes of it."""

    def encode(picture: Picture) -> bytes:
        return _saved(image(picture), "JPEG", quality=95, **options)

    def decoded(picture: Picture) -> NDArray[np.uint8]:
        return np.asarray(Image.open(io.BytesIO(encode(picture))).convert("RGB"))

    return encode, decoded


def _turned_jpeg(picture: Picture) -> bytes:
    """Stored on its side, with the orientation that makes it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return _saved(_rgb(picture).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


def _turned_pixels(picture: Picture) -> NDArray[np.uint8]:
    stored = Image.open(io.BytesIO(_turned_jpeg(picture)))
    return np.asarray(stored.convert("RGB").transpose(Image.Transpose.ROTATE_270))


def _sixteen_bits(picture: Picture, highest: int = 65535) -> NDArray[np.uint16]:
    return (shades(picture).astype(np.float64) / 255 * highest).round().astype(np.uint16)


def _pgm(values: NDArray[np.uint16], highest: int) -> bytes:
    height, width = values.shape
    return b"P5\n%d %d\n%d\n" % (width, height, highest) + values.astype(">u2").tobytes()


def _tiff(values: NDArray[Any], sample_format: int, photometric: int = 1) -> bytes:
    """An uncompressed gray TIFF in one strip, written tag by tag: 1 unsigned, 2 signed, 3 floating-point samples."""
    height, width = values.shape
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    entries = (
        (256, 3, width),
        (257, 3, height),
        (258, 3, 8 * values.dtype.itemsize),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 3, height),
        (279, 4, len(data)),
        (339, 3, sample_format),
    )
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHI", tag, kind, 1) + struct.pack(
            "<I" if kind == 4 else "<HH", *((value,) if kind == 4 else (value, 0))
        )
    return b"II" + struct.pack("<HI", 42, 8 + len(data)) + data + directory + struct.pack("<I", 0)


def _pages(picture: Picture) -> bytes:
    return _saved(_rgb(picture), "TIFF", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])


def _frames(picture: Picture) -> bytes:
    image = _rgb(picture)
    return _saved(image, "PNG", save_all=True, append_images=[Image.new("RGB", image.size, "red")])


def _unknown(content: bytes) -> Callable[[Picture], bytes]:
    return lambda picture: content + picture.stem.encode()


def _cut(picture: Picture) -> bytes:
    whole = _saved(_rgb(picture), "PNG")
    return whole[: len(whole) // 2]


def _encodings() -> tuple[Encoding, ...]:
    jpeg, gray_jpeg = _lossy(_rgb), _lossy(_gray)
    cmyk = _lossy(lambda picture: _rgb(picture).convert("CMYK"))
    unit_float = lambda picture: _tiff(shades(picture).astype(np.float32) / 255, 3)  # noqa: E731
    return (
        Encoding("png", "png", lambda p: _saved(_rgb(p), "PNG"), colours),
        Encoding("png-palette", "png", lambda p: _saved(_rgb(p).quantize(256), "PNG"), colours),
        Encoding("png-gray", "png", lambda p: _saved(_gray(p), "PNG"), _gray_pixels),
        Encoding("png-gray-alpha", "png", lambda p: _saved(_gray(p).convert("LA"), "PNG"), _gray_pixels),
        Encoding("png-alpha", "png", lambda p: _saved(_rgb(p).convert("RGBA"), "PNG"), colours),
        Encoding(
            "png-1-bit",
            "png",
            lambda p: _saved(_gray(p).point(lambda v: 255 * (v >= 128), "1"), "PNG"),
            _black_and_white,
        ),
        Encoding("png-16-bit", "png", lambda p: _saved(Image.fromarray(_sixteen_bits(p)), "PNG"), _gray_pixels),
        Encoding("png-animated", "png", _frames, colours),
        Encoding("jpeg", "jpg", *jpeg),
        Encoding("jpeg-gray", "jpeg", *gray_jpeg),
        Encoding("jpeg-cmyk", "jpg", *cmyk),
        Encoding("jpeg-turned", "JPG", _turned_jpeg, _turned_pixels),
        Encoding("webp", "webp", lambda p: _saved(_rgb(p), "WEBP", lossless=True), colours),
        Encoding("gif", "gif", lambda p: _saved(_rgb(p).quantize(256), "GIF"), colours),
        Encoding("bmp", "bmp", lambda p: _saved(_rgb(p), "BMP"), colours),
        Encoding("ppm", "ppm", lambda p: _saved(_rgb(p), "PPM"), colours),
        Encoding("pgm", "pgm", lambda p: _saved(_gray(p), "PPM"), _gray_pixels),
        Encoding("pgm-16-bit", "pgm", lambda p: _pgm(_sixteen_bits(p), 65535), _gray_pixels),
        Encoding("pgm-12-bit", "pgm", lambda p: _pgm(_sixteen_bits(p, 4095), 4095), _gray_pixels),
        Encoding("tiff", "tif", lambda p: _saved(_rgb(p), "TIFF"), colours),
        Encoding("tiff-lzw", "tiff", lambda p: _saved(_rgb(p), "TIFF", compression="tiff_lzw"), colours),
        Encoding("tiff-pages", "tiff", _pages, colours, ordinary=False),
        Encoding("tiff-16-bit", "tif", lambda p: _tiff(_sixteen_bits(p), 1), _gray_pixels),
        Encoding("tiff-white-is-zero", "tif", lambda p: _tiff(255 - shades(p), 1, photometric=0), _gray_pixels),
        Encoding(
            "tiff-16-bit-white-is-zero",
            "tif",
            lambda p: _tiff(65535 - _sixteen_bits(p), 1, photometric=0),
            _gray_pixels,
            ordinary=False,
        ),
        Encoding(
            "tiff-32-bit", "tif", lambda p: _tiff(_sixteen_bits(p).astype(np.uint32), 1), _gray_pixels, readable=False
        ),
        Encoding(
            "tiff-signed",
            "tif",
            lambda p: _tiff(_sixteen_bits(p).astype(np.int32) - 1000, 2),
            _gray_pixels,
            readable=False,
        ),
        Encoding("tiff-float", "tif", unit_float, _gray_pixels, readable=False),
        Encoding("tiff-float-stated", "tif", unit_float, _gray_pixels, options=("--intensity_range", "0,1")),
        Encoding(
            "png-12-in-16-bit-stated",
            "png",
            lambda p: _saved(Image.fromarray(_sixteen_bits(p, 4095)), "PNG"),
            _gray_pixels,
            options=("--intensity_range", "0,4095"),
        ),
        Encoding("png-cut", "png", _cut, colours, readable=False),
        Encoding("empty", "png", lambda p: b"", colours, readable=False),
        Encoding("text", "jpg", _unknown(b"this is not a picture "), colours, readable=False),
        Encoding("postscript", "eps", lambda p: _saved(_rgb(p), "EPS"), colours, readable=False),
        Encoding(
            "heic", "heic", _unknown(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), colours, readable=False
        ),
    )


ENCODINGS = {encoding.name: encoding for encoding in _encodings()}
