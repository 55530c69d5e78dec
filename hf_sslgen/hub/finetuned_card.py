"""Write the card of a fine-tuned model, and its numbers in the Hub's format."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from huggingface_hub import EvalResult, EvalResultEntry, eval_result_entries_to_yaml
from huggingface_hub.repocard_data import eval_results_to_model_index

from hf_sslgen import __version__
from hf_sslgen.hub.benchmarks import DEFAULT_CONFIG, Task
from hf_sslgen.hub.finetuned_run import SOME_FOLDER, FineTunedRun, command, num_training_images, shown
from hf_sslgen.hub.licences import Licence, licence_words
from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.catalogue.rows import card_names
from hf_sslgen.reporting.cards import card_yaml, render_card
from hf_sslgen.reporting.vocabulary import format_interval, format_value, words
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered

SHOWN_CLASSES = 30
TASK = "image-classification"


def shown_estimates(run: FineTunedRun) -> Iterator[tuple[str, Estimate]]:
    """Iterate over the numbers of a card, without undefined ones."""
    for name in card_names():
        if name in run.estimates and math.isfinite(run.estimates[name].value):
            yield name, run.estimates[name]


def _dataset_revision(run: FineTunedRun) -> str | None:
    return None if run.domain.found is None else run.domain.found.commit


def _model_index(run: FineTunedRun, repository: str) -> list[dict[str, Any]]:
    results = []
    for name, estimate in shown_estimates(run):
        about: dict[str, Any] = {"n": estimate.n}
        if math.isfinite(estimate.low):
            about |= {"confidence_interval": [float(estimate.low), float(estimate.high)], "confidence_level": 0.95}
        results.append(
            EvalResult(
                task_type=TASK,
                task_name="Image classification",
                dataset_type=run.dataset or run.domain.name,
                dataset_name=run.domain.name,
                dataset_config=run.domain_arguments.dataset_config_name,
                dataset_split=run.domain.test.name,
                dataset_revision=_dataset_revision(run),
                metric_type=name,
                metric_name=words(name).title,
                metric_value=float(estimate.value),
                metric_args=about,
            )
        )
    return eval_results_to_model_index(repository.split("/")[1], results)


def _is_measured_by(run: FineTunedRun, task: Task) -> bool:
    """Whether a benchmark's task is on the configuration and the split that the run was measured on."""
    return task.split == run.domain.test.name and task.config == (
        run.domain_arguments.dataset_config_name or DEFAULT_CONFIG
    )


def evaluation_results(run: FineTunedRun, tasks: Sequence[Task]) -> str | None:
    """Return the content of a file in `.eval_results`, an entry per task of the dataset that is named like a number.

    Args:
        tasks: the tasks of the dataset's benchmark; results without a task of theirs are in the card's `model-index`
            alone, because the Hub shows no others.

    Returns:
        None if there is no such task.
    """
    known = {task.id for task in tasks if _is_measured_by(run, task)}
    if run.dataset is None:
        return None
    entries = []
    for name, estimate in shown_estimates(run):
        if name not in known:
            continue
        interval = format_interval(estimate.low, estimate.high, name)
        notes = (
            f"{words(name).title} {format_value(estimate.value, name, with_unit=True)}"
            f"{f', 95% interval {interval}' if interval else ''}; {estimate.n} images of split {run.domain.test.name}"
        )
        entry = EvalResultEntry(
            run.dataset, name, float(estimate.value), dataset_revision=_dataset_revision(run), notes=notes
        )
        entries.append(entry)
    return card_yaml(eval_result_entries_to_yaml(entries)) if entries else None


def _metadata(run: FineTunedRun, repository: str, licence: Licence) -> str:
    row = registered(run.settings["model_name_or_path"])
    tags = ["hf-sslgen", TASK, "timm" if run.is_timm else "transformers"]
    if row is not None:
        tags += [row.objective] if row.is_supervised else [row.objective, "self-supervised-learning"]
    values: dict[str, Any] = {
        "library_name": "timm" if run.is_timm else "transformers",
        "pipeline_tag": TASK,
        **licence,
        "tags": tags,
    }
    if run.base_model is not None:
        values |= {"base_model": run.base_model, "base_model_relation": "finetune"}
    if run.dataset is not None:
        values["datasets"] = [run.dataset]
    return card_yaml(values | {"metrics": ["accuracy"], "model-index": _model_index(run, repository)})


def _training_table(settings: dict[str, Any]) -> dict[str, str]:
    """Return the rows of the card's table, keyed by first cell, from a run's settings."""
    steps = settings["max_steps"]
    length = f"{steps} steps" if steps > 0 else f"{settings['num_train_epochs']:g} epochs"
    processes, accumulated = settings["world_size"], settings["gradient_accumulation_steps"]
    in_processes = "one process" if processes == 1 else f"{processes} processes"
    batch = f"{settings['per_device_train_batch_size']} images per device, {in_processes}"
    precision = next((f"{name} autocast" for name in ("bf16", "fp16") if settings[name]), "float32")
    return {
        "Trained": {
            "all": "the whole network",
            "head": "only the classifier",
            "last_stage": "the last stage and the classifier",
        }[settings["trainable"]],
        "Length": length,
        "Batch": f"{batch}, gradients accumulated over {accumulated} batches" if accumulated > 1 else batch,
        "Optimiser": f"{settings['optim']}, learning rate up to {settings['learning_rate']:g}, weight decay "
        f"{settings['weight_decay']:g}, schedule {settings['lr_scheduler_type']}",
        "Augmentation": f"random crops of at least {settings['minimum_crop_area']:g} of the area"
        + (", flips where the labels allow them" if settings["horizontal_flip"] else ""),
        "Class weights": settings["class_weighting"],
        "Kept": f"the checkpoint with the best validation {settings['metric_for_best_model']}"
        if settings["load_best_model_at_end"]
        else "the last weights",
        "Precision": precision,
        "Seed": str(settings["seed"]),
    }


def finetuned_card(
    run: FineTunedRun, repository: str, revision: str | None, licence: Licence, inherited: Licence | None
) -> str:
    """Return the README.md of a fine-tuned model, with the names of model, classes and dataset escaped.

    Args:
        revision: the branch it is pushed to; None is `main`.
        licence: licence of the weights.
        inherited: licence of the base model; None if it states none.
    """
    base = run.settings["model_name_or_path"]
    row = registered(base)
    text = command(run)
    values = {
        "metadata": _metadata(run, repository, licence),
        "repository": repository,
        "revision": revision,
        "untrained": base.startswith(UNTRAINED_PREFIX),
        "base": shown(base).removeprefix(UNTRAINED_PREFIX),
        "objective": row.objective if row is not None else "",
        "source_data": row.source_data if row is not None else "",
        "twin_set": row.twin_set if row is not None else None,
        "weights": f"commit {run.weights}" if run.base_model is not None else f"weights {run.weights}",
        "parameters": run.num_parameters,
        "is_timm": run.is_timm,
        "padding": run.padding,
        "domain": run.domain.name,
        "class_names": run.domain.class_names,
        "shown_classes": run.domain.class_names[:SHOWN_CLASSES],
        "preprocessing": run.preprocessing,
        "test_split": run.domain.test.name,
        "num_test": len(run.domain.test),
        "num_train": num_training_images(run),
        "num_validation": len(run.domain.validation),
        "notes": run.domain.notes,
        "rows": [
            {
                "title": words(name).title,
                "value": format_value(estimate.value, name, with_unit=True),
                "interval": format_interval(estimate.low, estimate.high, name),
            }
            for name, estimate in shown_estimates(run)
        ],
        "settings": _training_table(run.settings),
        "version": __version__,
        "command": text,
        "has_local_paths": f"{SOME_FOLDER}/" in text,
        "licence": licence_words(licence),
        "inherited": None if inherited is None else licence_words(inherited),
    }
    return render_card("finetuned.md", values)
