"""Publish a fine-tuned model: select the files of a run's folder, and check the push before training."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.errors import HubError, SslgenError, reworded
from hf_sslgen.hub.benchmarks import Task, tasks_on_hub
from hf_sslgen.hub.demo_space import check_demo, push_demo
from hf_sslgen.hub.finetuned_card import evaluation_results, finetuned_card
from hf_sslgen.hub.finetuned_run import FineTunedRun, numbers, public_settings
from hf_sslgen.hub.licences import Licence, base_licence, check_licence, chosen_licence
from hf_sslgen.hub.pushing import Pushed, PushRequest, check_access, full_name, hub_client, push_files
from hf_sslgen.hub_access.exchange import warned_where_it_may_pass
from hf_sslgen.hub_access.faults import EXCHANGE_ERRORS
from hf_sslgen.hub_access.refusals import PUSHING_MODEL, hub_sentence
from hf_sslgen.hub_access.retries import asked, with_retries
from hf_sslgen.reporting.figures.figure_style import figure_png
from hf_sslgen.reporting.figures.reliability_diagrams import reliability_diagram
from hf_sslgen.training.run_folder import MODEL_FILES

logger = logging.getLogger(__name__)

EVALUATION_FILE = ".eval_results/hf-sslgen.yaml"
LOOKED_AT_LATER = "It will be checked again after training"
REPLACED = ("*.safetensors", "*.safetensors.index.json", "preprocessor_config.json", EVALUATION_FILE)
"""Files of an earlier push that would contradict this push if they remained."""


@dataclass(frozen=True)
class ModelPush:
    """A requested push.

    Attributes:
        base: name of the base model, at `base_revision`.
        licence: licence of the pushed weights; None is the base model's licence.
        with_demo: whether to push a demo Space of the model as well.
    """

    request: PushRequest
    base: str
    base_revision: str | None
    licence: str | None
    with_demo: bool = False


def check_push(push: ModelPush) -> None:
    """Check before training whether the push can succeed; nothing is created or changed on the Hub.

    Raises:
        HubError: the token is missing or invalid, or lacks write access.
        InputError: the licence is missing or unknown to the Hub, or the demo's Space is taken.
    """
    api = hub_client(push.request)
    check_access(api, push.request.model_id)
    if push.with_demo:
        with warned_where_it_may_pass(f"{push.request.model_id}-demo", "the demo's place", LOOKED_AT_LATER):
            asked(lambda: check_demo(api, full_name(api, push.request.model_id)))
    with warned_where_it_may_pass(push.base, "the licence", LOOKED_AT_LATER):
        inherited = asked(lambda: base_licence(api, push.base, push.base_revision))
        check_licence(chosen_licence(push.licence, inherited, push.base))


def model_files(run: FineTunedRun) -> dict[str, Path]:
    """Return the files of the folder that load as a model, by name."""
    return {path.name: path for pattern in MODEL_FILES for path in sorted(run.folder.glob(pattern))}


def files_to_push(
    run: FineTunedRun,
    repository: str,
    revision: str | None,
    licence: Licence,
    inherited: Licence | None,
    tasks: Sequence[Task] = (),
) -> dict[str, Path | bytes]:
    """Return everything the repository is to contain, always the same; arguments as in `finetuned_card`.

    Args:
        tasks: those of the dataset's benchmark.
    """
    card = finetuned_card(run, repository, revision, licence, inherited)
    figure = reliability_diagram({"test": (run.predictions.confidences, run.predictions.correct)})
    files: dict[str, Path | bytes] = {
        **model_files(run),
        "README.md": card.encode(),
        "reliability.png": figure_png(figure),
        "run.json": _json(public_settings(run)),
        "results.json": _json({"test": numbers(run)}),
    }
    results = evaluation_results(run, tasks)
    return files if results is None else {**files, EVALUATION_FILE: results.encode()}


def _json(content: object) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def push_model(push: ModelPush, run: FineTunedRun) -> list[Pushed]:
    """Push a finished model with its card and its numbers in one commit, then its demo if requested.

    Raises:
        SslgenError: the push failed; the message states why, and the folder is unchanged.
    """
    api, request = hub_client(push.request), push.request
    pushed: list[Pushed] = []
    try:
        repository = with_retries(lambda: full_name(api, request.model_id), request.model_id)
        inherited = with_retries(lambda: base_licence(api, push.base, push.base_revision), push.base)
        licence = chosen_licence(push.licence, inherited, push.base)
        tasks = () if run.dataset is None else tasks_on_hub(api, run.dataset)
        files = files_to_push(run, repository, request.revision, licence, inherited, tasks)
        pushed.append(push_files(api, request, files, "Push the fine-tuned model", REPLACED))
        if push.with_demo:
            pushed.append(push_demo(api, request, repository, licence, run.domain.test.intensity))
        return pushed
    except EXCHANGE_ERRORS as error:
        said = hub_sentence(error, request.model_id, situation=PUSHING_MODEL)
        raise HubError(_kept(run, pushed, said)) from error
    except SslgenError as error:
        raise reworded(error, _kept(run, pushed, str(error))) from error


def _kept(run: FineTunedRun, pushed: list[Pushed], reason: str) -> str:
    if pushed:
        return f"the model was pushed to {pushed[0].url}, but the push of its demo failed: {reason}"
    return f"the model is finished and complete in {str(run.folder)!r}, but the push failed: {reason}"
