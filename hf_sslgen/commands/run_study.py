"""Run `hf-sslgen study`, after its options have been parsed."""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi

from hf_sslgen.commands.known_names import require_names
from hf_sslgen.commands.run_power import power_text
from hf_sslgen.commands.run_report import write_report
from hf_sslgen.commands.study import StudyArguments
from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file
from hf_sslgen.hub.remote_study import in_lines
from hf_sslgen.hub.study_pull import pull_cells
from hf_sslgen.hub_access.exchange import in_one_sentence
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.study.backbone_preflights import Preflights, suspicious_backbones
from hf_sslgen.study.cells.store import REPORT_CLAIM, STUDY_FILE, Snapshot, Store
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.dry_run import dry_run_text
from hf_sslgen.study.estimate import is_at_hand
from hf_sslgen.study.execution.executors import default_workers, run_on_ray, run_processes
from hf_sslgen.study.execution.thread_limit import limited_threads
from hf_sslgen.study.execution.tracking_process import cells_tracked
from hf_sslgen.study.execution.workbench import Unavailable
from hf_sslgen.study.execution.worker_process import work, workers_logging
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.preparation import impossible_sentences, look_ahead, prepare
from hf_sslgen.study.progress import damaged_sentences, failure_sentences, still_left_out, unfinished
from hf_sslgen.study.reference.published_values import stated_references
from hf_sslgen.study.repeated_seeds import repeated_seeds, repeated_sentences
from hf_sslgen.study.unconverted import converted_only, left_out_sentences
from hf_sslgen.training.tracking import TrackingArguments
from hf_sslgen.work_claims import kept_alive, try_claim

logger = logging.getLogger(__name__)


def _keep_configuration(path: Path, store: Store) -> None:
    """Copy the study's file into its folder, for `status` and `report`."""
    copy, content = store.folder / STUDY_FILE, path.read_bytes()
    if copy.exists():
        if copy.read_bytes() == content:
            return
        logger.warning(
            "%s held another configuration and is replaced; cells only that one had are kept but not reported", copy
        )
    with replace_file(copy) as unfinished:
        unfinished.write_bytes(content)


def _write_report(specs: Sequence[CellSpec], store: Store, verbose: bool, reference: Sequence[str] | None) -> None:
    """Write the report, unless another process that ended at the same time is writing it."""
    damaged = damaged_sentences(specs, store)
    if not any(store.is_finished(spec) and spec not in damaged for spec in specs):
        return
    claim = try_claim(store.claims, REPORT_CLAIM)
    if claim is not None:
        with kept_alive(claim):
            write_report(store, verbose=verbose, reference=reference)


def _pull(repository: str, store: Store) -> None:
    """Pull finished cells from the Hub and log what happened to them."""
    if repository.count("/") != 1:
        raise InputError(f"pull is {repository!r}; give a dataset on the Hub as owner/name")
    api = HfApi()
    with in_one_sentence(repository, "dataset", writing=False):
        pulled = pull_cells(api, repository, store.cells)
    logger.info(
        "%s at %s: %d cells pulled, %d already here",
        repository,
        pulled.commit[:12],
        len(pulled.taken),
        len(pulled.found),
    )
    if pulled.conflicts:
        logger.warning(
            "%d cells are already here with different numbers and were left unchanged:%s",
            len(pulled.conflicts),
            in_lines(pulled.conflicts),
        )
    if pulled.damaged:
        logger.warning("%d cells here are unreadable:%s", len(pulled.damaged), in_lines(pulled.damaged))
    if pulled.refused:
        logger.warning("%d cells were rejected:%s", len(pulled.refused), in_lines(pulled.refused))


def _print_power(arguments: StudyArguments) -> None:
    config = read_study(Path(arguments.study))
    require_names(converted_only(config.backbones), config.domains)
    folder = arguments.folder if arguments.output_dir is not None else None
    print(power_text(config, expand(config), folder, arguments.power_from, short=False))


def _preflights(arguments: StudyArguments, config: StudyConfig) -> Preflights:
    """Stand-ins have seen no pictures, so there is nothing to judge their inputs by."""
    if config.stand_ins:
        return "skipped"
    return "reported" if arguments.accept_inputs else "required"


def _dry_run(config: StudyConfig, store: Store, power_from: str | None, preflights: Preflights) -> None:
    """Print what a study takes and can find, backbones that have to be converted first included."""
    specs = expand(config, with_left_out=True)
    require_names(converted_only(config.backbones), config.domains)
    with limited_threads(config.num_threads):
        repeated = repeated_seeds(specs)
        print(dry_run_text(specs, store, repeated))
    found = look_ahead([spec for spec in specs if is_at_hand(spec) and not store.is_finished(spec)], {})
    found.print_taken()
    unfinished_specs = [spec for spec in specs if not store.is_finished(spec) and spec not in found.impossible]
    impossible = found.impossible | suspicious_backbones(unfinished_specs, None, {}, preflights)
    for sentence in (*impossible_sentences(impossible), *repeated_sentences(repeated)):
        print(sentence[0].upper() + sentence[1:])
    print(power_text(config, specs, store.folder, power_from, short=True))


def run_study(arguments: StudyArguments, tracking: TrackingArguments) -> None:
    """Compute the missing cells, then write tables and report."""
    path = Path(arguments.study)
    if arguments.power:
        _print_power(arguments)
        return
    folder = arguments.folder
    store = Store(folder if arguments.dry_run else require_output_folder(folder, own=["cells"]))
    config = read_study(path)
    stated_references(arguments.reference or (), "reference")
    if arguments.dry_run:
        _dry_run(config, store, arguments.power_from, _preflights(arguments, config))
        return
    specs = expand(config)
    require_names(config.backbones, config.domains)
    store.prepare()
    store.limit_features(arguments.feature_cache_gb)
    _keep_configuration(path, store)
    if arguments.retry_failed:
        store.forget_failures(specs)
    if arguments.pull is not None:
        _pull(arguments.pull, store)
    workers, wait = arguments.workers or default_workers(), not arguments.no_wait
    unavailable: Unavailable = {}
    if arguments.ray_address is None:  # a cluster's machines may see other folders
        prepare(specs, store, unavailable, _preflights(arguments, config))
    with cells_tracked(store, config.title, tracking), workers_logging(arguments.verbose):
        if arguments.executor == "ray":
            run_on_ray(path, store.folder, arguments.workers, arguments.ray_address, wait)
        elif workers > 1:
            run_processes(path, store.folder, workers, wait, quiet=not arguments.verbose)
        else:
            work(path, store.folder, unavailable, wait)
    seen = Snapshot(store.folder)
    if not wait and (left := unfinished(specs, seen)):
        print(
            f"{left} of {len(specs)} cells are being computed by other processes, the last of which writes the report"
        )
        return
    if arguments.write_report:
        _write_report(specs, seen, arguments.verbose, arguments.reference)
    for sentence in left_out_sentences(still_left_out(config, seen)):
        print(sentence)
    _require_all(specs, seen)


def _require_all(specs: Sequence[CellSpec], store: Store) -> None:
    """Raise InputError if a cell failed or is unreadable."""
    damaged = dict.fromkeys(damaged_sentences(specs, store).values())
    failed = sum(store.has_failed(spec) for spec in specs)
    print(
        "".join(f"{sentence}\n" for sentence in (*failure_sentences(specs, store), *damaged)), end="", file=sys.stderr
    )
    if failed:
        raise InputError(
            f"{failed} of {len(specs)} cells failed; their tracebacks are in {store.folder / 'failures'}. "
            "Once the cause is fixed, retry them with --retry_failed true"
        )
    if damaged:
        raise InputError(
            f"{len(damaged)} of {len(specs)} cells are unreadable; remove them and run the same command again"
        )
