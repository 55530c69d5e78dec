"""The pictures of a preflight: mosaics of patches of the package's own photographs, the same for every backbone.

A single patch of 48 px would be enlarged, and so be smoother than the photographs that networks are trained on.
"""

import functools
import io
import math

import pyarrow.parquet as pq
from PIL import Image

from hf_sslgen.domains.domain_registry import embedded_files, find_domain
from hf_sslgen.geometry import Geometry

PHOTOGRAPHS = "photo-patches"

PICTURES_PER_PHOTOGRAPH = 3


@functools.cache
def _patches() -> tuple[tuple[Image.Image, ...], ...]:
    """Return the RGB patches of each photograph."""
    entry = find_domain(PHOTOGRAPHS)
    assert entry is not None
    table = pq.read_table(embedded_files(entry)["train"], columns=["image", "label"])
    photographs: dict[int, list[Image.Image]] = {}
    for row in table.to_pylist():
        patch = Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")
        photographs.setdefault(row["label"], []).append(patch)
    return tuple(tuple(photographs[label]) for label in sorted(photographs))


def preflight_pictures(geometry: Geometry) -> tuple[Image.Image, ...]:
    """Return square RGB pictures, each of patches of one photograph, and large enough not to be enlarged."""
    return _mosaics(math.ceil(geometry.image_size / (geometry.crop_pct or 1.0) / _patches()[0][0].width))


@functools.lru_cache(maxsize=4)
def _mosaics(patches_a_side: int) -> tuple[Image.Image, ...]:
    made, number = [], patches_a_side**2
    for patches in _patches():
        for picture in range(PICTURES_PER_PHOTOGRAPH):
            side = patches[0].width
            mosaic = Image.new("RGB", (patches_a_side * side, patches_a_side * side))
            for position in range(number):
                # Steps of 7 pass over all patches, whose neighbours overlap.
                patch = patches[(picture * number + position) * 7 % len(patches)]
                mosaic.paste(patch, (position % patches_a_side * side, position // patches_a_side * side))
            made.append(mosaic)
    return tuple(made)
