"""Writing CSV files that a spreadsheet shows and does not run."""

import csv
import re
from pathlib import Path
from typing import Any

import pandas as pd

from hf_sslgen.files import replace_file

_FORMULA = re.compile(r"'*(\s*[=+\-@＝＋－＠]|[\t\r\n])")
"""How text begins that spreadsheets take for a formula; apostrophes in front, so that each text has its own form."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table whole or not at all, at full precision; NaN is an empty field and all text is quoted.

    Text that begins like a formula gets an apostrophe in front, which spreadsheets take for "this is text". Numbers
    stay as they are, also those written as text, such as a severity of +20.
    """
    with replace_file(path) as unfinished:
        frame.map(_disarmed).to_csv(unfinished, index=False, quoting=csv.QUOTE_NONNUMERIC)


def read_csv(path: Path) -> pd.DataFrame:
    """What `write_csv` wrote, without the apostrophes that it added; empty fields are NaN."""
    return pd.read_csv(path, keep_default_na=False, na_values=[""]).map(_as_it_was)


def _disarmed(value: Any) -> Any:
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def _as_it_was(value: Any) -> Any:
    is_disarmed = isinstance(value, str) and value.startswith("'") and _FORMULA.match(value)
    return value[1:] if is_disarmed else value
