"""A study's folder: finished cells, claims on cells in progress, failures, and the folder of each planned cell.

    cells/      a folder per finished cell
    checked.json which of these were found undamaged, and what their files looked like then (`progress.py`)
    claims/     which process is computing which cell (`work_claims.py`)
    facts/      what identifies domains and backbones, so that each is read once (`execution/shared_facts.py`)
    failures/   a JSON file per failed cell, with its traceback
    features/   outputs of frozen trunks (`analysis/feature_store.py`), which may be removed at any time
    index/      a JSON file per planned cell: the folder that its identity leads to
    pictures/   small pictures of the images a report shows (`pictures/stored_pictures.py`), also removable
    scratch/    runs in progress, removed when their cell ends
    unfinished/ parts of cells in progress that survive a killed process, for the next one to resume from

Files are written atomically, and processes need nothing but the folder to work together.
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
from typing import Any, Protocol, get_type_hints

from hf_sslgen.files import finish_replacement, remove_abandoned, write_json
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.study.cells.cell_folder import CELL_NAME
from hf_sslgen.tokens import without_tokens
from hf_sslgen.work_claims import Claim, find_claims, is_alive, kept_alive, release, this_process, try_claim

STUDY_FILE = "study.yaml"
OTHER_FOLDERS = ("facts", "index", "failures", "report", "pictures", "pictures/of_cells")
UNFINISHED = "unfinished"
REPORT_CLAIM = "report"
"""Name of the claim on writing the report; every cell's name is longer."""

POLL_SECONDS = 0.2

DEFAULT_CACHE_GB = 20.0
"""Size that the outputs of frozen trunks may reach, unless a command says otherwise."""


class Planned(Protocol):
    """A planned cell, as far as a study's folder goes by it; its key names its files."""

    @property
    def key(self) -> str: ...
    @property
    def title(self) -> str: ...


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
        self.features = folder / "features"

    def prepare(self) -> None:
        """Make the folder, and clean up after killed processes.

        Raises:
            InputError: the folder contains something else or can't be written.
        """
        require_output_folder(self.folder, own=["cells"])
        for folder in (self.cells, self.claims):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.folder, self.cells, self.claims, *(self.folder / name for name in OTHER_FOLDERS)):
            remove_abandoned(folder)
        for folder in self.features.glob("*/"):
            remove_abandoned(folder)
        for claim in find_claims(self.claims):
            if not is_alive(claim):
                self.clear_scratch(claim)
                release(claim)
        reporting = try_claim(self.claims, REPORT_CLAIM)
        if reporting is not None:
            finish_replacement(self.folder)
            release(reporting)
        for folder in self.folder.glob(f"{UNFINISHED}/*"):
            if (self.cells / folder.name).exists():  # its worker was killed before it could clean up
                self._clear_unfinished(folder)

    def limit_features(self, cache_gb: float) -> None:
        """Record the size in GB that `features/` may reach, for all processes of the study; 0 keeps nothing."""
        write_json(self._features_limit, {"feature_cache_gb": cache_gb})

    @property
    def feature_cache_gb(self) -> float:
        """The size in GB that `features/` may reach."""
        stated = read_mapping(self._features_limit).get("feature_cache_gb", DEFAULT_CACHE_GB)
        return float(stated) if isinstance(stated, int | float) else DEFAULT_CACHE_GB

    def features_bytes(self) -> int:
        """Return the present size of `features/`."""
        total = 0
        for path in self.features.glob("*/*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # removed by a worker
                total += path.stat().st_size
        return total

    @property
    def _features_limit(self) -> Path:
        return self.features / "limit.json"

    def scratch(self, claim: Claim) -> Path:
        """Return a folder for the runs of one claim on a cell; the leftovers of earlier claims are removed."""
        shutil.rmtree(self.folder / "scratch" / claim.name, ignore_errors=True)
        for abandoned in self.cells.glob(f".{claim.name}.*.unfinished"):
            shutil.rmtree(abandoned, ignore_errors=True)
        return self._scratch(claim)

    def unfinished(self, claim: Claim) -> Path:
        """Return a folder for finished parts of a cell, shared by this claim and later ones."""
        return self.folder / UNFINISHED / claim.name

    def clear_unfinished(self, claim: Claim) -> None:
        """Remove the parts of a cell that has finished or failed."""
        self._clear_unfinished(self.unfinished(claim))

    def _clear_unfinished(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.parent.rmdir()

    def clear_scratch(self, claim: Claim) -> None:
        """Remove the runs of a claim; those of a claim that took over from it are kept."""
        folder = self._scratch(claim)
        shutil.rmtree(folder, ignore_errors=True)
        for empty in (folder.parent, folder.parent.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()

    def _scratch(self, claim: Claim) -> Path:
        return self.folder / "scratch" / claim.name / (claim.owner.token if claim.owner is not None else "unknown")

    def index(self, spec: Planned, cell: str) -> None:
        """Record which folder a planned cell's identity leads to."""
        if self.indexed(spec) != cell:
            write_json(self.index_path(spec), {"title": spec.title, "key": spec.key, "cell": cell})

    def index_path(self, spec: Planned) -> Path:
        """Return the file that records a planned cell's folder."""
        return self.folder / "index" / f"{spec.key}.json"

    def indexed(self, spec: Planned) -> str | None:
        """Return the recorded name of a planned cell's folder; None if there is no entry or it is damaged."""
        content = read_mapping(self.index_path(spec))
        cell = content.get("cell")
        is_whole = content.get("key") == spec.key and isinstance(cell, str) and CELL_NAME.fullmatch(cell)
        return cell if is_whole else None

    def is_finished(self, spec: Planned) -> bool:
        """Whether a planned cell was found finished; false if no process has looked it up yet."""
        cell = self.indexed(spec)
        return cell is not None and (self.cells / cell).exists()

    def record_failure(self, spec: Planned, error: BaseException) -> None:
        """Record a cell's failure."""
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

    def failure(self, spec: Planned) -> Failure | None:
        """Return the record of a cell's failure; None if there is none or it is damaged, and the cell is retried."""
        content = read_mapping(self._failure_path(spec))
        kinds = get_type_hints(Failure)
        if content.keys() != kinds.keys() or not all(isinstance(content[name], kinds[name]) for name in kinds):
            return None
        return Failure(**content)

    def has_failed(self, spec: Planned) -> bool:
        """Whether a planned cell failed and has not been finished since."""
        return self.failure(spec) is not None and not self.is_finished(spec)

    def forget_failures(self, specs: Iterable[Planned]) -> None:
        """Forget the failures of cells that will be retried or have succeeded."""
        for spec in specs:
            self._failure_path(spec).unlink(missing_ok=True)

    def _failure_path(self, spec: Planned) -> Path:
        return self.folder / "failures" / f"{spec.key}.json"


class Snapshot(Store):
    """A store as it is at one moment, for reading about many cells: folders are listed once, and files read once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._listed = {name: _names(folder / name) for name in ("cells", "failures")}
        self._indexed: dict[str, str | None] = {}

    def indexed(self, spec: Planned) -> str | None:
        """Return the recorded name of a planned cell's folder; None if there is no entry or it is damaged."""
        if spec.key not in self._indexed:
            self._indexed[spec.key] = super().indexed(spec)
        return self._indexed[spec.key]

    def is_finished(self, spec: Planned) -> bool:
        """Whether a planned cell was found finished; false if no process has looked it up yet."""
        return self.indexed(spec) in self._listed["cells"]

    def failure(self, spec: Planned) -> Failure | None:
        """Return the record of a cell's failure; None if there is none or it is damaged, and the cell is retried."""
        return super().failure(spec) if f"{spec.key}.json" in self._listed["failures"] else None


def _names(folder: Path) -> frozenset[str]:
    return frozenset(path.name for path in folder.iterdir()) if folder.is_dir() else frozenset()


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a JSON file's mapping; empty if the file is missing, or damaged because a machine lost power."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


@contextmanager
def alone_in_reporting(store: Store) -> Iterator[None]:
    """Hold the claim on a study's tables and page, after waiting for any other process that is writing them."""
    while (claim := try_claim(store.claims, REPORT_CLAIM)) is None:
        time.sleep(POLL_SECONDS)
    with kept_alive(claim):
        yield
