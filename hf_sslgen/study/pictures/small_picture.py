"""Encode a picture as a small one."""

import io

from PIL import Image

SIDE = 96
"""Largest width and height of a small picture, in pixels."""

MOST_BYTES = 16_384
"""Largest file of a small picture; usual ones take 1 to 3 kB."""

QUALITY = 75
LOWER_QUALITIES = (40, 10)
"""For pictures that would be larger than `MOST_BYTES`, such as noise."""


def small_picture(image: Image.Image, side: int = SIDE) -> bytes:
    """Return an RGB image as WebP of at most `side` pixels a side and `MOST_BYTES`; smaller images keep their size."""
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    for quality in (QUALITY, *LOWER_QUALITIES):
        buffer = io.BytesIO()
        image.save(buffer, "WEBP", quality=quality, method=4)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()
