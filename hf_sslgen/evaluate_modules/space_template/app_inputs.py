"""What is pasted or uploaded into a Space, as keyword arguments of its metric; and the metric's dict as a table."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

TEXT_FORMATS = "a JSON object of the inputs, or CSV with a header of their names"
FORMATS = f"{TEXT_FORMATS}; or upload such a file, or an .npz file of arrays"


def read_inputs(text: str, file: str | None, options: str) -> dict[str, Any]:
    """Keyword arguments from a file or else from text, and options as a JSON object on top.

    Raises:
        ValueError: there is no input, both kinds are there, or it can't be read.
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
    """Name and value of each single number, interval and text of a metric's dict; longer lists are left out."""
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
        except (OSError, ValueError) as error:
            raise ValueError(f"{path.name} is no .npz file of plain arrays: {error}") from error
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
    header, *rows = [[cell.strip() for cell in row] for row in csv.reader(text.strip().splitlines()) if row]
    if len(set(header)) < len(header):
        raise ValueError(f"the header names a column twice: {', '.join(header)}")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise ValueError(
                f"line {number} has {len(row)} values, and the header {', '.join(header)} has {len(header)}"
            )
    return {name: [_number(row[i], name, line) for line, row in enumerate(rows, 2)] for i, name in enumerate(header)}


def _number(cell: str, column: str, line: int) -> int | float:
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"line {line}: {cell!r} in column {column} is no number") from None
