"""Write the numbers and records of cells as parquet files that `load_dataset` reads as two tables.

Each cell has its own files, so that adding a cell changes no other file. A column's type depends only on its name, so
that files made at different times are compatible.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_sslgen.reporting.results_csv import describe_cell
from hf_sslgen.study.cells.cell_folder import Cell

if TYPE_CHECKING:
    import pandas as pd

RESULTS, RECORDS = "results", "records"
CELL_TEXT = ("cell", "backbone", "objective", "source", "domain", "group", "protocol", "labels")
TEXT = (*CELL_TEXT, "licence", "metric", "stage", "transform", "severity", "reason", "sample_id")
WHOLE = ("seed", "pretraining_seed", "parameters", "n", "n_undefined", "reference", "prediction")

RESULT_COLUMNS = (
    *(*CELL_TEXT, "seed", "pretraining_seed", "parameters", "licence", "seconds"),
    *("metric", "stage", "transform", "severity", "value", "low", "high", "n", "n_undefined", "reason"),
)
OWNER_COLUMNS = (*CELL_TEXT, "seed", "pretraining_seed")
"""Columns of records that identify their cell."""


def column_type(name: str) -> str:
    """Return the name of a column's type in `datasets`."""
    return "string" if name in TEXT else "int64" if name in WHOLE else "float64"


def _owner(cell: Cell) -> dict[str, Any]:
    return {"cell": cell.folder.name, **describe_cell(cell)}


def results_table(cell: Cell) -> "pd.DataFrame":
    """Return a row per number of the cell."""
    import pandas as pd

    return pd.DataFrame([_owner(cell) | vars(number) for number in cell.numbers], columns=list(RESULT_COLUMNS))


def records_table(cell: Cell) -> "pd.DataFrame":
    """Return the cell's records, preceded by columns that identify the cell."""
    import pandas as pd

    records = cell.records()
    owner = _owner(cell)
    columns = {name: [owner[name]] * len(records) for name in OWNER_COLUMNS}
    return pd.concat([pd.DataFrame(columns, index=records.index), records], axis=1)


def write_tables(cell: Cell, folder: Path) -> tuple[dict[str, Path], set[str]]:
    """Write both tables of a cell below a folder.

    Returns:
        Paths by table name, and the columns of the records.
    """
    tables = {RESULTS: results_table(cell), RECORDS: records_table(cell)}
    paths = {name: folder / name / f"{cell.folder.name}.parquet" for name in tables}
    for name, table in tables.items():
        _write(table, paths[name])
    return paths, set(tables[RECORDS].columns)


def _write(table: "pd.DataFrame", path: Path) -> None:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"string": ("string", pa.string()), "int64": ("Int64", pa.int64()), "float64": ("float64", pa.float64())}
    columns = {}
    for name in table.columns:
        in_pandas, in_arrow = kinds[column_type(name)]
        values: pd.Series = table[name].astype(in_pandas)
        columns[name] = pa.array(values, in_arrow, from_pandas=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, compression="zstd")


def features(columns: Iterable[str]) -> list[dict[str, str]]:
    """Return columns with their types, in the format of a dataset card."""
    return [{"name": name, "dtype": column_type(name)} for name in columns]


def record_columns(found: Iterable[str]) -> list[str]:
    """Return the columns of all records, in an order independent of when they were found."""
    first = (*OWNER_COLUMNS, "sample_id", "stage", "transform", "severity", "reference", "prediction", "correct")
    return [*first, *sorted(set(found) - set(first))]
