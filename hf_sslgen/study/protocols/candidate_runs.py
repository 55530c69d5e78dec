"""The runs of one fine-tuning cell, shared by processes through a folder and kept when a process is killed.

grid.json           the names of the candidates, in the grid's order
claims/             which process is training which run (`work_claims.py`)
<run>/result.json   what the run ended with, written last
<run>/run-<n>/      the training run under the n-th claim on it; removed once another candidate is better
"""

import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.files import write_json
from hf_sslgen.output_folder import CLAIM
from hf_sslgen.work_claims import Claim, find_living_claims, kept_alive, still_held, try_claim

logger = logging.getLogger(__name__)

CANDIDATES = "candidates"
GRID, RESULT, CLAIMS = "grid.json", "result.json", "claims"
POLL_SECONDS = 1.0

Score = float | None
"""Validation negative log-likelihood; None if training diverged."""

Train = Callable[[str, Path], Score]
"""Trains the run of a name into a folder."""


class TakenOverError(Exception):
    """Another process has taken over, or finished, the cell that a run was for."""


@dataclass(frozen=True)
class CandidateRuns:
    """The training runs of a cell.

    Attributes:
        names: of the candidates, in the grid's order.
    """

    folder: Path
    names: tuple[str, ...]

    @classmethod
    def begin(cls, folder: Path, names: Sequence[str]) -> "CandidateRuns":
        """Announce the candidates of a cell, so that other processes can help."""
        write_json(folder / GRID, {"candidates": list(names)})
        return cls(folder, tuple(names))

    @classmethod
    def announced(cls, folder: Path) -> "CandidateRuns | None":
        """Return the runs that another process has announced; None if there are none."""
        try:
            names = json.loads((folder / GRID).read_text(encoding="utf-8"))["candidates"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return cls(folder, tuple(names))

    def result(self, name: str) -> tuple[Score] | None:
        """Return the score of a finished run, in a tuple; None if it has not finished."""
        try:
            score = json.loads((self.folder / name / RESULT).read_text(encoding="utf-8"))["score"]
            return (None if score is None else float(score),)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def free(self) -> list[str]:
        """Return the candidates that have not finished and that no living process is training."""
        claims = self.folder / CLAIMS
        taken = {claim.name for claim in find_living_claims(claims)} if claims.is_dir() else set()
        return [name for name in self.names if name not in taken and self.result(name) is None]

    def train_free(self, train: Train) -> bool:
        """Train the candidates that no process has trained or is training; returns whether there was one."""
        return sum(self._train_alone(name, train) for name in self.names) > 0

    def scores(self, train: Train) -> list[Score]:
        """Return the score of each candidate, after training what is missing and waiting for what others train."""
        while any(self.result(name) is None for name in self.names):
            if not (self.folder / GRID).exists():
                raise TakenOverError
            if not self.train_free(train):
                time.sleep(POLL_SECONDS)
        return [score for name in self.names for score in self.result(name) or (None,)]

    def trained(self, name: str, train: Train) -> Path:
        """Return the folder of a run, which is trained if it has not finished."""
        while self.result(name) is None or (folder := self._run_folder(name)) is None:
            if not (self.folder / GRID).exists():
                raise TakenOverError
            (self.folder / name / RESULT).unlink(missing_ok=True)
            if not self._train_alone(name, train):
                time.sleep(POLL_SECONDS)
        return folder

    def _train_alone(self, name: str, train: Train) -> bool:
        """Train a run under a claim, unless it has finished or another process holds the claim."""
        if self.result(name) is not None or (claim := try_claim(self.folder / CLAIMS, name)) is None:
            return False
        with kept_alive(claim):
            if self.result(name) is not None:
                return False
            score = train(name, self._folder_under(claim))
            if not still_held(claim) or not (self.folder / GRID).exists():
                raise TakenOverError
            write_json(self.folder / name / RESULT, {"score": None if score is None else str(score)})
            if name in self.names:
                self._drop_weights()
        return True

    def _folder_under(self, claim: Claim) -> Path:
        """Return the folder for a run under this claim, with what a killed process left of it.

        It has a name of its own, because a process that was only suspended would go on writing to the former one.
        """
        own = self.folder / claim.name / f"run-{claim.generation}"
        for former in sorted((self.folder / claim.name).glob("run-*")):
            if former != own and not own.exists():
                former.rename(own)
                for claim_within in own.glob(f"{CLAIM}.*.json"):  # of the process whose claim this one supersedes
                    claim_within.unlink()
            elif former != own:
                shutil.rmtree(former, ignore_errors=True)
        return own

    def _run_folder(self, name: str) -> Path | None:
        return next(iter(sorted((self.folder / name).glob("run-*"), reverse=True)), None)

    def _drop_weights(self) -> None:
        """Remove the runs of finished candidates that are not the best so far, and will thus never be."""
        results = {name: found[0] for name in self.names if (found := self.result(name)) is not None}
        scored = [(score, self.names.index(name)) for name, score in results.items() if score is not None]
        best = self.names[min(scored)[1]] if scored else None
        for name in results:
            if name != best:
                self.drop(name)

    def drop(self, name: str) -> None:
        """Remove the weights of a run that is not needed any more."""
        if (folder := self._run_folder(name)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
