"""Damage to cells on disk, and foreign cells whose checksums were made to match their contents."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hf_sslgen.study.cells.cell_form import cell_content


def reseal(cell: Path) -> None:
    """Write checksums that match the files, as a forger would; an unreadable cell stays as it is."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        content = json.loads((cell / "cell.json").read_text(encoding="utf-8"))
        sealed = cell_content(content["identity"], content["provenance"], cell)
        text = json.dumps(content | sealed, indent=2) + "\n"  # to the letter as it is written
        (cell / "cell.json").write_text(text, encoding="utf-8")


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def number_named(content: dict[str, Any], metric: str) -> dict[str, Any]:
    """The row of a number in the content of a `results.json`."""
    return next(row for row in content["numbers"] if row["metric"] == metric)
