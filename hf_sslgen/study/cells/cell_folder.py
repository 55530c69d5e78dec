"""Cells: one backbone on one domain under one protocol with one seed, and the folder that holds each.

A cell's folder exists whole or not at all. It holds

- `cell.json`: `identity` (what decides the numbers; `describe.cell_identity` has the list), `provenance` (when, where
  and how long; never compared) and `checksums` (sha256 of the other files, and of these two parts);
- `results.json`: the numbers;
- `records.parquet`: a row per test image (few-shot: per episode), and for invariance a row per image, transform and
  severity;
- `examples.npz`, where the cell has attribution maps: `images` (E, S, S, 3) bytes, `maps` (E, h, w), `sample_ids`
  (E,), the same images for every backbone of a domain.

A cell whose files are not as they were written is not read. Nor is one without checksums, which versions before them
wrote: its numbers have other definitions, so no study asks for it.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.errors import InputError
from hf_sslgen.files import create_folder, replace_files, write_json
from hf_sslgen.study.cells.cell_form import (
    CELL,
    EXAMPLES,
    RECORDS,
    RESULTS,
    NoCellError,
    cell_content,
    read_cell_files,
)
from hf_sslgen.study.cells.held_records import read_records

if TYPE_CHECKING:
    import pandas as pd

ALL_LABELS = "100%"

PRETRAINED_PROTOCOL: Final = "pretrained"
"""The protocol of cells of encoders as they were published."""

METRIC_DEFINITIONS = 4
"""Version of the definitions in `hf_sslgen.metrics`; raised when a number's meaning changes."""


CELL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}--[0-9a-f]{12}")
"""Names of cells' folders."""


@dataclass(frozen=True)
class Cell:
    """A cell read back from its folder.

    `identity` has at least `backbone`, `domain`, `protocol` (such as `pretrained`, `linear` or `finetune`) and `seed`,
    and `labels` where fewer labels than there are were trained on. `provenance` has `objective`, `group`,
    `parameters`, `licence`, `seconds`, `domain_metric` and `class_names`, and may have `source` and
    `pretraining_seed`. `reader` returns the records of a file.
    """

    folder: Path
    identity: dict[str, Any]
    provenance: dict[str, Any]
    numbers: tuple[Number, ...]
    reader: "Callable[[Path], pd.DataFrame]" = field(default=read_records, repr=False, compare=False)

    @property
    def backbone(self) -> str:
        return str(self.identity["backbone"])

    @property
    def domain(self) -> str:
        return str(self.identity["domain"])

    @property
    def protocol(self) -> str:
        return str(self.identity["protocol"])

    @property
    def labels(self) -> str:
        """Label budget, such as `100%`, `1%` or `5-shot`."""
        return str(self.identity.get("labels", ALL_LABELS))

    @property
    def seed(self) -> int:
        return int(self.identity["seed"])

    @property
    def objective(self) -> str:
        """`supervised`, `untrained`, the name of a self-supervised method, or `unknown`."""
        return str(self.provenance.get("objective") or "unknown")

    @property
    def group(self) -> str:
        """`similar` or `different` to the source, or `unstated`."""
        return str(self.provenance.get("group") or "unstated")

    @property
    def headline_metric(self) -> str:
        """The accuracy the cell's domain is judged by."""
        return str(self.provenance.get("domain_metric") or "accuracy")

    @property
    def source(self) -> str:
        """Name of the data the backbone was pretrained on; empty where it is not stated."""
        return str(self.provenance.get("source") or "")

    @property
    def pretraining_seed(self) -> int | None:
        """Which of several pretraining runs the backbone is; None where it is not stated."""
        seed = self.provenance.get("pretraining_seed")
        return None if seed is None else int(seed)

    def number(self, metric: str, transform: str = "", severity: str = "") -> Number | None:
        """The cell's number of that name, or None where it has none."""
        for number in self.numbers:
            if (number.metric, number.transform, number.severity) == (metric, transform, severity):
                return number
        return None

    def records(self) -> "pd.DataFrame":
        """The per-sample records."""
        return self.reader(self.folder / RECORDS)

    def examples(self) -> dict[str, np.ndarray] | None:
        """Example images with their maps, or None for a cell without attribution."""
        path = self.folder / EXAMPLES
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def identity_hash(identity: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that are equal for equal identities, whatever the order of their keys."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cell_folder(store: Path, identity: dict[str, Any]) -> Path:
    """Where a cell of this identity lies: readable names first, the hash decides."""
    names = "--".join(str(identity[key]) for key in ("domain", "backbone", "protocol", "labels", "seed"))
    readable = re.sub(r"^\.|[^A-Za-z0-9._-]+", "_", names)[:120]  # a folder whose name begins with a dot is unfinished
    return store / f"{readable}--{identity_hash(identity)}"


def read_cell(folder: Path) -> Cell:
    """Read a cell; raises InputError, which says what to do, where the folder holds none or is damaged."""
    try:
        return Cell(folder, *read_cell_files(folder))
    except (OSError, NoCellError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder} holds no readable cell ({reason}); remove it to have it computed again") from error


def read_stored_cell(folder: Path) -> Cell:
    """Read a cell of a store, whose name must be its own; raises InputError as `read_cell` does."""
    cell = read_cell(folder)
    if cell_folder(folder.parent, cell.identity).name != folder.name:
        raise InputError(
            f"{folder} holds no readable cell (it is not the cell that its name says); remove it to have it "
            "computed again"
        )
    return cell


def stored_folders(store: Path) -> list[Path]:
    """The folders of a store's cells, in the order of their names, whatever is in them."""
    return sorted(path for path in store.iterdir() if not path.name.startswith(".")) if store.is_dir() else []


def read_cells(store: Path) -> Iterator[Cell]:
    """Every cell of a store, in the order of their names; raises InputError at one that is damaged."""
    yield from map(read_stored_cell, stored_folders(store))


def write_cell(
    folder: Path, identity: dict[str, Any], provenance: dict[str, Any], analysis: Analysis, replace: bool = True
) -> None:
    """Write a cell's folder, whole or not at all.

    Args:
        replace: whether a cell that stands there is replaced; otherwise it stays and this one is dropped.
    """
    with replace_files(folder, obsolete=[EXAMPLES]) if replace else create_folder(folder) as unfinished:
        write_json(unfinished / RESULTS, {"numbers": [number.to_json() for number in analysis.numbers]})
        analysis.records.to_parquet(unfinished / RECORDS, index=False)
        if analysis.examples is not None:
            arrays: dict[str, Any] = analysis.examples
            np.savez_compressed(unfinished / EXAMPLES, **arrays)
        write_json(unfinished / CELL, cell_content(identity, provenance, unfinished))
