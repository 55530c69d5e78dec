"""A study's folder: finished cells, claims on cells in work, failures, and where each planned cell ended up.

    cells/      a folder per finished cell
    claims/     who is computing what (`claims.py`)
    failures/   a JSON file per planned cell that failed, with its traceback
    index/      a JSON file per planned cell: the folder that its identity leads to
    scratch/    runs in work, removed when their cell ends
    unfinished/ parts of cells in work that outlive a process that is killed: whoever claims the cell next goes on

Files appear whole or not at all, and processes share the folder without further agreement.
"""

import contextlib
import json
import shutil
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_type_hints

from hf_sslgen.claims import Claim, find_claims, is_alive, kept_alive, release, this_process, try_claim
from hf_sslgen.files import finish_replacement, remove_abandoned, write_json
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.study.cells.cell_folder import CELL_NAME
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.tokens import without_tokens

STUDY_FILE = "study.yaml"
OTHER_FOLDERS = ("index", "failures", "report")
REPORT_CLAIM = "report"
"""The claim on writing the report; no cell's name is that short."""

POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Failure:
    """A planned cell that could not be computed.

    Attributes:
        key: of the cell's specification.
        error: the exception's type and message.
        time: seconds since the epoch.
    """

    key: str
    title: str
    error: str
    traceback: str
    time: float
    host: str
    process: int


class Store:
    """The folder of a study."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cells = folder / "cells"
        self.claims = folder / "claims"

    def prepare(self) -> None:
        """Make the folder, and clear up after processes that were killed.

        Raises:
            InputError: it holds something else, or can't be written.
        """
        require_output_folder(self.folder, own=["cells"])
        for folder in (self.cells, self.claims):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.cells, self.claims, *(self.folder / name for name in OTHER_FOLDERS)):
            remove_abandoned(folder)
        for claim in find_claims(self.claims):
            if not is_alive(claim):
                self.clear_scratch(claim)
                release(claim)
        reporting = try_claim(self.claims, REPORT_CLAIM)
        if reporting is not None:
            finish_replacement(self.folder)
            release(reporting)
        for folder in self.folder.glob("unfinished/*"):
            if (self.cells / folder.name).exists():  # its worker was killed before it could clear up
                self._clear_unfinished(folder)

    def scratch(self, claim: Claim) -> Path:
        """A folder for the runs of one claim on a cell; what earlier claims on it left behind is removed."""
        shutil.rmtree(self.folder / "scratch" / claim.name, ignore_errors=True)
        for abandoned in self.cells.glob(f".{claim.name}.*.unfinished"):
            shutil.rmtree(abandoned, ignore_errors=True)
        return self._scratch(claim)

    def unfinished(self, claim: Claim) -> Path:
        """A folder for finished parts of a cell, for this claim and those that may follow it."""
        return self.folder / "unfinished" / claim.name

    def clear_unfinished(self, claim: Claim) -> None:
        """Remove the parts of a cell that is finished, or has failed."""
        self._clear_unfinished(self.unfinished(claim))

    def _clear_unfinished(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    def clear_scratch(self, claim: Claim) -> None:
        """Remove what the runs of a claim left; those of the claim that overtook it stay."""
        folder = self._scratch(claim)
        shutil.rmtree(folder, ignore_errors=True)
        for empty in (folder.parent, folder.parent.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()

    def _scratch(self, claim: Claim) -> Path:
        return self.folder / "scratch" / claim.name / (claim.owner.token if claim.owner is not None else "unknown")

    def index(self, spec: CellSpec, cell: str) -> None:
        """Remember which folder a planned cell's identity leads to."""
        if self.indexed(spec) != cell:
            write_json(self.index_path(spec), {"title": spec.title, "key": spec.key, "cell": cell})

    def index_path(self, spec: CellSpec) -> Path:
        """The file that says which folder a planned cell leads to."""
        return self.folder / "index" / f"{spec.key}.json"

    def indexed(self, spec: CellSpec) -> str | None:
        """The name of the folder a planned cell leads to, where that was found out before; a damaged entry is none."""
        content = _read(self.index_path(spec))
        cell = content.get("cell")
        is_whole = content.get("key") == spec.key and isinstance(cell, str) and CELL_NAME.fullmatch(cell)
        return cell if is_whole else None

    def is_finished(self, spec: CellSpec) -> bool:
        """Whether a planned cell was found finished; false also where nobody has looked yet."""
        cell = self.indexed(spec)
        return cell is not None and (self.cells / cell).exists()

    def record_failure(self, spec: CellSpec, error: BaseException) -> None:
        """Keep what went wrong with a cell."""
        owner = this_process()
        failure = Failure(
            key=spec.key,
            title=spec.title,
            error=without_tokens(f"{type(error).__name__}: {error}"),
            traceback=without_tokens("".join(traceback.format_exception(error))),
            time=time.time(),
            host=owner.host,
            process=owner.process,
        )
        write_json(self._failure_path(spec), asdict(failure))

    def failure(self, spec: CellSpec) -> Failure | None:
        """What is known of a cell's failure, or None; a damaged record of one is none, and the cell is tried again."""
        content = _read(self._failure_path(spec))
        kinds = get_type_hints(Failure)
        if content.keys() != kinds.keys() or not all(isinstance(content[name], kinds[name]) for name in kinds):
            return None
        return Failure(**content)

    def has_failed(self, spec: CellSpec) -> bool:
        """Whether a planned cell failed and was not finished since by anybody."""
        return self.failure(spec) is not None and not self.is_finished(spec)

    def forget_failures(self, specs: Iterable[CellSpec]) -> None:
        """These cells are to be tried again, or succeeded."""
        for spec in specs:
            self._failure_path(spec).unlink(missing_ok=True)

    def _failure_path(self, spec: CellSpec) -> Path:
        return self.folder / "failures" / f"{spec.key}.json"


def _read(path: Path) -> dict[str, Any]:
    """A JSON file's mapping; empty where it is not there (any more), or damaged after a machine lost power."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


@contextmanager
def alone_in_reporting(store: Store) -> Iterator[None]:
    """Wait until no other process writes a study's tables and page, and keep others from it inside the block."""
    while (claim := try_claim(store.claims, REPORT_CLAIM)) is None:
        time.sleep(POLL_SECONDS)
    with kept_alive(claim):
        yield
