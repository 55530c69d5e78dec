"""Runs in experiment trackers for what no Trainer reports: pretraining, and the cells of a study."""

import contextlib
import hashlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from hf_sslgen.tokens import without_tokens
from hf_sslgen.training.tracking import Tracker

DEFAULT_PROJECT = "hf-sslgen"


@dataclass(frozen=True)
class RunDescription:
    """A run as trackers know it.

    Attributes:
        name: distinct within the project; a run of that name is continued.
        folder: folder of the run's local files.
        project: None for the default one.
        group: runs of one study.
        config: settings that the run is found and compared by.
    """

    name: str
    folder: Path
    project: str | None = None
    group: str | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def of_project(self) -> str:
        return self.project or os.environ.get("WANDB_PROJECT") or DEFAULT_PROJECT

    @property
    def shown_config(self) -> dict[str, Any]:
        """The settings as plain values without tokens."""
        settings = json.loads(without_tokens(json.dumps(dict(self.config), default=str)))
        assert isinstance(settings, dict)
        return settings


def name_of(folder: Path) -> str:
    """Name a run after its folder, distinct from those of other folders of that name."""
    path = folder.resolve()
    return f"{path.name}-{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


class TrackedRun(Protocol):
    """Takes the values of one step."""

    def log(self, values: dict[str, float], step: int) -> None: ...


class _TensorBoardRun:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def log(self, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


class _LoggingRun:
    """A run of trackio or wandb."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def log(self, values: dict[str, float], step: int) -> None:
        self._run.log(values, step=step)


def _summary_writer(folder: str) -> Any:
    """Return a writer of whichever of the two packages is installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(folder)
    except ImportError:
        import tensorboardX

        return tensorboardX.SummaryWriter(folder)


@contextmanager
def _tensorboard(run: RunDescription) -> Iterator[TrackedRun]:
    writer = _summary_writer(str(run.folder / "tensorboard" / run.name))
    try:
        writer.add_text("config", f"```json\n{json.dumps(run.shown_config, indent=2)}\n```")
        yield _TensorBoardRun(writer)
    finally:
        writer.close()


@contextmanager
def _trackio(run: RunDescription) -> Iterator[TrackedRun]:
    import trackio

    with contextlib.redirect_stdout(sys.stderr):  # results go to the standard output
        started = trackio.init(
            run.of_project,
            run.name,
            group=run.group,
            config=run.shown_config,
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )
    try:
        yield _LoggingRun(started)
    finally:
        with contextlib.redirect_stdout(sys.stderr):
            started.finish()


@contextmanager
def _wandb(run: RunDescription) -> Iterator[TrackedRun]:
    import wandb

    started = wandb.init(
        project=run.of_project,
        name=run.name,
        id=hashlib.sha256(run.name.encode()).hexdigest()[:16],
        resume="allow",
        group=run.group,
        config=run.shown_config,
        dir=str(run.folder),
        reinit="create_new",
        settings=wandb.Settings(silent=True),
    )
    try:
        yield _LoggingRun(started)
    finally:
        started.finish()


_OPENED = {"tensorboard": _tensorboard, "trackio": _trackio, "wandb": _wandb}


class _Runs:
    def __init__(self, runs: Sequence[TrackedRun]) -> None:
        self._runs = runs

    def log(self, values: dict[str, float], step: int) -> None:
        defined = {name: value for name, value in values.items() if math.isfinite(value)}
        for run in self._runs:
            run.log(defined, step)


@contextmanager
def tracked_run(trackers: Sequence[Tracker], run: RunDescription) -> Iterator[TrackedRun]:
    """Open a run in every tracker for the block; values that are not finite are left out."""
    with ExitStack() as stack:
        yield _Runs([stack.enter_context(_OPENED[name](run)) for name in trackers])
