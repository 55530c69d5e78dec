"""Benchmarks on the Hub: datasets whose `eval.yaml` names tasks, for which models state results in `.eval_results`.

The Hub's specification is in its documentation, docs/hub/eval-results.md of huggingface/hub-docs: a result names the
dataset and one of its tasks by id, and is shown nowhere if there is no such task.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

from hf_sslgen.errors import InputError
from hf_sslgen.hub_access.retries import with_retries
from hf_sslgen.reporting.cards import card_yaml
from hf_sslgen.settings import shown
from hf_sslgen.yaml_files import read_yaml

logger = logging.getLogger(__name__)

BENCHMARK_FILE = "eval.yaml"
FRAMEWORK = "hf-sslgen"
DEFAULT_CONFIG = "default"


@dataclass(frozen=True)
class Task:
    """A task of a benchmark, with the configuration and split of the dataset that it is measured on."""

    id: str
    config: str = DEFAULT_CONFIG
    split: str = "test"


def read_tasks(path: Path) -> tuple[Task, ...]:
    """Read the tasks of an `eval.yaml`.

    Raises:
        InputError: the file breaks the specification.
    """
    content = read_yaml(path, BENCHMARK_FILE)
    for name in ("name", "description", "evaluation_framework"):
        if not isinstance(content.get(name), str):
            raise InputError(f"{BENCHMARK_FILE}: {name} is {shown(content.get(name))}; it must be text")
    rows = content.get("tasks")
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{BENCHMARK_FILE}: tasks is {shown(rows)}; it must be a list of tasks")
    tasks = []
    for row in rows:
        if not isinstance(row, dict) or not isinstance(row.get("id"), str):
            raise InputError(f"{BENCHMARK_FILE}: a task is {shown(row)}; it must be a mapping with an id")
        tasks.append(Task(row["id"], str(row.get("config", DEFAULT_CONFIG)), str(row.get("split", "test"))))
    return tuple(tasks)


def tasks_on_hub(api: HfApi, dataset: str) -> tuple[Task, ...]:
    """Return the tasks of a dataset on the Hub; none if it is no benchmark, or not visible or not readable here."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            where: dict[str, Any] = {"repo_type": "dataset", "local_dir": folder}
            path = with_retries(lambda: api.hf_hub_download(dataset, BENCHMARK_FILE, **where), f"datasets/{dataset}")
            return read_tasks(Path(path))
        except (EntryNotFoundError, RepositoryNotFoundError, GatedRepoError):
            return ()
        except InputError as error:
            logger.warning("no benchmark results are stated for %s: %s", dataset, error)
            return ()


def benchmark_yaml(name: str, description: str, tasks: Sequence[Task]) -> str:
    """Return the content of an `eval.yaml`."""
    rows = [{"id": task.id, "config": task.config, "split": task.split} for task in tasks]
    head = {"name": name, "description": description, "evaluation_framework": FRAMEWORK}
    return card_yaml({**head, "tasks": rows})
