"""Boxes and masks of one image: conventions, orientation, and everything that can be wrong with them."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from hf_sslgen.decoding import CorruptImageError, StoredPicture, decode_image, stored_picture, unreadable
from hf_sslgen.domains.object_regions import read_boxes, read_mask
from hf_sslgen.errors import InputError

UPRIGHT = StoredPicture(64, 48, 1)
PHOTOGRAPH = Image.fromarray(load_sample_image("flower.jpg")).resize((60, 40))
ORIENTATION = 0x0112


def encode(image: Image.Image, file_format: str = "PNG", **options) -> dict:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return {"bytes": buffer.getvalue(), "path": None}


def turned(image: Image.Image, file_format: str, orientation: int) -> dict:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encode(image, file_format, exif=exif)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_turn_with_their_picture(orientation, file_format):
    """A box painted into the stored picture is found in the upright one."""
    box = (7, 3, 31, 19)
    painted = PHOTOGRAPH.point(lambda value: value // 2)
    painted.paste((255, 255, 255), box)
    options = {"lossless": True} if file_format == "WEBP" else {}
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    value = encode(painted, file_format, exif=exif, **options)
    upright = np.asarray(decode_image(value, "picture"))
    seen = (upright == 255).all(axis=2)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    stored = stored_picture(value, "picture")
    assert (stored.width, stored.height, stored.orientation) == (60, 40, orientation)
    assert stored.upright_size == upright.shape[1::-1]
    expected = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert read_boxes(box, "xyxy", stored, "here").tolist() == [expected]
    mask = np.zeros((40, 60), dtype=np.uint8)
    mask[3:19, 7:31] = 1
    assert np.array_equal(read_mask(encode(Image.fromarray(mask)), stored, "here"), seen)
    assert np.array_equal(read_mask(mask.tolist(), stored, "here"), seen)
    assert read_mask(None, stored, "here").shape == seen.shape


def test_header_alone_tells_size_and_unknown_orientation_is_upright():
    for file_format in ("PNG", "JPEG"):
        value = turned(PHOTOGRAPH, file_format, 6)
        header = {"bytes": value["bytes"][: len(value["bytes"]) // 2], "path": None}
        assert stored_picture(header, "picture") == StoredPicture(60, 40, 6)
        with pytest.raises(CorruptImageError):
            decode_image(header, "picture")
    with pytest.raises(CorruptImageError, match="picture can't be decoded"):
        stored_picture({"bytes": b"nothing", "path": None}, "picture")
    assert stored_picture(turned(PHOTOGRAPH, "JPEG", 9), "picture") == StoredPicture(60, 40, 1)


@pytest.mark.parametrize(
    ("value", "box_format", "expected"),
    [
        ([1, 2, 30, 40], "xyxy", [[1, 2, 30, 40]]),
        ([1, 2, 30, 40], "xywh", [[1, 2, 31, 42]]),
        ([[1, 2, 30, 40], [5.5, 0, 64, 48]], "xyxy", [[1, 2, 30, 40], [5.5, 0, 64, 48]]),
        (None, "xyxy", []),
        ([], "xyxy", []),
        ([0, 0, 0, 0], "xyxy", []),
        ([[63, 10, 63, 39], [0, 0, 64, 48]], "xyxy", [[0, 0, 64, 48]]),
        ([5, 5, 0, 10], "xywh", []),
        ([1, 1, 65, 49], "xyxy", [[1, 1, 64, 48]]),
        ([-0.4, -1, 3, 4], "xyxy", [[0, 0, 3, 4]]),
        ([0, 0, 1, 1], "xyxy", [[0, 0, 1, 1]]),
    ],
)
def test_boxes_of_every_form(value, box_format, expected):
    boxes = read_boxes(value, box_format, UPRIGHT, "here")
    assert boxes.shape == (len(expected), 4) and boxes.tolist() == expected


@pytest.mark.parametrize(
    ("value", "box_format", "reason"),
    [
        ([1, 2, 3], "xyxy", r"column 'b', image 7: \[1, 2, 3\] is neither a box of four numbers"),
        ([[1, 2, 3, 4], [1, 2, 3]], "xyxy", "is neither a box of four numbers"),
        ([1, 2, None, 4], "xyxy", "is neither a box of four numbers"),
        ([1, 2, float("inf"), 4], "xyxy", "is neither a box of four numbers"),
        ([[[1, 2, 3, 4]]], "xyxy", "is neither a box of four numbers"),
        ([30, 20, 10, 10], "xyxy", r"the box \[30.0, 20.0, 10.0, 10.0\] ends before it begins; .*--box_format xywh"),
        ([30, 20, -5, 10], "xywh", r"the box \[30.0, 20.0, -5.0, 10.0\] ends before it begins; .*box_format at xyxy"),
        ([0, 0, 66, 48], "xyxy", r"leaves the picture of 64 x 48 pixels; .*--box_format xywh"),
        ([-2, 0, 60, 48], "xyxy", "leaves the picture"),
        ([40, 10, 50, 40], "xywh", r"the box \[40.0, 10.0, 50.0, 40.0\] leaves the picture .*box_format at xyxy"),
        ([[3, 3, 5, 5], [0, 0, 20, 50]], "xyxy", r"the box \[0.0, 0.0, 20.0, 50.0\] leaves the picture"),
        ([0.1, 0.2, 0.9, 1.0], "xyxy", r"looks like shares of the picture; .* \(64 x 48 here\)"),
    ],
)
def test_unusable_boxes_are_named(value, box_format, reason):
    with pytest.raises(InputError, match=reason):
        read_boxes(value, box_format, UPRIGHT, "column 'b', image 7:")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 48)] * 4), max_size=4), st.integers(1, 8))
def test_both_formats_are_one_box_and_turning_keeps_its_area(corners, orientation):
    picture = StoredPicture(64, 48, orientation)
    boxes = [[min(a, b), min(c, d), max(a, b), max(c, d)] for a, b, c, d in corners]
    sizes = [[x0, y0, x1 - x0, y1 - y0] for x0, y0, x1, y1 in boxes]
    read = read_boxes(boxes, "xyxy", picture, "here")
    assert np.array_equal(read, read_boxes(sizes, "xywh", picture, "here"))
    areas = [width * height for _, _, width, height in sizes if width * height > 0]
    assert (read[:, 2:] - read[:, :2]).prod(axis=1).tolist() == areas
    assert (read >= 0).all() and (read[:, [2, 3]] <= picture.upright_size).all()


def test_masks_of_every_form():
    mask = np.zeros((48, 64), dtype=np.uint8)
    mask[5:9, 20:30] = 3
    expected = mask > 0
    as_picture = Image.fromarray(mask)
    palette = as_picture.copy()
    palette.putpalette([10, 20, 30] * 256)
    forms = [
        encode(as_picture),
        encode(palette),
        encode(Image.fromarray(mask > 0)),
        encode(Image.fromarray(mask.astype(np.uint16) * 1000)),
        encode(Image.merge("RGB", [as_picture, as_picture.point(lambda _: 0), as_picture])),
        (mask > 0).tolist(),
        (mask / 7).tolist(),
    ]
    for value in forms:
        found = read_mask(value, UPRIGHT, "here")
        assert found.dtype == np.bool_ and np.array_equal(found, expected)
    assert not read_mask(None, UPRIGHT, "here").any()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (encode(Image.new("L", (48, 64))), r"image 7: the mask has 48 x 64 pixels and its picture 64 x 48, as stored"),
        ([[0, 1]], "the mask has 2 x 1 pixels"),
        ([[0, 1], [0]], "is not a 2-D array of numbers"),
        ([[0, None]], "is not a 2-D array of numbers"),
        ([], "is not a 2-D array of numbers"),
        (encode(Image.new("RGBA", (64, 48))), r"has an alpha channel \(mode RGBA\)"),
        (
            {"bytes": b"nothing", "path": "mask.png"},
            "image 7: the mask can't be decoded: its format is not supported",
        ),
        (unreadable("mask.png", "there is no such file"), "the mask can't be decoded: there is no such file"),
    ],
)
def test_unusable_masks_are_named(value, reason):
    with pytest.raises(InputError, match=reason):
        read_mask(value, UPRIGHT, "column 'm', image 7:")
