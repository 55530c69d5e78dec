"""A worker: goes through a study's cells and computes those that nobody else has or is computing."""

import contextlib
import errno
import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells import cell_folder, write_cell
from hf_sslgen.study.claims import kept_alive, still_held, try_claim
from hf_sslgen.study.describe import cell_provenance
from hf_sslgen.study.measures import measure
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.store import Store
from hf_sslgen.study.workbench import PreparedCell, prepare_cell

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
FULL_BELOW_BYTES = 1_000_000


class Outcome(StrEnum):
    """What became of a cell when a worker came to it."""

    COMPUTED = "computed"
    FOUND = "found"
    FAILED = "failed"
    BUSY = "busy"


class DiskFullError(InputError):
    """No room is left for results; the store is intact."""


def _require_room(error: BaseException, folder: Path) -> None:
    """Raise DiskFullError where an error comes from a full disk, which would fail every other cell as well."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and len(causes) < 10:
        causes.append(cause)
    says_so = any(
        (isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT)) or "No space left" in str(each)
        for each in causes
    )
    if says_so or shutil.disk_usage(folder).free < FULL_BELOW_BYTES:
        raise DiskFullError(
            f"no disk space left in {folder}; finished cells are intact: free some and run the same command again"
        ) from error


def _compute(prepared: PreparedCell, store: Store) -> Outcome:
    """Compute a cell under a claim, unless another process has it."""
    folder = cell_folder(store.cells, prepared.identity)
    name = folder.name
    store.index(prepared.spec, name)
    if folder.exists():
        return Outcome.FOUND
    claim = try_claim(store.claims, name)
    if claim is None:
        return Outcome.BUSY
    with kept_alive(claim):
        if folder.exists():  # its owner finished between the look above and the claim
            return Outcome.FOUND
        scratch = store.scratch(name, claim)
        try:
            started = time.perf_counter()
            analysis, selection = measure(prepared.job(scratch))
            seconds = time.perf_counter() - started
            if not still_held(claim):
                logger.warning("%s: another process took over; this result is dropped", prepared.spec.title)
                return Outcome.BUSY
            provenance = cell_provenance(prepared.spec, prepared.facts, prepared.domain, seconds, selection)
            write_cell(folder, prepared.identity, provenance, analysis)
        finally:
            store.clear_scratch(name)
    logger.info("%s: %.1f s", prepared.spec.title, seconds)
    return Outcome.COMPUTED


def work_on(spec: CellSpec, store: Store, retry_failed_before: float) -> Outcome:
    """Compute one cell, if it is there to be computed; a failure is recorded and not raised.

    Args:
        retry_failed_before: failures recorded before this time (seconds since the epoch) are tried again.

    Raises:
        DiskFullError: no room is left.
    """
    failure = store.failure(spec)
    if failure is not None and failure.time >= retry_failed_before:
        return Outcome.FAILED
    try:
        outcome = _compute(prepare_cell(spec), store)
    except Exception as error:  # whatever one cell meets must not stop the others; it is kept with its traceback
        _require_room(error, store.folder)
        store.record_failure(spec, error)
        logger.error("failed: %s: %s: %s", spec.title, type(error).__name__, error)
        return Outcome.FAILED
    if failure is not None and outcome is not Outcome.BUSY:
        store.forget_failure(spec)
    return outcome


@contextlib.contextmanager
def limited_threads(num_threads: int | None) -> Iterator[None]:
    """Compute with so many threads; sums are the same to the last bit only under equal numbers of threads."""
    if num_threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        with threadpool_limits(num_threads):
            yield
    finally:
        torch.set_num_threads(before)


def run_worker(
    specs: Sequence[CellSpec], store: Store, num_threads: int | None = None, retry_failed: bool = False
) -> Counter[Outcome]:
    """Work until every cell is finished or failed, waiting for those that other processes are computing.

    Returns:
        How many cells were computed here, found finished, or failed.
    """
    counts: Counter[Outcome] = Counter()
    retry_failed_before = time.time() if retry_failed else 0.0
    waiting = list(specs)
    announced = False
    with limited_threads(num_threads), tqdm(total=len(specs), desc="cells", unit="cell", disable=None) as progress:
        while waiting:
            busy = []
            for spec in waiting:
                outcome = work_on(spec, store, retry_failed_before)
                if outcome is Outcome.BUSY:
                    busy.append(spec)
                else:
                    counts[outcome] += 1
                    progress.update()
            if len(busy) == len(waiting):
                if not announced:
                    logger.info("waiting for %d cells that other processes are computing", len(busy))
                    announced = True
                time.sleep(POLL_SECONDS)
            waiting = busy
    return counts
