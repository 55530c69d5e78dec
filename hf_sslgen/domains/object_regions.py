"""Read a dataset's object boxes and masks, in pixels of the upright picture."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.decoding import CorruptImageError, StoredPicture, opened_picture
from hf_sslgen.domains.words import BoxFormat
from hf_sslgen.errors import InputError

EDGE_TOLERANCE = 1.0
"""Pixels by which a box may exceed the picture before it is clipped: from rounding, or counting from 1."""

OTHER_FORMAT = {
    "xyxy": "if these are x, y, width, height, pass --box_format xywh",
    "xywh": "if these are the corners x0, y0, x1, y1, leave --box_format at xyxy",
}

FLIPS = {
    1: (False, False),
    2: (True, False),
    3: (True, True),
    4: (False, True),
    5: (False, False),
    6: (False, True),
    7: (True, True),
    8: (True, False),
}
"""For each EXIF orientation, whether to mirror left-right and top-bottom; from 5 on, the axes are then swapped."""


def read_boxes(value: Any, box_format: BoxFormat, picture: StoredPicture, where: str) -> NDArray[np.float64]:
    """Read the boxes of one image, in pixels of the upright picture.

    Coordinates are edges, not indices: the left edge of a picture is 0 and its right edge is the width, so a box that
    ends at the last pixel's index is one pixel short. A box may exceed an edge by a pixel and is clipped there.

    Args:
        value: four numbers, a list of such boxes, or None; in pixels of the picture as stored.
        where: description of the place, for errors.

    Returns:
        (K, 4), x0, y0, x1, y1 with x0 < x1 and y0 < y1. Boxes of zero width or height, which clipping at a picture's
        edge produces, are left out; K is 0 if none remain.

    Raises:
        InputError: the value is not boxes of four finite numbers, a box has its corners in the wrong order or leaves
            the picture, or it is given in shares of the picture instead of pixels.
    """
    if value is None or len(value) == 0:
        return np.empty((0, 4))
    try:
        boxes = np.atleast_2d(np.array(value, dtype=np.float64))
    except (TypeError, ValueError):  # boxes of unequal length
        boxes = np.empty(0)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.isfinite(boxes).all():
        raise InputError(f"{where} {value} is neither a box of four numbers nor a list of such boxes")
    given = boxes.copy()
    if box_format == "xywh":
        boxes[:, 2:] += boxes[:, :2]
    reversed_ = (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if reversed_.any():
        found = given[np.argmax(reversed_)].tolist()
        raise InputError(f"{where} the box {found} ends before it begins; {OTHER_FORMAT[box_format]}")
    limits = np.array([picture.width, picture.height] * 2)
    outside = ((boxes < -EDGE_TOLERANCE) | (boxes > limits + EDGE_TOLERANCE)).any(axis=1)
    if outside.any():
        found = given[np.argmax(outside)].tolist()
        raise InputError(
            f"{where} the box {found} leaves the picture of {picture.width} x {picture.height} pixels; "
            f"{OTHER_FORMAT[box_format]}"
        )
    if boxes.max() <= 1 and (boxes % 1 > 0).any():
        raise InputError(
            f"{where} {value} looks like shares of the picture; boxes must be in pixels "
            f"({picture.width} x {picture.height} here)"
        )
    boxes = boxes.clip(0, limits)
    return _upright_boxes(boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)], picture)


def _upright_boxes(boxes: NDArray[np.float64], picture: StoredPicture) -> NDArray[np.float64]:
    x, y = boxes[:, [0, 2]], boxes[:, [1, 3]]
    flip_x, flip_y = FLIPS[picture.orientation]
    if flip_x:
        x = picture.width - x[:, ::-1]
    if flip_y:
        y = picture.height - y[:, ::-1]
    if picture.is_turned:
        x, y = y, x
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


def read_mask(value: Any, picture: StoredPicture, where: str) -> NDArray[np.bool_]:
    """Read the mask of one image, in pixels of the upright picture.

    Args:
        value: an undecoded picture, a 2-D list, or None for an image without the object; as large as the picture as
            stored, and nonzero on the object. Palette images count by index.
        where: description of the place, for errors.

    Returns:
        (height, width), True on the object.

    Raises:
        InputError: the mask differs in size from its picture, has transparency, or can't be read.
    """
    if value is None:
        return np.zeros(picture.upright_size[::-1], dtype=np.bool_)
    mask = _decoded_mask(value, where) if isinstance(value, dict) else _listed_mask(value, where)
    if mask.shape != (picture.height, picture.width):
        size = " x ".join(str(side) for side in mask.shape[::-1])
        raise InputError(
            f"{where} the mask has {size} pixels and its picture {picture.width} x {picture.height}, as stored "
            "(before any EXIF orientation); they must be equal"
        )
    flip_x, flip_y = FLIPS[picture.orientation]
    mask = mask[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
    return np.ascontiguousarray(mask.T if picture.is_turned else mask)


def _decoded_mask(value: dict[str, Any], where: str) -> NDArray[np.bool_]:
    try:
        with opened_picture(value, where) as opened:
            pixels, mode = np.asarray(opened), opened.mode
    except CorruptImageError as error:
        raise InputError(f"{where} the mask can't be decoded: {error.reason}") from error
    if mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        raise InputError(f"{where} the mask has an alpha channel (mode {mode}); store it as a single-channel picture")
    if pixels.ndim == 3:
        pixels = pixels.max(axis=2)
    return np.not_equal(pixels, 0)


def _listed_mask(value: Any, where: str) -> NDArray[np.bool_]:
    try:
        numbers = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):  # rows of unequal length
        numbers = np.empty(0)
    if numbers.ndim != 2 or not np.isfinite(numbers).all():
        raise InputError(f"{where} the mask is not a 2-D array of numbers")
    return numbers != 0
