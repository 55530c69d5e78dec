"""Where a cell's records are read from: their file, once per report, or memory."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from hf_sslgen.study.cells.record_columns import RecordColumns
from hf_sslgen.study.cells.record_files import columns_of_frame, read_columns

if TYPE_CHECKING:
    import pandas as pd

MOST_BYTES = 500_000_000
"""Limit on memory. A cell of 2,000 images takes 250 kB, or 700 kB with eight variants of 1,000 of them."""


class RecordsReader(Protocol):
    """Reads the records of a path in one of two forms."""

    def frame(self, path: Path) -> "pd.DataFrame":
        """Return all rows as a new table."""

    def columns(self, path: Path) -> RecordColumns:
        """Return the rows of each variant as arrays, which callers must not change."""


class RecordFiles:
    """Reads `records.parquet` files whenever they are asked for."""

    def frame(self, path: Path) -> "pd.DataFrame":
        """Read all rows; metadata of pandas, which anybody may have written, are ignored."""
        import pyarrow.parquet as pq

        return pq.read_table(path).to_pandas(ignore_metadata=True)

    def columns(self, path: Path) -> RecordColumns:
        return read_columns(path)


class HeldRecords(RecordFiles):
    """Keeps the arrays that were read last, so that a report reads every file once.

    When they no longer fit, the oldest go and are read again if needed, so memory does not grow with the study.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._room = most_bytes
        self._held: OrderedDict[Path, RecordColumns] = OrderedDict()
        self._sample_ids: dict[bytes, NDArray[Any]] = {}

    def columns(self, path: Path) -> RecordColumns:
        path = path.resolve()
        if path in self._held:
            self._held.move_to_end(path)
            return self._held[path]
        columns = super().columns(path).sharing_images(self._shared)
        self._held[path] = columns
        self._room -= columns.num_bytes
        while self._room < 0 and self._held:
            self._room += self._held.popitem(last=False)[1].num_bytes
        return columns

    def _shared(self, sample_ids: NDArray[Any]) -> NDArray[Any]:
        """Return the same array for equal sample ids, which all cells of a domain have."""
        digest = hashlib.blake2b(sample_ids.tobytes(), person=sample_ids.dtype.str.encode(), digest_size=16).digest()
        return self._sample_ids.setdefault(digest, sample_ids)


@dataclass(frozen=True, eq=False)
class RecordsInMemory:
    """The records of a cell that has no file."""

    records: "pd.DataFrame"

    def frame(self, path: Path) -> "pd.DataFrame":
        return self.records.copy()

    def columns(self, path: Path) -> RecordColumns:
        return columns_of_frame(self.records)


@dataclass(frozen=True, eq=False)
class RecordsInColumns:
    """A part of the records of a cell, of untransformed images."""

    records: RecordColumns

    def frame(self, path: Path) -> "pd.DataFrame":
        return self.records.clean.frame()

    def columns(self, path: Path) -> RecordColumns:
        return self.records
