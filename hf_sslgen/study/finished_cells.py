"""Read a study back: the finished cells of its plan, checked against their records."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.cells.cell_folder import Cell, read_stored_cell, stored_folders
from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.cells.cell_records import require_consistent
from hf_sslgen.study.cells.episode_intervals import without_episode_intervals
from hf_sslgen.study.cells.held_records import HeldRecords, RecordFiles, RecordsReader
from hf_sslgen.study.cells.repeated_runs import draws_nothing
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.comparison_file import Comparison, read_comparison
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.progress import missing_sentences, planned_cells, still_left_out
from hf_sslgen.study.stand_in_marks import STAND_INS_NOTICE
from hf_sslgen.study.unconverted import left_out_sentences


def as_configured(cell: Cell, config: StudyConfig) -> Cell:
    """Return the cell described as the present configuration describes backbone and domain; numbers don't change."""
    said: dict[str, object] = {}
    for backbone in config.backbones + config.left_out:
        if backbone.name == cell.backbone:
            said |= {
                "objective": backbone.objective,
                "source": backbone.source,
                "pretraining_seed": backbone.pretraining_seed,
            }
    return replace(cell, provenance={**cell.provenance, **said})


def readable_cells(folders: Iterable[Path], reader: RecordsReader | None = None) -> tuple[list[Cell], list[str]]:
    """Return the cells in these folders of a store, checked against their records, and a sentence on each unreadable
    one.

    Args:
        reader: reads their records, now and later; each time from the file by default.
    """
    reader = reader or RecordFiles()
    cells, damaged = [], []
    for folder in folders:
        try:
            cell = replace(read_stored_cell(folder), reader=reader)
            require_consistent(cell)
            cell = without_episode_intervals(cell)
        except NoCellError as error:
            damaged.append(f"{folder} holds no readable cell ({error}); remove it to have it computed again")
        except InputError as error:
            damaged.append(str(error))
        else:
            cells.append(cell)
    return cells, damaged


def finished_cells(specs: Sequence[CellSpec], store: Store) -> tuple[list[Cell], list[str]]:
    """Read the finished cells of these specifications, each once, with the group its domain has now and what is now
    stated of its backbone.

    Their records are checked here and kept for later callers.

    Returns:
        The cells, and a sentence on each unreadable one.
    """
    by_name = {name: spec for spec in reversed(specs) if (name := store.indexed(spec)) is not None}
    names = dict.fromkeys(name for spec in specs if (name := store.indexed(spec)) is not None)
    folders = (store.cells / name for name in names if (store.cells / name).exists())
    cells, damaged = readable_cells(folders, HeldRecords())
    shown = []
    for cell in cells:
        spec = by_name[cell.folder.name]
        is_meant = (cell.backbone, cell.protocol) == (spec.backbone.name, spec.protocol_name)
        if is_meant and (cell.seed == spec.seed or draws_nothing(cell.identity)):
            group = spec.domain.group or cell.provenance["group"]
            shown.append(replace(cell, provenance={**cell.provenance, "group": group, **_stated(spec.backbone)}))
        else:
            damaged.append(
                f"{store.index_path(spec)} leads from {spec.title} to a different cell; remove the file, and the cell "
                "is looked up again"
            )
    return shown, damaged


def _stated(backbone: BackboneEntry) -> dict[str, object]:
    said = {
        "objective": None if backbone.objective == "unknown" else backbone.objective,
        "source": backbone.source,
        "pretraining_seed": backbone.pretraining_seed,
    }
    return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class StudyRead:
    """The contents of a store.

    Attributes:
        config: the configuration that it was made with; None for a comparison, and a store merged by hand.
        title: of its page.
        cells: the finished and undamaged cells.
        missing: sentences on missing cells, including damaged ones, and on backbones that are not converted yet; the
            first one, if the study is made of stand-ins, says so.
        damaged: sentences on unreadable cells.
    """

    config: StudyConfig | None
    title: str
    cells: list[Cell]
    missing: list[str]
    damaged: list[str]


def read_study_results(store: Store) -> StudyRead:
    """Read a store's configuration, the finished cells that it asks for, and what is missing.

    Without a configuration, the cells are those of the folder's last comparison, or all.
    """
    path, folders = store.folder / STUDY_FILE, stored_folders(store.cells)
    if not path.exists():
        comparison = read_comparison(store.folder)
        if comparison is not None:
            return _read_comparison(comparison, store, len(folders))
        cells, damaged = readable_cells(folders, HeldRecords())
        return StudyRead(None, store.folder.resolve().name, cells, damaged, damaged)
    config = read_study(path)
    specs = planned_cells(config, store)
    cells, damaged = finished_cells(specs, store)
    incomplete = left_out_sentences(still_left_out(config, store))
    stand_ins = [STAND_INS_NOTICE] if config.stand_ins else []
    missing = [*stand_ins, *missing_sentences(specs, store), *damaged, *incomplete]
    others = len(folders) - len(cells) - len(damaged)
    if others > 0:
        missing.append(f"{others} cells in the store are not part of {STUDY_FILE} and are not shown.")
    return StudyRead(config, config.title, [as_configured(cell, config) for cell in cells], missing, damaged)


def _read_comparison(comparison: Comparison, store: Store, num_stored: int) -> StudyRead:
    asked = {name: planned for planned in comparison.cells if (name := store.indexed(planned)) is not None}
    present = [store.cells / name for name in asked if (store.cells / name).exists()]
    found, damaged = readable_cells(present, HeldRecords())
    cells = []
    for cell in found:
        cells.append(replace(cell, provenance={**cell.provenance, **asked[cell.folder.name].stated}))
    missing = [*missing_sentences(comparison.cells, store), *damaged, *comparison.left_out]
    others = num_stored - len(present)
    if others > 0:
        missing.append(f"{others} cells in the folder are not part of its last comparison and are not shown.")
    return StudyRead(None, comparison.title, cells, missing, damaged)
