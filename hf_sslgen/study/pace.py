"""How fast a study advances, from the times at which its cells were finished, and how long it will still take."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.study.cells.store import Planned, Snapshot
from hf_sslgen.study.progress import living_claims

RECENT = 30
"""The pace is that of so many cells."""


@dataclass(frozen=True)
class Pace:
    """A study's progress at one moment.

    Attributes:
        running: titles of the cells that processes are computing.
        per_hour: cells finished per hour of late; 0.0 if unknown.
    """

    total: int
    finished: int
    failed: int
    running: tuple[str, ...]
    per_hour: float

    @property
    def left(self) -> int:
        return self.total - self.finished - self.failed

    @property
    def seconds_left(self) -> float | None:
        """Rough, because cells differ; None while nothing is known."""
        return 3600.0 * self.left / self.per_hour if self.per_hour > 0 else None

    def line(self) -> str:
        """Describe it in one line."""
        parts = [f"{self.finished:,} of {self.total:,} cells"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        if self.left and self.per_hour > 0:
            parts.append(f"{self.per_hour:,.0f} an hour")
        if self.left and self.seconds_left is not None:
            parts.append(f"about {duration_words(self.seconds_left)} left")
        if self.running:
            more = f" and {len(self.running) - 1} more" if len(self.running) > 1 else ""
            parts.append(f"now {self.running[0]}{more}")
        elif self.left:
            parts.append("nothing is running")
        return ", ".join(parts)


def pace_of(specs: Sequence[Planned], folder: Path) -> Pace:
    """Return how far a study has come and how fast it advances."""
    store = Snapshot(folder)
    claimed = living_claims(store)
    names = {store.indexed(spec) for spec in specs if store.is_finished(spec)} - {None}
    finished = sum(store.is_finished(spec) for spec in specs)
    failed = sum(store.has_failed(spec) for spec in specs)
    running = tuple(spec.title for spec in specs if store.indexed(spec) in claimed and not store.is_finished(spec))
    return Pace(len(specs), finished, failed, running, _per_hour([folder / "cells" / str(name) for name in names]))


def _per_hour(cells: Sequence[Path]) -> float:
    """Return how many cells an hour brings, judged by the latest ones; a long pause since then counts as well."""
    ended = sorted(path.stat().st_mtime for path in cells if path.exists())[-RECENT:]
    if len(ended) < 2:
        return 0.0
    seconds = max(ended[-1] - ended[0], (time.time() - ended[0]) * (len(ended) - 1) / len(ended))
    return 3600.0 * (len(ended) - 1) / max(seconds, 1e-3)


def duration_words(seconds: float) -> str:
    """Return a duration roughly, such as `40 s`, `12 min` or `3.4 h`."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
