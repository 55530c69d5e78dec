"""From encoded pictures to RGB ones, against Pillow on real photographs."""

import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from hf_sslgen.decoding import CorruptImageError, decode_image, unreadable

ORIENTATION = 0x0112


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """640 x 427 pixels."""
    return Image.fromarray(load_sample_image("china.jpg"))


def _encode(image: Image.Image, file_format: str, **options) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def test_16_bit_gray_keeps_its_shades(photograph):
    gray = np.asarray(photograph.convert("L"))
    wide = Image.fromarray(gray.astype(np.uint16) * 257)
    for file_format in ("PNG", "TIFF"):
        decoded = np.asarray(decode_image(_encode(wide, file_format), "picture"))
        assert np.array_equal(decoded, np.stack([gray] * 3, axis=-1))


def test_palette_cmyk_gray_and_transparent_pictures_become_rgb(photograph):
    palette = photograph.quantize(64)
    decoded = decode_image(_encode(palette, "PNG"), "picture")
    assert np.array_equal(np.asarray(decoded), np.asarray(palette.convert("RGB")))
    for mode, file_format in (("CMYK", "JPEG"), ("L", "PNG"), ("RGBA", "WEBP"), ("1", "PNG")):
        converted = photograph.convert(mode)
        decoded = decode_image(_encode(converted, file_format, quality=95), "picture")
        assert decoded.mode == "RGB"
        distance = np.asarray(decoded).astype(float) - np.asarray(converted.convert("RGB"))
        assert np.abs(distance).mean() < 3


@pytest.mark.parametrize(
    ("orientation", "undo"),
    [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_270), (8, Image.Transpose.ROTATE_90)],
)
def test_exif_orientation_is_applied(photograph, orientation, undo):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    decoded = decode_image(_encode(photograph, "PNG", exif=exif), "picture")
    assert np.array_equal(np.asarray(decoded), np.asarray(photograph.transpose(undo)))


def test_broken_pictures_are_named(photograph):
    whole = _encode(photograph, "JPEG")["bytes"]
    broken = [
        {"bytes": whole[: len(whole) // 2], "path": "half.jpg"},
        {"bytes": b"", "path": "empty.jpg"},
        {"bytes": b"no picture", "path": "text.png"},
        unreadable("absent.png", "there is no such file"),
    ]
    for value in broken:
        with pytest.raises(CorruptImageError, match="image 3 of split 'train'") as raised:
            decode_image(value, "image 3 of split 'train'")
        assert value["path"] in str(raised.value) and "--skip_corrupt" in str(raised.value)
    for missing in (None, {"bytes": None, "path": None}):
        with pytest.raises(CorruptImageError, match="image 3"):
            decode_image(missing, "image 3")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_raise_anything_else(photograph):
    generator = np.random.default_rng(0)
    small = photograph.resize((24, 16))
    outcomes = {"decoded": 0, "corrupt": 0}
    for file_format in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"):
        encoded = np.frombuffer(_encode(small, file_format)["bytes"], dtype=np.uint8)
        for _ in range(60):
            damaged = encoded.copy()
            damaged[generator.integers(0, min(len(damaged), 200), size=5)] = generator.integers(0, 256, size=5)
            try:
                decode_image({"bytes": damaged.tobytes(), "path": None}, "picture")
                outcomes["decoded"] += 1
            except CorruptImageError:
                outcomes["corrupt"] += 1
    assert min(outcomes.values()) > 20
