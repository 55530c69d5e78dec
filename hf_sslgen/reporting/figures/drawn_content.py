"""What a figure depends on, as bytes to be hashed: equal for equal content, whatever process made it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.record_columns import VariantRows


class Digest(Protocol):
    """A hash of `hashlib`."""

    def update(self, data: bytes, /) -> None: ...


def feed(digest: Digest, value: Any) -> None:
    """Add a value and everything in it; raises TypeError for a kind of value whose content is not known."""
    match value:
        case None | bool() | int() | float() | str() | Number():
            digest.update(f"{type(value).__name__} {value!r}\n".encode("utf-8", "surrogatepass"))
        case np.generic():
            feed(digest, value.item())
        case np.ndarray() if value.dtype.kind != "O":
            digest.update(f"array {value.dtype.str} {value.shape}\n".encode())
            digest.update(value.tobytes())
        case pd.DataFrame():
            columns = {name: value[name].to_numpy() for name in value}
            feed(digest, {name: x.astype(str) if x.dtype.kind == "O" else x for name, x in columns.items()})
        case Cell():
            feed(digest, (value.identity, value.provenance, value.numbers, value.reader))
        case VariantRows():
            feed(digest, {"sample_id": value.sample_ids, **value})
        case Mapping():
            digest.update(f"mapping {len(value)}\n".encode())
            for key, item in value.items():
                feed(digest, key)
                feed(digest, item)
        case list() | tuple():
            digest.update(f"sequence {len(value)}\n".encode())
            for item in value:
                feed(digest, item)
        case _ if is_dataclass(value):
            digest.update(f"{type(value).__qualname__}\n".encode())
            for field in fields(value):
                feed(digest, vars(value)[field.name])
        case _:
            raise TypeError(f"a figure can't depend on {type(value).__name__}")
