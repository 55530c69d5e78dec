"""Benchmarks: the `eval.yaml` of a dataset, checked as it is pushed, and the leaderboard of models' results."""

from collections.abc import Iterator
from typing import Any

import yaml

from tests.loopback_hub import cards
from tests.loopback_hub.replies import HubError, Reply, as_json
from tests.loopback_hub.routing import Request, Route
from tests.loopback_hub.store import Commit, Repository

FILE = "eval.yaml"
FIELDS = ("name", "description", "evaluation_framework")


def errors_in(content: bytes) -> list[str]:
    """What is wrong with an `eval.yaml`."""
    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError as error:
        return [" ".join(str(error).split())]
    if not isinstance(found, dict):
        return ["must be a mapping"]
    errors = [f'"{name}" is required' for name in FIELDS if not isinstance(found.get(name), str)]
    tasks = found.get("tasks")
    if not isinstance(tasks, list) or not tasks:
        return [*errors, '"tasks" must be an array']
    for i, task in enumerate(tasks):
        for name in ("id", "config", "split"):
            if not isinstance(task, dict) or not isinstance(task.get(name), str):
                errors.append(f'"tasks[{i}].{name}" is required')
    return errors


def tasks_of(repository: Repository) -> set[str]:
    """Ids of a dataset's tasks; none if it is no benchmark."""
    stored = repository.commit("main").files.get(FILE)
    return set() if stored is None else {task["id"] for task in yaml.safe_load(repository.content(stored))["tasks"]}


def results_of(repository: Repository, commit: Commit) -> Iterator[dict[str, Any]]:
    """Every result that a model states in `.eval_results`, with its file's name."""
    for path, stored in commit.files.items():
        if path.startswith(".eval_results/") and path.endswith((".yaml", ".yml")):
            yield from cards.evaluation_results(path, repository.content(stored).decode())


def _has_base_model(repository: Repository) -> bool:
    readme = repository.commit("main").files.get("README.md")
    return readme is not None and "base_model" in cards.front_matter(repository.content(readme).decode())


def leaderboard(request: Request, name: str) -> Reply:
    """Results for the dataset's tasks, the highest value first; those of fine-tuned models only where asked for."""
    known = tasks_of(request.repository("datasets", name))
    if not known:
        raise HubError(404, "This dataset has no leaderboard")
    rows = []
    for model in request.site.store.all("models"):
        if model.settings["private"] or (_has_base_model(model) and request.first("base_model").lower() != "false"):
            continue
        for result in results_of(model, model.commit("main")):
            stated = result.get("data", {"dataset": {}})
            if (stated["dataset"].get("id"), stated["dataset"].get("task_id") in known) == (name, True):
                rows.append((model.name, result["filename"], stated))
    rows.sort(key=lambda row: -row[2]["value"])
    return as_json(
        [
            {
                "rank": rank,
                "modelId": model,
                "value": stated["value"],
                "filename": filename,
                "verified": False,
                "source": stated.get("source"),
                "author": {"type": "user", "name": model.split("/")[0]},
                "notes": stated.get("notes"),
            }
            for rank, (model, filename, stated) in enumerate(rows, start=1)
        ]
    )


ROUTES = (Route("GET", r"/api/datasets/(?P<name>[^/]+/[^/]+)/leaderboard", leaderboard),)
