"""Run `hf-sslgen push-study`, after its options have been parsed."""

import logging
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hf_sslgen.commands.push_study import PushStudyArguments
from hf_sslgen.errors import InputError
from hf_sslgen.hub.benchmarks import BENCHMARK_FILE
from hf_sslgen.hub.publishable import LEFT_OUT, private_texts
from hf_sslgen.hub.remote_study import in_lines
from hf_sslgen.hub.study_benchmark import leaderboard_lines, push_benchmark, study_tasks, write_results
from hf_sslgen.hub.study_push import Publication, published_files, push_cells, push_report, require_whole
from hf_sslgen.hub_access.exchange import in_one_sentence, require_token
from hf_sslgen.study.backbone_costs import read_costs
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.finished_cells import read_study_results

logger = logging.getLogger(__name__)


def publication_of(arguments: PushStudyArguments) -> tuple[Publication, list[str]]:
    """Collect the cells to publish and a sentence on each unreadable cell, which is left out.

    Raises:
        InputError: there is nothing to publish, or a cell's identity contains a local path.
    """
    store = Store(Path(arguments.study_dir))
    if not store.cells.is_dir():
        raise InputError(f"study_dir {arguments.study_dir!r} does not hold a study: it has no folder `cells`")
    study = read_study_results(store)
    config, cells = study.config, study.cells
    if not cells:
        words = " ".join(study.missing)
        raise InputError(f"study_dir {arguments.study_dir!r} has no finished cell to publish. {words}".rstrip())
    if config is not None and config.stand_ins:
        raise InputError(
            f"study_dir {arguments.study_dir!r} holds stand-ins, whose numbers nobody should see published"
        )
    require_whole(cells)
    private = private_texts(cells)
    if private and not arguments.allow_local_paths:
        raise InputError(
            f"a cell's identity contains a local path, {private[0]!r}, which would be published: give the backbone a "
            "`name` in the study, or pass --allow_local_paths true"
        )
    publication = Publication(
        repository=arguments.repository,
        title=config.title if config is not None else store.folder.resolve().name,
        cells=cells,
        pairs=config.pairs if config is not None else None,
        claims=config.claims if config is not None else (),
        references=config.references if config is not None else (),
        missing=study.missing,
        examples=arguments.examples,
        licence=arguments.license,
        report=arguments.report_space,
        pictures=arguments.pictures,
        costs=read_costs(store.folder),
    )
    return publication, study.damaged


def _what_is_published(publication: Publication, private: bool) -> str:
    """Describe in plain sentences what would be published."""
    cells = publication.cells
    files = list(published_files(publication))
    size = sum(path.stat().st_size for path in files) / 1e6
    names = [f"{len({cell.identity[key] for cell in cells})} {key}s" for key in ("backbone", "domain", "protocol")]
    pictures = sorted({cell.domain for cell in cells if (cell.folder / "examples.npz").exists()})
    with_pictures = f"; example pictures of {', '.join(pictures)}" if publication.examples and pictures else ""
    visible = "private" if private else "public"
    return (
        f"{publication.repository}: {len(cells)} cells ({', '.join(names)}), {len(files)} files, {size:.1f} MB, "
        f"{visible} (an existing repository keeps its visibility)\n"
        f"  with settings, numbers, per-image records, class names, devices, times and library versions{with_pictures}"
        f"{'; the page' if publication.report else ''}"
        f"{' with small pictures of images' if publication.report and publication.pictures else ''}\n"
        f"  without {LEFT_OUT}"
    )


def push_study(arguments: PushStudyArguments) -> None:
    """Describe the publication, then publish the cells that are not there yet."""
    try:
        validate_repo_id(arguments.repository)
    except HFValidationError as error:
        raise InputError(f"repository {arguments.repository!r} is not a valid name: {error}") from error
    if arguments.repository.count("/") != 1:
        raise InputError(f"repository is {arguments.repository!r}; give it as owner/name")
    if arguments.pictures and not arguments.report_space:
        raise InputError("pictures are shown only on the page; add --report_space true")
    publication, damaged = publication_of(arguments)
    print(_what_is_published(publication, arguments.private), flush=True)
    if arguments.benchmark:
        print(f"  as a benchmark with the tasks {', '.join(task.id for task in study_tasks(publication.cells))}")
    if not arguments.dry_run:
        _push(arguments, publication)
    if damaged:
        raise InputError(f"unreadable cells were left out: {'; '.join(damaged)}")


def _push(arguments: PushStudyArguments, publication: Publication) -> None:
    require_token(arguments.repository)
    api, private = HfApi(), arguments.private or None
    with in_one_sentence(arguments.repository, "dataset", writing=True):
        pushed = push_cells(api, publication, private)
    same = len(set(pushed.found) - set(pushed.conflicts) - set(pushed.sent))
    print(f"{api.endpoint}/datasets/{arguments.repository}: {len(pushed.sent)} cells added, {same} already there")
    if pushed.conflicts:
        logger.warning(
            "%d cells are already there with different numbers and were left unchanged:%s",
            len(pushed.conflicts),
            in_lines(pushed.conflicts),
        )
    if arguments.report_space:
        with in_one_sentence(arguments.repository, "space", writing=True):
            changed = push_report(api, publication, private)
        print(f"{api.endpoint}/spaces/{arguments.repository}: the page {'is new' if changed else 'has not changed'}")
    if arguments.benchmark:
        _push_benchmark(api, arguments, publication)


def _push_benchmark(api: HfApi, arguments: PushStudyArguments, publication: Publication) -> None:
    """Register the benchmark, write what belongs into the backbones' repositories, and print the leaderboard."""
    with in_one_sentence(arguments.repository, "dataset", writing=True):
        changed = push_benchmark(api, publication)
        lines = leaderboard_lines(api, arguments.repository)
    print(f"{BENCHMARK_FILE}: {'registered' if changed else 'already there'}")
    for path in write_results(Path(arguments.study_dir), publication):
        model = path.stem.replace("--", "/", 1)
        print(f"{path}: results of {model}; add it to .eval_results/ of that repository, or propose it there")
    print("\n".join(lines))
