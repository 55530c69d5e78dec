"""Read the records of a cell as arrays, by column."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.cells.record_columns import CLEAN, KEYS, SAMPLE, RecordColumns, VariantRows

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Rows = slice | NDArray[np.intp]
"""Positions of the rows of one variant."""


def read_columns(path: Path) -> RecordColumns:
    """Read a cell's `records.parquet`.

    Raises:
        NoCellError: it has no rows, lacks a key, or has a column of the wrong type.
        OSError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError: from pyarrow, of a damaged file.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, read_dictionary=list(KEYS)) as file:
        return columns_of(file.read())


def columns_of_frame(records: "pd.DataFrame") -> RecordColumns:
    """Return records that are in memory as a table of all rows."""
    import pyarrow as pa

    return columns_of(pa.Table.from_pandas(records, preserve_index=False))


def columns_of(table: "pa.Table") -> RecordColumns:
    """Divide a table by variant; raises NoCellError like `read_columns`."""
    if not len(table):
        raise NoCellError("it has no records")
    for key in KEYS:
        _require_key(table, key)
    names = tuple(name for name in table.column_names if name not in KEYS)
    stages, transforms, severities = (_texts(table.column(name)) for name in KEYS[1:])
    sample_ids = _identifiers(table.column(SAMPLE))
    columns = {name: _numbers(table.column(name), name) for name in names}
    # Rows of one variant are usually together, so that each takes one slice of every column.
    untransformed = transforms[1][transforms[0]] == ""
    codes = transforms[0] * len(severities[1]) + np.where(untransformed, 0, severities[0])
    variants = {}
    for rows in _rows_by_code(codes):
        first = rows.start if isinstance(rows, slice) else rows[0]
        severity = str(severities[1][severities[0][first]])
        variant = CLEAN if untransformed[first] else (str(transforms[1][transforms[0][first]]), severity)
        variants[variant] = _rows_of(rows, sample_ids, stages, columns)
    return RecordColumns(variants, names)


def _require_key(table: "pa.Table", key: str) -> None:
    import pyarrow as pa

    if table.column_names.count(key) != 1:
        raise NoCellError(f"its records have no column {key!r}")
    column = table.column(key)
    of_values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    is_text = pa.types.is_string(of_values) or pa.types.is_large_string(of_values)
    if not is_text and not (key == SAMPLE and pa.types.is_integer(column.type)):
        raise NoCellError(f"its records have a column {key!r} of the wrong type")
    if column.null_count:
        raise NoCellError("some of its records do not name their image or variant")


def _rows_by_code(codes: NDArray[np.int64]) -> Iterator[Rows]:
    """Yield the rows of every code, in order of first appearance."""
    starts = np.flatnonzero(np.diff(codes, prepend=codes[0] - 1))
    stops = [*starts[1:], len(codes)]
    of_code: dict[int, list[slice]] = {}
    for start, stop in zip(starts, stops, strict=True):
        of_code.setdefault(int(codes[start]), []).append(slice(int(start), int(stop)))
    for slices in of_code.values():
        yield slices[0] if len(slices) == 1 else np.concatenate([np.arange(s.start, s.stop) for s in slices])


def _rows_of(
    rows: Rows,
    sample_ids: NDArray[Any],
    stages: tuple[NDArray[np.int64], NDArray[np.str_]],
    columns: Mapping[str, NDArray[Any]],
) -> VariantRows:
    own = sample_ids[rows]
    of_stages = stages[1][stages[0][rows]]
    if (of_stages == of_stages[0]).all():
        of_stages = np.broadcast_to(of_stages[0], len(own))
    order: Rows = slice(None)
    if len(own) > 1 and not (own[1:] > own[:-1]).all():
        order = np.argsort(own, kind="stable")
        of_stages = of_stages[order]
    nothing = np.broadcast_to(np.float64(np.nan), len(own))
    found = {}
    for name, column in columns.items():
        values = column[rows][order]
        is_empty = values.dtype.kind == "f" and bool(np.isnan(values).all())
        found[name] = nothing if is_empty else np.ascontiguousarray(values) if values.base is None else values.copy()
    return VariantRows(own[order].copy(), of_stages, found)


def _texts(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return the codes of a column of text, (N,), and what they stand for."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    merged = column.unify_dictionaries().combine_chunks()
    return (
        merged.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        np.array(merged.dictionary.to_pylist(), dtype=str),
    )


def _identifiers(column: "pa.ChunkedArray") -> NDArray[Any]:
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return column.to_numpy()
    codes, words = _texts(column)
    return words[codes]


def _numbers(column: "pa.ChunkedArray", name: str) -> NDArray[Any]:
    """Return a column of numbers or truth values, (N,): integers if it has no gaps, else float64 with NaN."""
    import pyarrow as pa

    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        raise NoCellError(f"its records have a column {name!r} of the wrong type")
    if pa.types.is_integer(kind) and not column.null_count and not pa.types.is_uint64(kind):
        return np.asarray(column.to_numpy(), dtype=np.int64)
    if not pa.types.is_float64(kind):
        column = column.cast(pa.float64(), safe=False)
    return np.asarray(column.to_numpy(), dtype=np.float64)
