"""Records of cells, read from their files once per report."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_BYTES = 500_000_000
"""Limit on memory. A row takes 60 to 80 bytes, so 300 cells of 10,000 rows take about 240 million."""


def read_records(path: Path) -> "pd.DataFrame":
    """Read the rows of a cell's `records.parquet`."""
    import pandas as pd

    return pd.read_parquet(path)


class HeldRecords:
    """A cache of records, compressed so that missing values take hardly any memory.

    Records that no longer fit are read from their file each time, so memory does not grow with the study.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._room = most_bytes
        self._packed: dict[Path, bytes] = {}

    def read(self, path: Path) -> "pd.DataFrame":
        """Read records like `read_records`; every call returns a new table."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = path.resolve()
        if path in self._packed:
            return pa.ipc.open_file(self._packed[path]).read_pandas()
        table = pq.read_table(path, use_pandas_metadata=True)
        packed = _packed(table)
        if len(packed) <= self._room:
            self._room -= len(packed)
            self._packed[path] = packed
        return table.to_pandas()


def _packed(table: "pa.Table") -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as file:
        file.write_table(table)
    return sink.getvalue().to_pybytes()  # the stream's own buffer has room for more
