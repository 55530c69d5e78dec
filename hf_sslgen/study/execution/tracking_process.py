"""A process beside a study's workers that reports their cells to experiment trackers as they finish.

Trackers start threads and patch what they find, so they are kept out of the processes that compute. This one ends
after a last look when its standard input does: when the study ends, however it ends.
"""

import contextlib
import json
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hf_sslgen.command_line import run_command
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution.tracked_cells import report_cells
from hf_sslgen.training.tracking import TrackingArguments

SECONDS_BETWEEN = 5.0


@contextmanager
def cells_tracked(store: Store, title: str, tracking: TrackingArguments) -> Iterator[None]:
    """Within the block, report the study's cells as they finish, whoever computes them; wait for the last ones.

    Raises:
        InputError: a tracker is not installed.
    """
    if not tracking.trackers:
        yield
        return
    wanted = json.dumps([str(store.folder), title, list(tracking.trackers), tracking.project])
    command = [sys.executable, "-m", "hf_sslgen.study.execution.tracking_process", wanted]
    process = subprocess.Popen(command, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        process.communicate()


def main(command_line: Sequence[str] | None = None) -> None:
    """Report cells until the standard input ends; an interrupt is for the process that started this one."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    (wanted,) = command_line or sys.argv[1:]
    folder, title, trackers, project = json.loads(wanted)
    store, known = Store(Path(folder)), set[str]()
    has_ended = False
    with contextlib.redirect_stdout(sys.stderr):  # the standard output is the study's
        while not has_ended:
            has_ended = bool(select.select([sys.stdin], [], [], SECONDS_BETWEEN)[0])
            report_cells(store, title, trackers, project, known)


if __name__ == "__main__":
    run_command("hf_sslgen.study.execution.tracking_process")
