"""Report a study's cells to experiment trackers as they finish, each as a run of its own.

Any number of processes may work on the study and report its cells. A file per cell and tracker, which exactly one of
them gets to make, says that a cell has been reported.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.analysis.overall_numbers import overall_numbers
from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.cell_folder import Cell, read_stored_cell, stored_folders
from hf_sslgen.study.cells.store import Store
from hf_sslgen.training.tracked_runs import RunDescription, tracked_run
from hf_sslgen.training.tracking import Tracker

logger = logging.getLogger(__name__)

REPORTED = "tracked"
"""Subfolder of a study with an empty file per tracker and reported cell; removing it reports all of them again."""


def _config(cell: Cell) -> dict[str, object]:
    return {
        "backbone": cell.backbone,
        "objective": cell.objective,
        "domain": cell.domain,
        "group": cell.group,
        "protocol": cell.protocol,
        "labels": cell.labels,
        "seed": cell.seed,
    }


def _report(cell: Cell, study: Path, title: str, tracker: Tracker, project: str | None) -> None:
    run = RunDescription(cell.folder.name, study, project, title, _config(cell))
    with tracked_run([tracker], run) as tracked:
        tracked.log(overall_numbers(cell.numbers), step=0)


def report_cells(store: Store, title: str, trackers: Sequence[Tracker], project: str | None, known: set[str]) -> None:
    """Report the finished cells that no process has reported yet.

    Args:
        title: the study's, by which trackers group its cells.
        known: names of cells that this process need not look at again; those reported now are added.
    """
    for folder in stored_folders(store.cells):
        if folder.name in known:
            continue
        known.add(folder.name)
        for tracker in trackers:
            mark = store.folder / REPORTED / tracker / folder.name
            mark.parent.mkdir(parents=True, exist_ok=True)
            try:
                mark.touch(exist_ok=False)
            except FileExistsError:
                continue
            try:
                _report(read_stored_cell(folder), store.folder, title, tracker, project)
            except InputError as error:
                mark.unlink(missing_ok=True)
                logger.warning("not reported: %s", error)
            except Exception as error:  # a tracker may raise anything, and must not end the study
                mark.unlink(missing_ok=True)
                logger.warning("%s could not be reported to %s: %s", folder.name, tracker, error)
