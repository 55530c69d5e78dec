"""Read the metadata tables of a local folder: `metadata.csv`, `metadata.jsonl` or `metadata.parquet`.

As in `datasets`, the column `file_name` names each row's picture relative to the table's own folder; a column
`mask_file_name` names another picture and becomes the column `mask`.
"""

import json
import posixpath
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_sslgen.domains.local.file_survey import FoundFile, Survey
from hf_sslgen.errors import InputError

FILE_NAME, PICTURE_FILE_SUFFIX = "file_name", "_file_name"


@dataclass(frozen=True, eq=False)
class Metadata:
    """Metadata of pictures, from all tables.

    Attributes:
        rows: each picture's row, by its path, in table order.
        columns: names of the columns except `file_name`, in table order.
        picture_columns: the columns that hold paths of further pictures.
        linked: paths of the pictures in `picture_columns`.
        missing: rows whose picture does not exist.
    """

    rows: Mapping[str, Mapping[str, Any]]
    columns: tuple[str, ...]
    picture_columns: tuple[str, ...]
    linked: frozenset[str]
    tables: tuple[str, ...]
    missing: int

    def table(self, paths: Sequence[str]) -> pa.Table:
        """Return the columns for these pictures, with null for pictures without a row.

        Raises:
            InputError: a column holds values of several types.
        """
        columns = {}
        for name in self.columns:
            values = [self.rows.get(path, {}).get(name) for path in paths]
            try:
                columns[name] = pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise InputError(
                    f"column {name!r} of {', '.join(self.tables)} holds values of several types ({error}); make them "
                    "all numbers or all text"
                ) from error
        return pa.table(columns)


def read_metadata(survey: Survey, skip_missing: bool) -> Metadata:
    """Read every metadata table below a folder.

    Args:
        skip_missing: skip rows whose picture does not exist, instead of raising an error.

    Raises:
        InputError: a table can't be read or has no column `file_name`, or a picture it names does not exist, lies
            outside the folder or occurs in two rows.
    """
    by_name = {unicodedata.normalize("NFC", file.name): file for file in survey.files}
    rows: dict[str, dict[str, Any]] = {}
    columns: dict[str, None] = {}
    pictures: set[str] = set()
    missing: list[str] = []
    tables = [file for file in survey.files if file.is_metadata]
    for table in tables:
        content = _read_table(table)
        found = list(content.schema.names)
        key = FILE_NAME if FILE_NAME in found else f"image{PICTURE_FILE_SUFFIX}"
        if key not in found:
            raise InputError(
                f"{table.name} has no column {FILE_NAME!r} to name each row's picture; its columns: {', '.join(found)}"
            )
        links = {
            name: name.removesuffix(PICTURE_FILE_SUFFIX)
            for name in found
            if name != key and name.endswith(PICTURE_FILE_SUFFIX)
        }
        names = {name: links.get(name, name) for name in found if name != key}
        columns |= dict.fromkeys(names.values())
        pictures.update(links.values())
        for row in content.to_pylist():
            picture = _find(row[key], table, by_name)
            if picture is None:
                missing.append(f"{row[key]!r} of {table.name}")
                continue
            if picture.path in rows:
                raise InputError(
                    f"{table.name} names {row[key]!r}, which another metadata row already describes; remove one"
                )
            values = {names[name]: value for name, value in row.items() if name in names}
            for name, column in links.items():
                values[column] = _linked(row[name], name, table, by_name)
            rows[picture.path] = values
    if "image" in columns:
        raise InputError(f"{tables[0].name} has a column 'image', a name reserved for the pictures; rename it")
    if missing and not skip_missing:
        others = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(
            f"the picture {missing[0]}{others} does not exist; correct file_name, remove such rows, or pass "
            "--skip_corrupt to leave them out"
        )
    linked = frozenset(row[name] for row in rows.values() for name in pictures if row.get(name) is not None)
    sources = tuple(file.name for file in tables)
    return Metadata(rows, tuple(columns), tuple(sorted(pictures)), linked, sources, len(missing))


def _find(written: Any, table: FoundFile, by_name: Mapping[str, FoundFile]) -> FoundFile | None:
    """Find the file that a table names; None if it does not exist."""
    if not isinstance(written, str) or not written:
        raise InputError(f"{table.name} has a row whose {FILE_NAME} is {written!r}; every row must name a picture")
    here = "/".join(table.parts[:-1])
    for form in (written, written.replace("\\", "/")):
        name = posixpath.normpath(posixpath.join(here, form))
        if name.startswith(("../", "/")):
            raise InputError(
                f"{table.name} names {written!r}, which lies outside the dataset; give paths inside it, relative to "
                "the table's own folder"
            )
        if (file := by_name.get(unicodedata.normalize("NFC", name))) is not None:
            return file
    return None


def _linked(written: Any, column: str, table: FoundFile, by_name: Mapping[str, FoundFile]) -> str | None:
    """Return the path of a further picture that a row names; None if it names none."""
    if written is None or written == "":
        return None
    file = _find(written, table, by_name)
    if file is None:
        raise InputError(f"{column} {written!r} of {table.name} does not exist; correct it, or leave it empty")
    return file.path


def _read_table(file: FoundFile) -> pa.Table:
    try:
        if file.suffix == ".parquet":
            return pq.read_table(file.path)
        return _read_csv(file.path) if file.suffix == ".csv" else _read_jsonl(file.path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{file.name} can't be read: {str(error).splitlines()[0]}") from error


def _read_csv(path: str) -> pa.Table:
    import pandas as pd

    # Only empty cells count as missing; pandas by default also treats the classes "NA" and "None" as missing.
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], encoding="utf-8-sig", dtype={FILE_NAME: str})
    return pa.Table.from_pandas(frame, preserve_index=False)


def _read_jsonl(path: str) -> pa.Table:
    with Path(path).open(encoding="utf-8-sig") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError('every line must be an object, such as {"file_name": "1.png", "label": "cat"}')
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: [row.get(name) for row in rows] for name in names})
