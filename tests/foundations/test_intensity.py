"""Ramps of gray in the formats that people keep medical, microscopy and satellite pictures in."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from hf_sslgen.decoding import CorruptImageError, decode_image, picture_formats, value_range
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.intensity import PER_IMAGE, STATED, Intensity, UnknownRangeError, read_intensity
from hf_sslgen.preprocessing import evaluation_pixels

RAMP = np.tile(np.linspace(0, 1, 64), (16, 1))
SHADES = np.rint(255 * RAMP)


def scaled(largest, dtype, least=0):
    values = least + (largest - least) * RAMP
    return (values if dtype == np.float32 else np.rint(values)).astype(dtype)


def value(encoded):
    return {"bytes": encoded, "path": None}


def pillow(pixels, file_format="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, file_format, **options)
    return value(buffer.getvalue())


def tiff(pixels, **options):
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, **options)
    return value(buffer.getvalue())


def limits(least, largest, kind):
    """TIFF's SMinSampleValue and SMaxSampleValue."""
    return [(340, kind, 1, least, True), (341, kind, 1, largest, True)]


def pgm(pixels, largest):
    kind = ">u2" if largest > 255 else "u1"
    return value(b"P5\n64 16\n%d\n" % largest + pixels.astype(kind).tobytes())


def plain_pgm(pixels, largest):
    numbers = "\n".join(" ".join(map(str, row)) for row in pixels)
    return value(f"P2\n64 16\n{largest}\n{numbers}\n".encode())


def shades(encoded, intensity=STATED):
    decoded = decode_image(encoded, "picture", intensity)
    assert decoded.mode == "RGB"
    pixels = np.asarray(decoded, dtype=float)
    assert np.array_equal(pixels[..., 0], pixels[..., 2])
    return pixels[..., 0]


def assert_ramp(found, expected=SHADES):
    assert np.abs(found - expected).max() <= 1


STATED_FILES = {
    "16-bit PNG": lambda: pillow(scaled(65535, np.uint16)),
    "16-bit TIFF": lambda: tiff(scaled(65535, np.uint16)),
    "16-bit TIFF, big-endian": lambda: tiff(scaled(65535, np.uint16), byteorder=">"),
    "16-bit TIFF by Pillow": lambda: pillow(scaled(65535, np.uint16), "TIFF"),
    "16-bit TIFF, white is zero": lambda: tiff(65535 - scaled(65535, np.uint16), photometric="miniswhite"),
    "8-bit TIFF, white is zero": lambda: tiff(255 - scaled(255, np.uint8), photometric="miniswhite"),
    "12 of 16 bits, stated": lambda: tiff(scaled(4095, np.uint16), extratags=limits(0, 4095, "H")),
    "32-bit TIFF, stated": lambda: tiff(scaled(70000, np.uint32), extratags=limits(0, 70000, "I")),
    "float TIFF, stated": lambda: tiff(scaled(3, np.float32, -1), extratags=limits(-1.0, 3.0, "f")),
    "16-bit PGM": lambda: pgm(scaled(65535, np.uint16), 65535),
    "12-bit PGM": lambda: pgm(scaled(4095, np.uint16), 4095),
    "plain 12-bit PGM": lambda: plain_pgm(scaled(4095, np.uint16), 4095),
    "4-bit PGM": lambda: pgm(scaled(15, np.uint8), 15),
    "8-bit PNG": lambda: pillow(scaled(255, np.uint8)),
    "16-bit JPEG 2000": lambda: pillow(scaled(65535, np.uint16), "JPEG2000"),
    "16-bit colour PNG": lambda: colour_png(scaled(65535, np.uint16)),
    "16-bit colour TIFF": lambda: tiff(np.stack([scaled(65535, np.uint16)] * 3, -1), photometric="rgb"),
    "16-bit colour PPM": lambda: value(
        b"P6\n64 16\n4095\n" + np.stack([scaled(4095, np.uint16)] * 3, -1).astype(">u2").tobytes()
    ),
}


def colour_png(pixels):
    """Pillow writes none with 16 bits a channel."""
    lines = np.stack([pixels] * 3, -1).astype(">u2")
    content = b"".join(b"\0" + line.tobytes() for line in lines)
    header = np.array([64, 16], ">u4").tobytes() + bytes([16, 2, 0, 0, 0])
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b""))
    parts = [
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in chunks
    ]
    return value(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


@pytest.mark.parametrize("name", STATED_FILES)
def test_the_stated_range_becomes_all_shades(name):
    expected = 17 * scaled(15, float) if name == "4-bit PGM" else SHADES
    assert_ramp(shades(STATED_FILES[name]()), expected)


UNKNOWN_FILES = {
    "uint32 TIFF": (lambda: tiff(scaled(65535, np.uint32)), (0, 65535)),
    "uint32 TIFF above half": (lambda: tiff(scaled(2**32 - 1, np.uint32)), (0, 2**32 - 1)),
    "int32 TIFF": (lambda: tiff(scaled(70000, np.int32, -500)), (-500, 70000)),
    "int16 TIFF": (lambda: tiff(scaled(3000, np.int16, -1000)), (-1000, 3000)),
    "int8 TIFF": (lambda: tiff(scaled(127, np.int8, -128)), (-128, 127)),
    "float TIFF to 1": (lambda: tiff(RAMP.astype(np.float32)), (0, 1)),
    "float TIFF to 3000": (lambda: tiff((3000 * RAMP).astype(np.float32)), (0, 3000)),
    "PFM": (lambda: value(b"Pf\n64 16\n-1.0\n" + RAMP.astype("<f4").tobytes()), (0, 1)),
}


@pytest.mark.parametrize("name", UNKNOWN_FILES)
def test_a_range_that_is_not_stated_is_asked_for(name):
    make, (low, high) = UNKNOWN_FILES[name]
    encoded = make()
    with pytest.raises(UnknownRangeError, match=r"picture holds .* pass --intensity_range LOW,HIGH"):
        decode_image(encoded, "picture")
    assert_ramp(shades(encoded, Intensity((low, high))))
    assert_ramp(shades(encoded, PER_IMAGE))
    found = value_range(encoded, "picture")
    assert (found.least, found.largest) == pytest.approx((low, high))


def test_a_range_that_is_given_counts_for_every_kind():
    twelve = scaled(4095, np.uint16)
    for encoded in (pillow(twelve), tiff(twelve), pgm(twelve, 4095), plain_pgm(twelve, 4095), pgm(twelve, 65535)):
        assert_ramp(shades(encoded, read_intensity("0,4095")))
    half = shades(pillow(scaled(255, np.uint8)), Intensity((0, 127.5)))
    assert_ramp(half, np.minimum(2 * SHADES, 255))
    colours = np.stack([scaled(100, np.uint8), scaled(50, np.uint8), scaled(25, np.uint8)], -1)
    found = np.asarray(decode_image(pillow(colours), "picture", Intensity((0, 100))), dtype=float)
    assert np.abs(found - 2.55 * colours).max() <= 1
    inverted = tiff(65535 - scaled(65535, np.uint16), photometric="miniswhite")
    assert_ramp(shades(inverted, Intensity((0, 65535))))
    with pytest.raises(UnknownRangeError, match="of which Pillow keeps only 8 bits"):
        decode_image(colour_png(twelve), "picture", Intensity((0, 4095)))


def test_what_is_no_number_is_black_and_what_is_beyond_is_cut():
    pixels = RAMP.astype(np.float32).copy()
    pixels[0, :4] = [np.nan, np.inf, -np.inf, 7]
    found = shades(tiff(pixels), Intensity((0, 1)))
    assert found[0, :4].tolist() == [0, 255, 0, 255]
    assert shades(tiff(np.full((4, 4), 5, np.float32)), PER_IMAGE).max() == 0


def test_large_pictures_are_read_in_parts(monkeypatch):
    whole = [shades(make(), PER_IMAGE) for make, _ in UNKNOWN_FILES.values()]
    monkeypatch.setattr("hf_sslgen.intensity.VALUES_AT_ONCE", 64 * 3)
    parts = [shades(make(), PER_IMAGE) for make, _ in UNKNOWN_FILES.values()]
    assert all(np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))
    assert_ramp(shades(pgm(scaled(4095, np.uint16), 4095)))


@pytest.mark.parametrize("text", ["", "0", "1,0", "5,5", "nan,1", "0,inf", "0,1,2", "low,high", "images"])
def test_ranges_that_mean_nothing_are_refused(text):
    with pytest.raises(InputError, match="must be LOW,HIGH"):
        read_intensity(text)


def test_frames_after_the_first_and_transparency_change_nothing():
    first, second = Image.fromarray(scaled(255, np.uint8)), Image.fromarray(255 - scaled(255, np.uint8))
    for file_format in ("GIF", "PNG", "TIFF", "WEBP"):
        buffer = io.BytesIO()
        options = {"lossless": True} if file_format == "WEBP" else {}
        first.save(buffer, file_format, save_all=True, append_images=[second], **options)
        assert_ramp(shades(value(buffer.getvalue())))
    for mode in ("LA", "RGBA"):
        clear = first.convert(mode)
        clear.putalpha(128)
        assert_ramp(shades(pillow(np.asarray(clear))))


def test_no_other_program_is_asked_and_narrow_pictures_are_refused():
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) run\n%%EOF\n"
    with pytest.raises(CorruptImageError, match=r"its format is not supported \(supported: PNG, JPEG,"):
        decode_image(value(postscript), "picture")
    assert not {"EPS", "WMF", "PSD", "FITS"} & set(picture_formats())
    for size in ((1, 600_000), (600_000, 1)):
        with pytest.raises(CorruptImageError, match="pixels is too narrow"):
            decode_image(pillow(np.zeros(size, np.uint8)), "picture")
    assert decode_image(pillow(np.zeros((1, 900), np.uint8)), "picture").size == (900, 1)
    with pytest.raises(InputError, match="900 x 1 pixels would be resized to 1024 x 921600"):
        evaluation_pixels(Image.new("RGB", (900, 1)), Geometry(1024, 1.0, "bilinear"))


def _damaged(encoded, generator):
    damaged = np.frombuffer(encoded["bytes"], dtype=np.uint8).copy()
    places = generator.integers(0, len(damaged), size=8)
    places[:4] = generator.integers(0, min(len(damaged), 160), size=4)  # where headers are, at one end or the other
    places[4:6] = len(damaged) - 1 - generator.integers(0, min(len(damaged), 160), size=2)
    damaged[places] = generator.integers(0, 256, size=8)
    return value(damaged.tobytes())


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("rounds", [8, pytest.param(200, marks=pytest.mark.slow)])
def test_damaged_deep_pictures_are_decoded_or_named(rounds):
    generator = np.random.default_rng(0)
    outcomes = {"decoded": 0, "corrupt": 0, "unknown": 0}
    for make in [*STATED_FILES.values(), *(make for make, _ in UNKNOWN_FILES.values())]:
        whole = make()
        for _ in range(rounds):
            encoded = _damaged(whole, generator)
            for intensity in (STATED, Intensity((0, 100)), PER_IMAGE):
                try:
                    assert decode_image(encoded, "picture", intensity).mode == "RGB"
                    outcomes["decoded"] += 1
                except CorruptImageError:
                    outcomes["corrupt"] += 1
                except UnknownRangeError:
                    outcomes["unknown"] += 1
    assert min(outcomes.values()) > 20, outcomes
