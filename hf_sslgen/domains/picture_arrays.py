"""Pictures that a dataset stores as arrays of numbers."""

import io
from typing import Any

import numpy as np
from datasets import Array2D, Array3D, LargeList, List, Value
from PIL import Image

from hf_sslgen.errors import InputError

CHANNELS = (1, 3, 4)


def array_of(feature: Any) -> tuple[int, str] | None:
    """Return the number of dimensions and the type of a column of arrays; None for any other column."""
    if isinstance(feature, (Array2D, Array3D)):
        return len(feature.shape), feature.dtype
    depth = 0
    while isinstance(feature, (List, LargeList)):
        depth, feature = depth + 1, feature.feature
    return (depth, feature.dtype) if depth and isinstance(feature, Value) else None


def array_objection(feature: Any) -> str | None:
    """Explain from its type why a column of arrays can't hold pictures; None if it may."""
    dimensions, dtype = array_of(feature) or (0, "")
    if not dtype.startswith(("int", "uint", "bool")):
        return (
            f"arrays of {dtype}, which do not define black and white; store whole numbers from 0 to 255, or PNG files"
        )
    if dimensions == 1:
        return "flat lists of numbers, which have no height and width; store them as lists of rows, or PNG files"
    if dimensions > 3:
        return f"arrays of {dimensions} dimensions; store one picture per row, as (height, width, channels)"
    return None


def encode_array(value: Any, where: str) -> dict[str, Any] | None:
    """Encode an array (H, W) or (H, W, 1, 3 or 4) as an undecoded `datasets.Image` value.

    Raises:
        InputError: the array has another shape or numbers outside 0 to 255.
    """
    if value is None:
        return None
    try:
        pixels = np.array(value)
    except ValueError:  # rows of unequal length
        pixels = np.empty(0, dtype=object)
    if pixels.dtype == object or pixels.ndim not in (2, 3) or pixels.size == 0:
        raise InputError(f"{where} is not an array of (height, width) or (height, width, channels) numbers")
    if pixels.ndim == 3 and pixels.shape[2] not in CHANNELS:
        hint = "; its channels seem to come first, so transpose it" if pixels.shape[0] in CHANNELS else ""
        raise InputError(f"{where} is an array of shape {pixels.shape}; it must be (height, width, 1, 3 or 4){hint}")
    if pixels.dtype == np.bool_:
        pixels = 255 * pixels
    if pixels.min() < 0 or pixels.max() > 255:
        raise InputError(
            f"{where} holds numbers from {pixels.min()} to {pixels.max()}; arrays must lie between 0 and 255; store "
            "other ranges as PNG or TIFF files (see --intensity_range)"
        )
    squeezed = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed, dtype=np.uint8)).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}
