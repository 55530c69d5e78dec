"""Pull the cells of a published study: those whose names are new here, each completely and after a check."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.hf_api import RepoFile

from hf_sslgen.errors import InputError
from hf_sslgen.files import create_folder
from hf_sslgen.hub.cell_check import check_cell, check_files
from hf_sslgen.hub.remote_study import CELL_NAME, RemoteStudy, fetch, look_at, other_numbers
from hf_sslgen.hub_access.faults import DamagedFileError
from hf_sslgen.hub_access.retries import patiently
from hf_sslgen.study.cells.cell_folder import read_stored_cell
from hf_sslgen.study.cells.cell_form import RESULTS, NoCellError

AT_ONCE = 8
"""Number of cells downloaded at the same time."""

_CHECKING = threading.Lock()
"""Cells are unpacked one at a time, because each may use the maximum memory of a cell."""


@dataclass
class Pulled:
    """What a pull has done so far.

    Attributes:
        taken: names of pulled cells.
        found: names of cells already here with the same numbers.
        conflicts: cells already here with different numbers, which are kept, and how the numbers differ.
        damaged: cells already here that can't be read, and what to do.
        refused: cells that can't be used, and why.
    """

    commit: str = ""
    taken: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def pull_cells(api: HfApi, repository: str, cells: Path) -> Pulled:
    """Pull the cells of a dataset repository into the folder `cells` of a study.

    Raises:
        InputError: the repository does not contain a study.
    """
    remote = patiently(lambda: look_at(api, repository), f"datasets/{repository}")
    there = remote.cells()
    if not any("cell.json" in files for files in there.values()):
        raise InputError(
            f"the dataset {repository!r} does not contain a study: it has no `cells` folder as written by push-study"
        )
    pulled, new = Pulled(remote.commit), []
    for name, files in sorted(there.items()):
        if not CELL_NAME.fullmatch(name):
            pulled.refused[name[:160]] = "it is not a valid cell name"
        elif not os.path.lexists(cells / name):
            new.append(name)
        else:
            try:
                ours = read_stored_cell(cells / name).folder / RESULTS
            except InputError as error:
                pulled.damaged[name] = str(error).replace("computed again", "computed or pulled again")
                continue
            words = patiently(partial(other_numbers, api, remote, files.get("results.json"), ours), remote.page)
            if words:
                pulled.conflicts[name] = words
            else:
                pulled.found.append(name)
    executor = ThreadPoolExecutor(AT_ONCE)
    try:
        tries = {executor.submit(_take_over, api, remote, there[name], cells / name): name for name in new}
        for each in as_completed(tries):
            try:
                each.result()
                pulled.taken.append(tries[each])
            except (NoCellError, DamagedFileError) as error:
                pulled.refused[tries[each]] = str(error)
    finally:
        executor.shutdown(cancel_futures=True)
    return pulled


def _take_over(api: HfApi, remote: RemoteStudy, files: dict[str, RepoFile], folder: Path) -> None:
    """Download a cell, check it, and move it into place; raises NoCellError if it can't be used."""
    check_files({name: file.size for name, file in files.items()})
    with create_folder(folder) as unfinished:
        downloads = unfinished / "downloads"
        for name, file in files.items():
            path = patiently(partial(fetch, api, remote, file, downloads), remote.page)
            path.replace(unfinished / name)
        shutil.rmtree(downloads)
        with _CHECKING:
            check_cell(unfinished, folder.name)
