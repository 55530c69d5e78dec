"""Records of cells, read from their files once for all that a report asks of them."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_BYTES = 500_000_000
"""Held at a time. A row takes 60 to 80 bytes, so 300 cells of 10,000 rows take about 240 million."""


def read_records(path: Path) -> "pd.DataFrame":
    """The rows of a cell's `records.parquet`."""
    import pandas as pd

    return pd.read_parquet(path)


class HeldRecords:
    """Keeps the records that it read, packed: a column takes hardly any room for the rows that have no value in it.

    Records that no longer fit are read from their file again each time, so memory does not grow with the study.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._room = most_bytes
        self._packed: dict[Path, pa.Buffer] = {}

    def read(self, path: Path) -> "pd.DataFrame":
        """As `read_records`; every call returns a table of its own."""
        path = path.resolve()
        if path in self._packed:
            return _unpacked(self._packed[path])
        records = read_records(path)
        packed = _packed(records)
        if packed.size <= self._room:
            self._room -= packed.size
            self._packed[path] = packed
        return records


def _packed(records: "pd.DataFrame") -> "pa.Buffer":
    import pyarrow as pa

    table, sink = pa.Table.from_pandas(records), pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as file:
        file.write_table(table)
    return sink.getvalue()


def _unpacked(packed: "pa.Buffer") -> "pd.DataFrame":
    import pyarrow as pa

    return pa.ipc.open_file(packed).read_pandas()
