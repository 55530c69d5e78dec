"""Cells, each one backbone on one domain under one protocol with one seed, and their folders.

A cell's folder is complete or does not exist. It holds

- `cell.json`: `identity` (what decides the numbers; `describe.cell_identity` has the list), `provenance` (when, where
  and how long; never compared) and `checksums` (sha256 of the other files, and of these two parts);
- `results.json`: the numbers;
- `records.parquet`: a row per test image (few-shot: per episode, and per image with its effect on them), and for
  invariance a row per image, transform and severity;
- `examples.npz`, if the cell has attribution maps: `images` (E, S, S, 3) bytes, `maps` (E, h, w), `sample_ids` (E,),
  the same images for every backbone of a domain.

A cell whose files have changed since they were written is not read. Neither is a cell without checksums, which earlier
versions wrote: its numbers have other definitions, so no study needs it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
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
from hf_sslgen.study.cells.held_records import RecordFiles, RecordsReader
from hf_sslgen.study.cells.record_columns import RecordColumns

if TYPE_CHECKING:
    import pandas as pd

ALL_LABELS = "100%"

PRETRAINED_PROTOCOL: Final = "pretrained"
"""The protocol of cells that measure the published encoder."""

METRIC_DEFINITIONS = 4
"""Version of the definitions in `hf_sslgen.metrics`; increased when a number's meaning changes."""


CELL_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}--[0-9a-f]{12}")
"""Pattern of the names of cells' folders."""


@dataclass(frozen=True)
class Cell:
    """A cell read back from its folder.

    `identity` has at least `backbone`, `domain`, `protocol` (such as `pretrained`, `linear` or `finetune`) and `seed`,
    and `labels` if it was trained on a part of the labels. `provenance` has `objective`, `group`,
    `parameters`, `licence`, `seconds`, `domain_metric` and `class_names`, and may have `source` and
    `pretraining_seed`. `reader` returns its records.
    """

    folder: Path
    identity: dict[str, Any]
    provenance: dict[str, Any]
    numbers: tuple[Number, ...]
    reader: RecordsReader = field(default_factory=RecordFiles, repr=False, compare=False)

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
    def weights(self) -> str:
        """The same for backbones with the same weights, such as a copy for another library; the backbone's name if the
        registry does not know its weights."""
        return str(self.provenance.get("weights") or self.backbone)

    @property
    def group(self) -> str:
        """`similar` or `different` to the source, or `unstated`."""
        return str(self.provenance.get("group") or "unstated")

    @property
    def headline_metric(self) -> str:
        """The kind of accuracy that is used for the cell's domain."""
        return str(self.provenance.get("domain_metric") or "accuracy")

    @property
    def source(self) -> str:
        """Name of the data the backbone was pretrained on; empty if not stated."""
        return str(self.provenance.get("source") or "")

    @property
    def pretraining_seed(self) -> int | None:
        """Seed of the backbone's pretraining run; None if not stated."""
        seed = self.provenance.get("pretraining_seed")
        return None if seed is None else int(seed)

    def number(self, metric: str, transform: str = "", severity: str = "") -> Number | None:
        """Return the cell's number of that name, or None if it has none."""
        for number in self.numbers:
            if (number.metric, number.transform, number.severity) == (metric, transform, severity):
                return number
        return None

    def records(self) -> "pd.DataFrame":
        """The per-sample records, as a new table of all rows."""
        return self.reader.frame(self.folder / RECORDS)

    def columns(self) -> RecordColumns:
        """The per-sample records as arrays, by variant of the images."""
        return self.reader.columns(self.folder / RECORDS)

    def examples(self) -> dict[str, np.ndarray] | None:
        """Return the example images with their maps, or None for a cell without attribution."""
        path = self.folder / EXAMPLES
        if not path.exists():
            return None
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def identity_hash(identity: dict[str, Any]) -> str:
    """Return twelve hexadecimal digits that are equal for equal identities, whatever the order of their keys."""
    text = json.dumps(identity, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def cell_folder(store: Path, identity: dict[str, Any]) -> Path:
    """Return the name of the folder for a cell of this identity: readable parts, then the hash, which decides."""
    names = "--".join(str(identity[key]) for key in ("domain", "backbone", "protocol", "labels", "seed"))
    readable = re.sub(r"^\.|[^A-Za-z0-9._-]+", "_", names)[:120]  # a folder whose name begins with a dot is unfinished
    return store / f"{readable}--{identity_hash(identity)}"


def read_cell(folder: Path) -> Cell:
    """Read a cell; raises InputError with the remedy if the folder is damaged or does not contain a cell."""
    try:
        return Cell(folder, *read_cell_files(folder))
    except (OSError, NoCellError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{folder} holds no readable cell ({reason}); remove it to have it computed again") from error


def read_stored_cell(folder: Path) -> Cell:
    """Read a cell of a store, whose folder must have its name; raises InputError like `read_cell`."""
    cell = read_cell(folder)
    if cell_folder(folder.parent, cell.identity).name != folder.name:
        raise InputError(
            f"{folder} holds no readable cell (its cell does not match the folder's name); remove it to have it "
            "computed again"
        )
    return cell


def stored_folders(store: Path) -> list[Path]:
    """Return the folders of a store's cells, sorted by name, whatever is in them."""
    return sorted(path for path in store.iterdir() if not path.name.startswith(".")) if store.is_dir() else []


def read_cells(store: Path) -> Iterator[Cell]:
    """Read every cell of a store, sorted by name; raises InputError if one is damaged."""
    yield from map(read_stored_cell, stored_folders(store))


def write_cell(
    folder: Path, identity: dict[str, Any], provenance: dict[str, Any], analysis: Analysis, replace: bool = True
) -> None:
    """Write a cell's folder atomically.

    Args:
        replace: whether to replace an existing cell; otherwise it is kept and this one is dropped.
    """
    with replace_files(folder, obsolete=[EXAMPLES]) if replace else create_folder(folder) as unfinished:
        write_json(unfinished / RESULTS, {"numbers": [number.to_json() for number in analysis.numbers]})
        analysis.records.to_parquet(unfinished / RECORDS, index=False)
        if analysis.examples is not None:
            arrays: dict[str, Any] = analysis.examples
            np.savez_compressed(unfinished / EXAMPLES, **arrays)
        write_json(unfinished / CELL, cell_content(identity, provenance, unfinished))
