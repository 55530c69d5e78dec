"""One worker process of a study: `python -m hf_sslgen.study.execution.worker_process STUDY.yaml OUTPUT_DIR`.

With `--no_wait` behind these, it does not wait for cells that others are computing; with `--quiet`, it shows no
progress and logs only warnings. It works on the cells but does not report failures; the process that started it does.
"""

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hf_sslgen.command_line import run_command
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution.rounds import Outcome
from hf_sslgen.study.execution.workbench import Unavailable
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import expand

logger = logging.getLogger(__name__)


NO_WAIT = "--no_wait"
QUIET = "--quiet"

WORKERS = "hf_sslgen.study.execution"
"""The logger of what workers do."""


@contextmanager
def workers_logging(everything: bool) -> Iterator[None]:
    """Let workers log everything within the block, or only warnings, as fits beside a line of progress."""
    of_workers = logging.getLogger(WORKERS)
    before = of_workers.level
    if not everything:
        of_workers.setLevel(logging.WARNING)
    try:
        yield
    finally:
        of_workers.setLevel(before)


def work(
    study: Path,
    output_dir: Path,
    unavailable: Unavailable | None = None,
    wait: bool = True,
    shows_progress: bool = True,
) -> Counter[Outcome]:
    """Work on a study until all its cells have finished or failed; returns this process's outcomes.

    Args:
        unavailable, wait, shows_progress: as in `run_worker`.
    """
    config = read_study(study)
    counts = run_worker(expand(config), Store(output_dir), config.num_threads, unavailable, wait, shows_progress)
    logger.info("%s", outcome_words(counts))
    return counts


def outcome_words(counts: Counter[Outcome]) -> str:
    """Return outcomes in words, such as "3 cells computed, 1 cells found"."""
    return ", ".join(f"{count} cells {outcome}" for outcome, count in counts.items())


def main(command_line: Sequence[str] | None = None) -> None:
    """Run a worker; the arguments are the study's file and folder, and whether to wait."""
    study, output_dir, *options = command_line or sys.argv[1:]
    shows = QUIET not in options
    with workers_logging(shows):
        work(Path(study), Path(output_dir), wait=NO_WAIT not in options, shows_progress=shows)


if __name__ == "__main__":
    run_command("hf_sslgen.study.execution.worker_process")
