"""Whether a cell from elsewhere can be taken over: nothing in it is trusted until it is looked at.

Only JSON, parquet with plain columns and NumPy arrays without objects are read; nothing in them is ever run.
"""

import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hf_sslgen.analysis.numbers import Stage
from hf_sslgen.errors import InputError
from hf_sslgen.hub.study_tables import OWNER_COLUMNS
from hf_sslgen.study.cells import cell_folder, read_cell


class NoCellError(InputError):
    """Files that can't be taken for a cell's; the message is the reason alone."""


NEEDED = ("cell.json", "results.json", "records.parquet")
LARGEST = {
    "cell.json": 10_000_000,
    "results.json": 100_000_000,
    "records.parquet": 4_000_000_000,
    "examples.npz": 500_000_000,
}
"""Bytes of each file that a cell may have."""

MOST_VALUES = 200_000_000
"""Rows times columns of records."""

LONGEST_TEXT = 1000
"""Bytes of a text in records: written once and repeated by number, a long one would unpack to any size."""

MOST_DIGITS = 18
"""Of an integer in JSON; more may not fit into a column."""

KEYS = ("sample_id", "stage", "transform", "severity")
EXAMPLE_ARRAYS = {"images": "u", "maps": "f", "sample_ids": "iuU", "boxes": "f"}
"""Arrays of `examples.npz`, with the kinds of NumPy's types that each may have."""

COLUMN = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
Types = dict[str, tuple[type, ...]]
NUMBER_TYPES: Types = {
    **dict.fromkeys(("metric", "stage", "transform", "severity", "reason"), (str,)),
    **dict.fromkeys(("value", "low", "high"), (int, float)),
    **dict.fromkeys(("n", "n_undefined"), (int,)),
}
PROVENANCE_TYPES: Types = {
    **dict.fromkeys(("objective", "family", "group", "domain_metric", "finished", "device"), (str,)),
    **dict.fromkeys(("source", "licence", "dataset_commit"), (str, type(None))),
    **dict.fromkeys(("parameters", "threads"), (int,)),
    **dict.fromkeys(("class_names", "not_label_preserving", "notes"), (list,)),
    **dict.fromkeys(("selection", "libraries"), (dict,)),
    "pretraining_seed": (int, type(None)),
    "seconds": (int, float),
}
NEEDED_PROVENANCE = ("objective", "group", "seconds", "class_names", "not_label_preserving")


def check_cell(folder: Path, name: str) -> None:
    """Check the files of a cell that lies in `folder` and claims to be that of the given name.

    Raises:
        NoCellError: it can't be read, or is another.
    """
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    check_files(sizes)
    try:
        _check_identity(folder, name)
        _check_numbers(folder)
        _check_records(folder / "records.parquet")
        if "examples.npz" in sizes:
            _check_examples(folder / "examples.npz")
    except NoCellError:
        raise
    # What a file that was made to break its reader raises can't be listed; each means that it isn't a cell.
    except Exception as error:
        raise NoCellError(f"it can't be read ({type(error).__name__})") from error


def check_files(sizes: dict[str, int]) -> None:
    """Check which files a cell has, and their sizes in bytes; raises NoCellError."""
    unknown = sorted(set(sizes) - set(LARGEST))
    if unknown:
        raise NoCellError(f"it holds {unknown[0][:80]!r}, which is no file of a cell")
    for name in NEEDED:
        if name not in sizes:
            raise NoCellError(f"it has no {name}")
    for name, size in sizes.items():
        if size > LARGEST[name]:
            raise NoCellError(f"its {name} has {size:,} bytes; a cell's has at most {LARGEST[name]:,}")


def _check_identity(folder: Path, name: str) -> None:
    content = _plain_json(folder / "cell.json")
    identity, provenance = content["identity"], content["provenance"]
    if set(content) != {"identity", "provenance"} or not isinstance(identity, dict):
        raise NoCellError("its cell.json is not that of a cell")
    if cell_folder(folder.parent, identity).name != name:
        raise NoCellError("what it says it is does not belong to its name")
    for key in ("backbone", "domain", "protocol", "labels"):
        _require(isinstance(identity[key], str), key)
    _require(_is(identity["seed"], (int,)), "seed")
    for key in NEEDED_PROVENANCE:
        _require(key in provenance, key)
    for key, types in PROVENANCE_TYPES.items():
        _require(key not in provenance or _is(provenance[key], types), key)
    for key in ("class_names", "not_label_preserving"):
        _require(all(isinstance(item, str) for item in provenance[key]), key)


def _plain_json(path: Path) -> Any:
    """A file's content, none of whose values stops whoever writes it again or puts it into a table or page."""
    content = json.loads(path.read_text(encoding="utf-8"), parse_int=_integer)
    try:
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except ValueError as error:  # NaN and infinity, or half of a character
        raise NoCellError(f"its {path.name} holds a value that can't be written again") from error
    return content


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise NoCellError(f"it holds an integer of {len(digits)} digits")
    return int(digits)


def _require(is_right: bool, key: str) -> None:
    if not is_right:
        raise NoCellError(f"its cell.json has no usable {key!r}")


def _is(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _check_numbers(folder: Path) -> None:
    try:
        cell = read_cell(folder)
    except InputError as error:
        raise NoCellError("its results.json is not that of a cell") from error
    if not cell.numbers:
        raise NoCellError("it has no numbers")
    for number in cell.numbers:
        for name, value in vars(number).items():
            if not _is(value, NUMBER_TYPES[name]) or value in (math.inf, -math.inf):
                raise NoCellError(f"one of its numbers has no usable {name!r}")
        if number.stage not in get_args(Stage):
            raise NoCellError("one of its numbers is of an unknown stage")
    _plain_json(folder / "results.json")


def _check_records(path: Path) -> None:
    metadata = pq.read_metadata(path)
    if metadata.num_rows == 0 or metadata.num_rows * metadata.num_columns > MOST_VALUES:
        raise NoCellError(f"its records have {metadata.num_rows:,} rows")
    schema = pq.read_schema(path)
    for key in KEYS:
        if key not in schema.names:
            raise NoCellError(f"its records have no column {key!r}")
    texts = []
    for field in schema:
        is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        is_known = (is_text and field.name in KEYS) or is_number or pa.types.is_boolean(field.type)
        if not is_known or not COLUMN.fullmatch(field.name) or field.name in OWNER_COLUMNS:
            raise NoCellError(f"its records have an unknown kind of column, {field.name[:80]!r}")
        if is_text:
            texts.append(field.name)
    num_rows = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches():
            num_rows += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
                    raise NoCellError(f"its records have infinite values of {name!r}")
            for name in texts:
                if (pc.max(pc.binary_length(batch.column(name).dictionary)).as_py() or 0) > LONGEST_TEXT:
                    raise NoCellError(f"its records have a text of more than {LONGEST_TEXT} bytes in {name!r}")
    if num_rows != metadata.num_rows:
        raise NoCellError("its records are not whole")


def _check_examples(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        if sum(info.file_size for info in archive.infolist()) > LARGEST[path.name]:
            raise NoCellError("its example pictures are too large")
    with np.load(path, allow_pickle=False) as arrays:
        unknown = sorted(set(arrays.files) - set(EXAMPLE_ARRAYS))
        if unknown or not {"images", "maps", "sample_ids"} <= set(arrays.files):
            raise NoCellError("its example pictures are not those of a cell")
        found = {name: arrays[name] for name in arrays.files}
    for name, array in found.items():
        dimensions = {"images": 4, "maps": 3, "sample_ids": 1, "boxes": 2}[name]
        is_right = array.ndim == dimensions and array.dtype.kind in EXAMPLE_ARRAYS[name]
        if not is_right or len(array) != len(found["images"]):
            raise NoCellError(f"its example pictures have unusable {name}")
    if found["images"].dtype != np.uint8 or found["images"].shape[-1] != 3:
        raise NoCellError("its example pictures are no pictures")
