"""A worker, which computes the cells of a study that are not finished and that no other process is computing."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.analysis.pass_shards import Run
from hf_sslgen.analysis.trunk_passes import counted_passes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.files import is_disk_full
from hf_sslgen.interruption import interrupt_behind
from hf_sslgen.study.cells.cell_folder import cell_folder, write_cell
from hf_sslgen.study.cells.cell_identity import cell_identity, cell_provenance
from hf_sslgen.study.cells.store import UNFINISHED, Snapshot, Store
from hf_sslgen.study.estimate import Sizes
from hf_sslgen.study.execution.progress_line import attempted, expected_images, progress_line
from hf_sslgen.study.execution.rounds import Outcome, work_through
from hf_sslgen.study.execution.schedule import USUAL_SIZES, known_sizes, ordered_units
from hf_sslgen.study.execution.shared_facts import EstablishedElsewhereError
from hf_sslgen.study.execution.spoilt_pictures import SpoiltPictures
from hf_sslgen.study.execution.study_features import study_features
from hf_sslgen.study.execution.thread_limit import limited_threads
from hf_sslgen.study.execution.workbench import Unavailable, identify, prepare_cell
from hf_sslgen.study.known_cell import KnownCell
from hf_sslgen.study.pictures.picture_keeping import keep_pictures
from hf_sslgen.study.plan import CellSpec, first_seeds
from hf_sslgen.study.protocols.candidate_runs import CANDIDATES, CandidateRuns
from hf_sslgen.study.protocols.dispatch import measure
from hf_sslgen.study.protocols.finetuned import assist_finetuned
from hf_sslgen.study.protocols.presets import FineTuningProtocol
from hf_sslgen.work_claims import Claim, kept_alive, still_held, try_claim

logger = logging.getLogger(__name__)

FULL_BELOW_BYTES = 1_000_000


def _require_room(error: BaseException, folder: Path) -> None:
    """Raise DiskFullError if an error comes from a full disk, which would fail every other cell as well."""
    if is_disk_full(error) or shutil.disk_usage(folder).free < FULL_BELOW_BYTES:
        raise DiskFullError(
            f"no disk space left in {folder}; finished cells are kept: free some space and run the same command again"
        ) from error


def _fail(spec: CellSpec, store: Store, error: Exception) -> Outcome:
    """Record a cell's failure; raise DiskFullError on a full disk, which would fail every cell."""
    _require_room(error, store.folder)
    try:
        store.record_failure(spec, error)
    except OSError as no_room:
        _require_room(no_room, store.folder)
        raise
    logger.error("failed: %s: %s: %s", spec.title, type(error).__name__, error)
    return Outcome.FAILED


def _require_unchanged(known: KnownCell, store: Store) -> None:
    """Raise InputError if the domain's files or the checkpoint are not those that the cell's identity names."""
    if identify(known.spec, store.folder, now=True) != known:
        raise InputError(
            f"the data of {known.domain.name!r} or the checkpoint {known.facts.pinned!r} was changed while the cell "
            "was computed; run the same command again with --retry_failed true, which measures it as it is now"
        )


def _measure(known: KnownCell, store: Store, claim: Claim, unavailable: Unavailable | None) -> Outcome:
    """Measure and write a cell whose claim this process holds."""
    spec = known.spec
    try:
        prepared = prepare_cell(spec, unavailable, known.facts)
        started = time.perf_counter()
        run = Run(store.unfinished(claim), features=study_features(store))
        with counted_passes() as passes:
            analysis, selection = measure(prepared, store.scratch(claim), run)
        seconds = time.perf_counter() - started
        if not still_held(claim):
            logger.warning("%s: another process took over; this result is dropped", spec.title)
            return Outcome.BUSY
        _require_unchanged(known, store)
        identity = cell_identity(known, known.domain.fingerprints)
        provenance = cell_provenance(prepared, seconds, selection, passes.images)
        keep_pictures(store.folder, claim.name, prepared, analysis)
        write_cell(store.cells / claim.name, identity, provenance, analysis, replace=False)
    except Exception as error:  # an error in one cell must not stop the others; it is recorded with its traceback
        if (interrupt := interrupt_behind(error)) is not None:
            raise interrupt from None
        if still_held(claim):
            store.clear_unfinished(claim)
            return _fail(spec, store, error)
        logger.warning("%s: another process took over; dropped: %s", spec.title, error)
        return Outcome.BUSY
    finally:
        store.clear_scratch(claim)
    store.clear_unfinished(claim)
    store.forget_failures([spec])
    logger.info("%s: %.1f s", spec.title, seconds)
    return Outcome.COMPUTED


def _folder(known: KnownCell, store: Store) -> Path:
    return cell_folder(store.cells, cell_identity(known, known.domain.fingerprints))


def _compute(known: KnownCell, store: Store, unavailable: Unavailable | None) -> Outcome:
    """Compute a cell under a claim, unless it is finished or claimed already; nothing is loaded before."""
    spec, folder = known.spec, _folder(known, store)
    store.index(spec, folder.name)
    if folder.exists():
        return Outcome.FOUND
    claim = try_claim(store.claims, folder.name)
    if claim is None:
        return Outcome.BUSY
    with kept_alive(claim):
        # Another process may have finished it between the checks above and the claim.
        if folder.exists():
            return Outcome.FOUND
        if store.has_failed(spec):
            return Outcome.FAILED
        return _measure(known, store, claim, unavailable)


def _is_finished(
    known: KnownCell, first: CellSpec, seen: Snapshot, store: Store, unavailable: Unavailable | None
) -> bool:
    """Whether a snapshot has a cell, or the first seed's that it would repeat, under its present identity."""
    name = seen.indexed(known.spec) if seen.is_finished(known.spec) else None
    if name is None or _folder(known, store).name == name:
        return name is not None
    return known.repeats_other_seeds and _folder(identify(first, store.folder, unavailable), store).name == name


def _compute_once(
    spec: CellSpec, first: CellSpec, store: Store, unavailable: Unavailable | None, seen: Snapshot | None
) -> Outcome:
    """Compute the first seed's cell in place of one that would repeat it, unless that one is finished, and index
    its folder for this one too. If the first seed's cell fails, compute this one."""
    known = identify(spec, store.folder, unavailable)
    if seen is not None and _is_finished(known, first, seen, store, unavailable):
        return Outcome.FOUND
    if spec == first or not known.repeats_other_seeds or _folder(known, store).exists():
        return _compute(known, store, unavailable)
    of_first = Outcome.FAILED
    if not store.has_failed(first):
        of_first = _compute(identify(first, store.folder, unavailable), store, unavailable)
    shared = store.indexed(first)
    if of_first is Outcome.FAILED or shared is None:
        return _compute(known, store, unavailable)
    store.index(spec, shared)
    return of_first


def work_on(
    spec: CellSpec,
    store: Store,
    unavailable: Unavailable | None = None,
    first: CellSpec | None = None,
    seen: Snapshot | None = None,
) -> Outcome:
    """Compute one cell unless it is finished or claimed; a failure is recorded, not raised.

    Args:
        unavailable: as in `prepare_cell`.
        first: the first cell of the plan that differs in nothing but the seed, from `plan.first_seeds`.
        seen: a recent snapshot of the store, which saves looking up what is finished.

    Raises:
        DiskFullError: the disk is full.
    """
    if store.has_failed(spec):
        return Outcome.FAILED
    try:
        return _compute_once(spec, first or spec, store, unavailable, seen)
    except EstablishedElsewhereError:
        return Outcome.WAITING
    except Exception as error:  # nor must a domain or backbone that can't be loaded
        if (interrupt := interrupt_behind(error)) is not None:
            raise interrupt from None
        return _fail(spec, store, error)


def assist_with(spec: CellSpec, store: Store, unavailable: Unavailable | None = None) -> Outcome:
    """Help with a cell that another process is computing by training some of its candidates; an error is left to it.

    Raises:
        DiskFullError: the disk is full.
    """
    protocol, name = spec.protocol, store.indexed(spec)
    if not isinstance(protocol, FineTuningProtocol) or name is None:
        return Outcome.BUSY
    parts = store.folder / UNFINISHED / name
    runs = CandidateRuns.announced(parts / CANDIDATES)
    if runs is None or not runs.free():
        return Outcome.BUSY
    try:
        known = identify(spec, store.folder, unavailable)
        if _folder(known, store).name != name:
            return Outcome.BUSY
        helped = assist_finetuned(prepare_cell(spec, unavailable, known.facts), protocol, parts)
    except Exception as error:  # the process that computes the cell will meet it, if it is the cell's fault
        if (interrupt := interrupt_behind(error)) is not None:
            raise interrupt from None
        _require_room(error, store.folder)
        logger.warning("%s: could not help: %s: %s", spec.title, type(error).__name__, error)
        return Outcome.BUSY
    if helped:
        logger.info("%s: helped with its candidates", spec.title)
    return Outcome.HELPED if helped else Outcome.BUSY


def run_worker(
    specs: Sequence[CellSpec],
    store: Store,
    num_threads: int | None = None,
    unavailable: Unavailable | None = None,
    wait: bool = True,
    shows_progress: bool = True,
) -> Counter[Outcome]:
    """Work until every cell has finished or failed.

    Args:
        unavailable: as in `prepare_cell`.
        wait: whether to wait for cells that other processes are computing.
        shows_progress: whether to show one line of progress.

    Returns:
        The number of cells with each outcome; `BUSY` are those that were not waited for.
    """
    unavailable = {} if unavailable is None else unavailable
    firsts, seen, spoilt = first_seeds(specs), Snapshot(store.folder), SpoiltPictures()

    def assist(spec: CellSpec) -> Outcome:
        return assist_with(spec, store, unavailable)

    found: dict[DomainArguments, Sizes | None] = {}

    def sizes(spec: CellSpec) -> Sizes | None:
        if spec.domain not in found:
            found[spec.domain] = known_sizes(spec, store.folder, unavailable)
        return found[spec.domain]

    units = [unit.cells for unit in ordered_units(specs, sizes)]
    weights = expected_images([spec for unit in units for spec in unit], sizes, USUAL_SIZES)
    with limited_threads(num_threads), progress_line(weights, shows_progress) as line:

        def attempt(spec: CellSpec) -> Outcome:
            with attempted(line, spec):
                is_known = spoilt.fails(spec, store)
                outcome = Outcome.FAILED if is_known else work_on(spec, store, unavailable, firsts[spec], seen)
            spoilt.note(spec, outcome is Outcome.FAILED, store)
            if outcome.is_final:
                line.ends(spec, outcome is Outcome.COMPUTED)
            return outcome

        return work_through(units, attempt, store, assist, wait)
