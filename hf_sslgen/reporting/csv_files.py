"""Write CSV files that a spreadsheet displays but does not execute."""

import csv
import re
from pathlib import Path
from typing import Any

import pandas as pd

from hf_sslgen.files import replace_file

_FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")
"""Beginning of text that spreadsheets take for a formula, with any apostrophes in front, so that the original can be
restored."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table completely or not at all, at full precision; NaN is an empty field and all text is quoted.

    Text that begins like a formula gets a leading apostrophe, which spreadsheets take to mean "this is text". Numbers
    are unchanged, even those stored as text, such as a severity of +20.
    """
    with replace_file(path) as unfinished:
        frame.map(_disarmed).to_csv(unfinished, index=False, quoting=csv.QUOTE_NONNUMERIC)


def read_csv(path: Path) -> pd.DataFrame:
    """Read a file of `write_csv` without the apostrophes it added; empty fields become NaN."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""]).map(_as_it_was)


def _disarmed(value: Any) -> Any:
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def _as_it_was(value: Any) -> Any:
    is_disarmed = isinstance(value, str) and value.startswith("'") and _FORMULA.match(value)
    return value[1:] if is_disarmed else value
