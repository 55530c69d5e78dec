"""Reading a study back: the finished cells of its plan, checked against their records."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.cell_folder import Cell, read_stored_cell, stored_folders
from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.cells.cell_records import require_consistent
from hf_sslgen.study.cells.held_records import HeldRecords, read_records
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.progress import missing_sentences

if TYPE_CHECKING:
    import pandas as pd


def as_configured(cell: Cell, config: StudyConfig) -> Cell:
    """A cell that says of backbone and domain what the configuration says now; none of it decides a number."""
    said: dict[str, object] = {}
    for backbone in config.backbones:
        if backbone.name == cell.backbone:
            said |= {
                "objective": backbone.objective,
                "source": backbone.source,
                "pretraining_seed": backbone.pretraining_seed,
            }
    return replace(cell, provenance={**cell.provenance, **said})


def readable_cells(
    folders: Iterable[Path], reader: "Callable[[Path], pd.DataFrame]" = read_records
) -> tuple[list[Cell], list[str]]:
    """The cells of a store that lie in these folders, checked against their records, and a sentence on each other.

    Args:
        reader: how they read their records, now and later.
    """
    cells, damaged = [], []
    for folder in folders:
        try:
            cell = replace(read_stored_cell(folder), reader=reader)
            require_consistent(cell)
        except NoCellError as error:
            damaged.append(f"{folder} holds no readable cell ({error}); remove it to have it computed again")
        except InputError as error:
            damaged.append(str(error))
        else:
            cells.append(cell)
    return cells, damaged


def finished_cells(specs: Sequence[CellSpec], store: Store) -> tuple[list[Cell], list[str]]:
    """The cells of these specifications that are finished, each once, with the group its domain has now.

    Their records are checked here, and held for those who ask for them next.

    Returns:
        The cells, and a sentence on each that can't be read.
    """
    by_name = {name: spec for spec in reversed(specs) if (name := store.indexed(spec)) is not None}
    names = dict.fromkeys(name for spec in specs if (name := store.indexed(spec)) is not None)
    folders = (store.cells / name for name in names if (store.cells / name).exists())
    cells, damaged = readable_cells(folders, HeldRecords().read)
    shown = []
    for cell in cells:
        spec = by_name[cell.folder.name]
        if (cell.backbone, cell.protocol, cell.seed) == (spec.backbone.name, spec.protocol_name, spec.seed):
            group = spec.domain.group or cell.provenance["group"]
            shown.append(replace(cell, provenance={**cell.provenance, "group": group}))
        else:
            damaged.append(
                f"{store.index_path(spec)} leads from {spec.title} to another cell; remove it to look again"
            )
    return shown, damaged


@dataclass(frozen=True)
class StudyRead:
    """What a store holds.

    Attributes:
        config: what it was made with; None for a store without one, such as one merged by hand.
        cells: those that are finished and whole.
        missing: sentences on what is not there, the damaged cells among it.
        damaged: sentences on cells that can't be read.
    """

    config: StudyConfig | None
    cells: list[Cell]
    missing: list[str]
    damaged: list[str]


def read_study_results(store: Store) -> StudyRead:
    """A store's configuration, its finished cells, and what is missing; without a configuration all its cells."""
    path, folders = store.folder / STUDY_FILE, stored_folders(store.cells)
    if not path.exists():
        cells, damaged = readable_cells(folders, HeldRecords().read)
        return StudyRead(None, cells, damaged, damaged)
    config = read_study(path)
    specs = expand(config)
    cells, damaged = finished_cells(specs, store)
    missing = [*missing_sentences(specs, store), *damaged]
    others = len(folders) - len(cells) - len(damaged)
    if others > 0:
        missing.append(f"{others} cells of the store belong to no cell of {STUDY_FILE} and are not shown.")
    return StudyRead(config, [as_configured(cell, config) for cell in cells], missing, damaged)
