"""A published study as a benchmark: tasks in its dataset's `eval.yaml`, results of its backbones, the leaderboard."""

import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from huggingface_hub import CommitOperationAdd, EvalResultEntry, HfApi, eval_result_entries_to_yaml
from huggingface_hub.errors import HfHubHTTPError

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file
from hf_sslgen.hub.benchmarks import BENCHMARK_FILE, FRAMEWORK, Task, benchmark_yaml, read_tasks
from hf_sslgen.hub.finetuned_run import base_model_id
from hf_sslgen.hub.pushing import commit_on
from hf_sslgen.hub.remote_study import fetch, look_at
from hf_sslgen.hub.study_push import Publication
from hf_sslgen.hub.study_tables import RESULTS
from hf_sslgen.hub_access.retries import patiently, with_retries
from hf_sslgen.reporting.cards import card_yaml
from hf_sslgen.reporting.vocabulary import format_value, words
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, PRETRAINED_PROTOCOL, Cell

RESULTS_FOLDER = "eval_results"
"""Subfolder of a study with a file per backbone on the Hub, to be added to the backbone's repository."""

NO_LEADERBOARD = 404
SHOWN_ROWS = 20


@dataclass(frozen=True)
class StudyTask:
    """What a task stands for: the accuracy of a domain under a protocol and label budget, over all seeds."""

    domain: str
    protocol: str
    labels: str
    metric: str

    @property
    def id(self) -> str:
        """Lower-case letters, digits and underscores."""
        budget = "" if self.labels == ALL_LABELS else f" {self.labels}"
        return re.sub(r"[^a-z0-9]+", "_", f"{self.domain} {self.protocol}{budget}".lower()).strip("_")

    def covers(self, cell: Cell) -> bool:
        return (cell.domain, cell.protocol, cell.labels) == (self.domain, self.protocol, self.labels)


def study_tasks(cells: Iterable[Cell]) -> list[StudyTask]:
    """Return a task for each domain, protocol and label budget with an accuracy, sorted by id.

    Only accuracies are tasks, because leaderboards rank the highest value first.

    Raises:
        InputError: two tasks would have the same id.
    """
    tasks: dict[str, StudyTask] = {}
    for cell in cells:
        if cell.protocol == PRETRAINED_PROTOCOL or cell.number(cell.headline_metric) is None:
            continue
        task = StudyTask(cell.domain, cell.protocol, cell.labels, cell.headline_metric)
        if tasks.setdefault(task.id, task) != task:
            raise InputError(
                f"domains {tasks[task.id].domain!r} and {task.domain!r} would be one task, {task.id!r}, of a "
                "benchmark; give one of them another domain_name"
            )
    if not tasks:
        raise InputError("the study has no accuracy that could be a benchmark's task; it needs a cell with a protocol")
    return [tasks[name] for name in sorted(tasks)]


def push_benchmark(api: HfApi, publication: Publication) -> bool:
    """Write the study's tasks into its dataset's `eval.yaml`, beside those of others; returns whether it changed.

    Raises:
        InputError: the file there is not readable as a benchmark's.
    """
    ours = [Task(task.id, RESULTS, "train") for task in study_tasks(publication.cells)]

    def push() -> bool:
        remote = look_at(api, publication.repository)
        before: tuple[Task, ...] = ()
        if BENCHMARK_FILE in remote.files:
            with tempfile.TemporaryDirectory() as folder:
                before = read_tasks(fetch(api, remote, remote.files[BENCHMARK_FILE], Path(folder)))
        tasks = sorted({task.id: task for task in (*before, *ours)}.values(), key=lambda task: task.id)
        if list(before) == tasks:
            return False
        text = benchmark_yaml(publication.title, _description(publication), tasks)
        operation = CommitOperationAdd(BENCHMARK_FILE, text.encode())
        commit_on(remote.commit, api, publication.repository, [operation], "Register as a benchmark", remote.kind)
        return True

    return patiently(push, f"datasets/{publication.repository}")


def _description(publication: Publication) -> str:
    count = len({cell.domain for cell in publication.cells})
    return (
        f"{publication.title}: test accuracy (a share of 1) of frozen or fine-tuned image backbones on {count} "
        f"{'domain' if count == 1 else 'domains'}, as the mean over seeds; a task is a domain under a protocol. The "
        "values are in the configuration `results`."
    )


def backbone_results(publication: Publication) -> dict[str, list[EvalResultEntry]]:
    """Return the results of each backbone whose weights are on the Hub, by its id."""
    tasks = study_tasks(publication.cells)
    found: dict[str, list[EvalResultEntry]] = {}
    for name in sorted({cell.backbone for cell in publication.cells}):
        model = _hub_id(name)
        if model is None:
            continue
        for task in tasks:
            own = [cell for cell in publication.cells if cell.backbone == name and task.covers(cell)]
            values = [number.value for cell in own if (number := cell.number(task.metric)) is not None]
            if values:
                found.setdefault(model, []).append(_entry(publication.repository, task, values))
    return found


def _entry(repository: str, task: StudyTask, values: Sequence[float]) -> EvalResultEntry:
    value = fmean(values)
    seeds = "one seed" if len(values) == 1 else f"mean over {len(values)} seeds"
    notes = (
        f"{words(task.metric).title} {format_value(value, task.metric, with_unit=True)} on {task.domain}, "
        f"{task.protocol}, {task.labels} of the labels, {seeds}"
    )
    page = f"https://huggingface.co/datasets/{repository}"
    return EvalResultEntry(repository, task.id, value, source_url=page, source_name=FRAMEWORK, notes=notes)


def _hub_id(backbone: str) -> str | None:
    """Return a backbone's id on the Hub; None if it is not there, or was given another name in the study."""
    try:
        return base_model_id(backbone)
    except InputError:
        return None


def write_results(study: Path, publication: Publication) -> list[Path]:
    """Write each backbone's results as a file for `.eval_results` of its repository; returns the files."""
    paths = []
    for model, entries in backbone_results(publication).items():
        path = study / RESULTS_FOLDER / f"{model.replace('/', '--')}.yaml"
        path.parent.mkdir(exist_ok=True)
        with replace_file(path) as unfinished:
            unfinished.write_text(card_yaml(eval_result_entries_to_yaml(entries)), encoding="utf-8")
        paths.append(path)
    return paths


def leaderboard_lines(api: HfApi, repository: str) -> list[str]:
    """Return the dataset's leaderboard as the Hub has it, a line per result; says so if there is none yet.

    Raises:
        HfHubHTTPError: the Hub refuses or can't be reached.
    """
    try:
        rows = with_retries(
            lambda: api.get_dataset_leaderboard(repository, base_model_only=False), f"datasets/{repository}"
        )
    except HfHubHTTPError as error:
        if error.response.status_code != NO_LEADERBOARD:
            raise
        return ["Leaderboard: none yet; the Hub shows one once it lists the dataset as a benchmark"]
    if not rows:
        return ["Leaderboard: no model states a result yet"]
    lines = [f"{row.rank:4}  {row.value:8.4f}  {row.model_id}  {row.notes or ''}".rstrip() for row in rows]
    return ["Leaderboard:", *lines[:SHOWN_ROWS]]
