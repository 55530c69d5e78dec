"""Describe a finished fine-tuning run for publication: its facts, its numbers, and the command to repeat it."""

import dataclasses
import json
import math
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from hf_sslgen.analysis.grouped_numbers import over_groups
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.predictions import prediction_analysis
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.run_folder import IDENTITY_FILE, PREDICTIONS_FILE, TAKEN
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, resolve_location, split_revision
from hf_sslgen.zoo.same_padding import PADDING_KEY, TORCH

SOME_FOLDER = "path/to"
"""Placeholder for local folders, which are private."""


@dataclass(frozen=True, eq=False)
class FineTunedRun:
    """A finished model, as described by a run's folder and arguments.

    Attributes:
        settings: content of the folder's `run.json`, which determined the weights.
        estimates: the numbers on the test split.
        base_model: Hub id of the base model; None for a folder, a shipped twin or fresh weights.
        dataset: Hub id of the dataset; None for a folder or an embedded domain.
        num_parameters: number of parameters of the trunk.
    """

    folder: Path
    settings: dict[str, Any]
    predictions: Predictions
    estimates: dict[str, Estimate]
    domain: Domain
    domain_arguments: DomainArguments
    preprocessing: Preprocessing
    weights: str
    num_parameters: int
    base_model: str | None
    dataset: str | None

    @property
    def is_timm(self) -> bool:
        """Whether timm can load the folder as well."""
        return bool(self._config()["model_type"] == "timm_wrapper")

    @property
    def padding(self) -> str:
        """How strided layers of a timm network pad."""
        return str(self._config().get(PADDING_KEY) or TORCH) if self.is_timm else TORCH

    def _config(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / "config.json").read_text(encoding="utf-8"))
        return content


def read_run(
    folder: Path, backbone: LoadedBackbone, domain: Domain, domain_arguments: DomainArguments
) -> FineTunedRun:
    """Read what `finetune` left in a folder."""
    frame = pd.read_parquet(folder / PREDICTIONS_FILE)
    predictions = Predictions(**{str(name): column.to_numpy() for name, column in frame.items()})
    return FineTunedRun(
        folder=folder,
        settings=json.loads((folder / IDENTITY_FILE).read_text(encoding="utf-8")),
        predictions=predictions,
        estimates=_estimates(predictions, domain),
        domain=domain,
        domain_arguments=domain_arguments,
        preprocessing=backbone.preprocessing,
        weights=backbone.weights,
        num_parameters=backbone.num_parameters,
        base_model=base_model_id(backbone.name),
        dataset=dataset_id(domain_arguments),
    )


def _estimates(predictions: Predictions, domain: Domain) -> dict[str, Estimate]:
    """Return the numbers on the test split, with intervals over groups if the images come in groups."""
    estimates = predictions.estimates(len(domain.class_names))
    if not domain.test.has("group"):
        return estimates
    numbers, records = prediction_analysis(predictions, len(domain.class_names), FINE_TUNED_STAGE)
    grouped = over_groups(Analysis(tuple(numbers), records), domain.test).numbers
    return estimates | {
        each.metric: dataclasses.replace(estimates[each.metric], low=each.low, high=each.high, reason=each.reason)
        for each in grouped
    }


def base_model_id(name: str) -> str | None:
    """Return the Hub id of a backbone's weights, or None if they are not from the Hub."""
    if name.startswith(UNTRAINED_PREFIX):
        return None
    location = resolve_location(name)
    return None if Path(location).is_dir() else location


def dataset_id(arguments: DomainArguments) -> str | None:
    """Return the Hub id of a domain's dataset, or None if it is not from the Hub."""
    if arguments.registered_as is None:
        entry = registered_entry(arguments)
        if entry is not None:
            return entry.id
    return None if Path(arguments.dataset_name).exists() else arguments.dataset_name


def shown(name: str) -> str:
    """Return a name, with local folders removed if it is a path."""
    start = UNTRAINED_PREFIX if name.startswith(UNTRAINED_PREFIX) else ""
    path = Path(name.removeprefix(start))
    return f"{start}{SOME_FOLDER}/{path.resolve().name}" if path.exists() else name


def public_settings(run: FineTunedRun) -> dict[str, Any]:
    """Return `run.settings` without local folders and without the content of the dataset's folder."""
    decisive = {name: value for name, value in run.settings.items() if name != TAKEN}
    return {**decisive, "model_name_or_path": shown(run.settings["model_name_or_path"])}


def numbers(run: FineTunedRun) -> dict[str, dict[str, Any]]:
    """Return the numbers on the test split for JSON; undefined numbers are null."""

    def finite(value: float) -> float | None:
        return value if math.isfinite(value) else None

    return {
        name: {"value": finite(each.value), "low": finite(each.low), "high": finite(each.high), "n": each.n}
        for name, each in run.estimates.items()
    }


def command(run: FineTunedRun) -> str:
    """Return the command that repeats the run, with every option that affects the weights and is not the default.

    A base model and a dataset on the Hub are named with their commits, because branches and tags may move.
    """
    settings = public_settings(run)
    if run.base_model is not None:
        name, _ = split_revision(settings["model_name_or_path"])
        settings |= {"model_name_or_path": f"{name}@{run.weights}", "model_revision": None}
    domain = dataclasses.asdict(run.domain_arguments)
    domain["dataset_name"] = shown(domain["dataset_name"])
    if run.domain.found is not None:
        domain["dataset_revision"] = run.domain.found.commit
    values = {**settings, **domain}
    words = ["accelerate", "launch"]
    if settings["world_size"] > 1:
        words += ["--num_processes", str(settings["world_size"])]
    words.append("recipes/finetune.py")
    for field in (
        *dataclasses.fields(ModelArguments),
        *dataclasses.fields(DomainArguments),
        *dataclasses.fields(FineTuningArguments),
    ):
        if field.name in values and values[field.name] != field.default:
            words += [f"--{field.name}", str(values[field.name])]
    return shlex.join(words)


def num_training_images(run: FineTunedRun) -> int | None:
    """Return the number of training images, None for a stream."""
    return len(run.domain.train) if isinstance(run.domain.train, ImageSplit) else None
