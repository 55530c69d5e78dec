"""Parse pasted or uploaded Space inputs into a metric's keyword arguments, and tabulate the metric's dict."""

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

TEXT_FORMATS = "a JSON object of the inputs, or CSV with a header of their names"
FORMATS = f"{TEXT_FORMATS}; or upload such a file, or an .npz file of arrays"


def read_inputs(text: str, file: str | None, options: str) -> dict[str, Any]:
    """Read keyword arguments from a file or else from text, and add options from a JSON object.

    Raises:
        ValueError: there is no input, there are both text and a file, or the input can't be read.
    """
    if file and text.strip():
        raise ValueError("there is both text and a file: clear one of them")
    if file:
        inputs = _read_file(Path(file))
    elif text.strip():
        inputs = _read_text(text)
    else:
        raise ValueError(f"there is no input: paste {FORMATS}")
    return inputs | (_read_json(options, "options") if options.strip() else {})


def as_rows(result: dict[str, Any]) -> list[list[str]]:
    """List name and value of each number, interval and text in a metric's dict, omitting longer lists."""
    rows = []
    for name, value in result.items():
        if isinstance(value, list):
            if not name.endswith("_interval"):
                continue
            value = " to ".join(f"{bound:.6g}" for bound in value)
        rows.append([name, f"{value:.6g}" if isinstance(value, float) else str(value)])
    return rows


def _read_file(path: Path) -> dict[str, Any]:
    if path.suffix == ".npz":
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path.name} is not an .npz file of plain arrays: {error}") from error
    try:
        return _read_text(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not text in UTF-8; paste {FORMATS}") from error


def _read_text(text: str) -> dict[str, Any]:
    return _read_json(text, "the input") if text.lstrip().startswith("{") else _read_csv(text)


def _read_json(text: str, what: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{what} can't be read as JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f'{what} must be a JSON object such as {{"num_bins": 10}}, got {type(values).__name__}')
    return values


def _read_csv(text: str) -> dict[str, Any]:
    reader = csv.reader(text.lstrip().splitlines())
    header, *rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    names = header[1]
    if len(set(names)) < len(names):
        raise ValueError(f"the header names a column twice: {', '.join(names)}")
    for line, row in rows:
        if len(row) != len(names):
            raise ValueError(f"line {line} has {len(row)} values, and the header {', '.join(names)} has {len(names)}")
    return {name: [_number(row[i], name, line) for line, row in rows] for i, name in enumerate(names)}


def _number(cell: str, column: str, line: int) -> int | float:
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"line {line}: {cell!r} in column {column} is not a number") from None
