"""Draw the figures of a report: those that were not drawn before, in other processes if they are many."""

import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from types import TracebackType
from typing import Self

from hf_sslgen.reporting.figures.drawing import Drawing, DrawnFigure
from hf_sslgen.reporting.figures.figure_store import drawing_version, keep_figure, read_figure, remove_others

WORTH_PROCESSES = 24
"""Smallest number of figures for which starting other processes takes less time than it saves."""

MOST_PROCESSES = 8
"""Each takes 200 MB."""


class FigureDrawer:
    """Draws figures for one report.

    Args:
        folder: of figures drawn before, which is updated; None neither uses nor keeps any.
        processes: number of processes to draw in, if there are many figures.
    """

    def __init__(self, folder: Path | None = None, processes: int = 1) -> None:
        self._folder = folder
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None
        self._begun: dict[int, Future[DrawnFigure]] = {}
        self._keys: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if error is None and self._folder is not None:
            remove_others(self._folder, self._keys.values())

    def begin(self, drawings: Sequence[Drawing]) -> None:
        """Start to draw figures in other processes while this one does something else."""
        missing = [drawing for drawing in drawings if self._drawn_before(drawing) is None]
        if self._processes < 2 or len(missing) < WORTH_PROCESSES:
            return
        # A fork would copy the state of libraries' threads, but not the threads.
        processes = min(self._processes, MOST_PROCESSES)
        self._pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin_process)
        self._begun = {id(drawing): self._pool.submit(drawing.drawn) for drawing in missing}

    def drawn(self, drawing: Drawing) -> DrawnFigure:
        """Return a figure, drawn now unless it was drawn before or has been begun."""
        found = self._drawn_before(drawing)
        if found is None:
            found = self._finished(drawing)
            if self._folder is not None:
                keep_figure(self._folder, self._keys[id(drawing)], found)
        return found

    def _drawn_before(self, drawing: Drawing) -> DrawnFigure | None:
        if self._folder is None:
            return None
        if id(drawing) not in self._keys:
            self._keys[id(drawing)] = drawing.key(drawing_version())
        return read_figure(self._folder, self._keys[id(drawing)])

    def _finished(self, drawing: Drawing) -> DrawnFigure:
        if id(drawing) not in self._begun:
            return drawing.drawn()
        try:
            return self._begun[id(drawing)].result()
        except BrokenProcessPool:  # the script that called this can't be imported again, or memory is short
            return drawing.drawn()


def _begin_process() -> None:
    """Leave interruption to the process that waits for the figures, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
