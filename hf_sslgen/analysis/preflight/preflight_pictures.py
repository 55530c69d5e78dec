"""The pictures of a preflight: patches of the package's own photographs, the same for every backbone."""

import functools
import io

import pyarrow.parquet as pq
from PIL import Image

from hf_sslgen.domains.domain_registry import embedded_files, find_domain

PHOTOGRAPHS = "photo-patches"

PICTURES_PER_CLASS = 8


@functools.cache
def preflight_pictures() -> tuple[Image.Image, ...]:
    """Return RGB pictures of each photograph, spread evenly over its patches."""
    entry = find_domain(PHOTOGRAPHS)
    assert entry is not None
    table = pq.read_table(embedded_files(entry)["train"], columns=["image", "label"])
    labels = table["label"].to_pylist()
    chosen = []
    for label in sorted(set(labels)):
        rows = [row for row, each in enumerate(labels) if each == label]
        chosen += rows[:: max(1, len(rows) // PICTURES_PER_CLASS)][:PICTURES_PER_CLASS]
    found = table["image"].take(chosen).to_pylist()
    return tuple(Image.open(io.BytesIO(each["bytes"])).convert("RGB") for each in found)
