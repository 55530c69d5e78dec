"""Check and complete combinations of the Trainer's options."""

import logging
import os
import platform
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK, get_available_reporting_integrations

from hf_sslgen.errors import InputError, hinted, nearest_names
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.rows import names_of
from hf_sslgen.settings import NOT_NEGATIVE, read_setting, shown
from hf_sslgen.training.evaluation import GREATER_IS_BETTER
from hf_sslgen.training.tracked_runs import name_of

logger = logging.getLogger(__name__)

EVALUATION_PREFIX = "eval_"
"""Prefix of validation metrics in the Trainer's log."""

OPTIMISER_ARGUMENTS = {
    "sgd": ("momentum", "dampening", "nesterov"),
    "adagrad": ("lr_decay", "eps"),
    "rmsprop": ("momentum", "alpha", "eps", "centered"),
}
"""Settings that `optim_args` can contain; the Trainer silently ignores all others."""

BOOLEAN_ARGUMENTS = ("nesterov", "centered")
FIXED_SCHEDULES = ("constant", "constant_with_warmup")
METRIC_SCHEDULES = ("reduce_lr_on_plateau", "greedy")
WITHOUT_WARMUP = ("constant", *METRIC_SCHEDULES)

AUTOMATIC_WORKERS, MOST_WORKERS = -1, 8
"""The number of data loader workers that stands for a choice by device, and the largest that is chosen."""

BF16_INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}


def complete_options(arguments: TrainingArguments) -> None:
    """Check combinations of options and set the options that follow from others, in place, before the Trainer does.

    Raises:
        InputError: names the conflicting options and a valid combination.
    """
    values = vars(arguments)
    arguments.eval_strategy, arguments.save_strategy = (
        _word(values["eval_strategy"]),
        _word(values["save_strategy"]),
    )
    _check_selection(arguments)
    _check_optimisation(arguments)
    _check_steps(arguments)
    _check_precision(arguments)
    _check_tracking(arguments)
    _check_workers(arguments)
    if arguments.torch_compile_backend is not None:
        known = torch.compiler.list_backends(exclude_tags=())
        if arguments.torch_compile_backend not in known:
            raise InputError(
                f"torch_compile_backend is {shown(arguments.torch_compile_backend)}; it must be one of "
                f"{', '.join(known)}"
            )


def _word(value: Any) -> str:
    """Return the word given directly or as a member of an enumeration."""
    return str(value.value if isinstance(value, Enum) else value)


def _check_selection(arguments: TrainingArguments) -> None:
    """Require a selection metric and a checkpoint for each evaluation; sets `greater_is_better`."""
    evaluates, saves = str(arguments.eval_strategy), str(arguments.save_strategy)
    if evaluates == "no" and arguments.load_best_model_at_end:
        raise InputError(
            "eval_strategy is 'no', so the best checkpoint can't be determined; also give --load_best_model_at_end "
            "false to keep the last one"
        )
    if evaluates == "no" and saves == "best":
        raise InputError("save_strategy is 'best', which needs evaluation; give --eval_strategy epoch")
    if arguments.load_best_model_at_end and saves not in (evaluates, "best"):
        raise InputError(
            f"eval_strategy is {evaluates!r} and save_strategy {saves!r}: the best checkpoint can only be kept if "
            f"both happen together; also give --save_strategy {evaluates}, or --load_best_model_at_end false"
        )
    name = (arguments.metric_for_best_model or "loss").removeprefix(EVALUATION_PREFIX)
    if name not in GREATER_IS_BETTER:
        is_measured = name in names_of((Subject.PREDICTIONS,))
        why = "has no better direction" if is_measured else "is not measured on the validation split"
        hint = nearest_names(name, GREATER_IS_BETTER) or f"known: {', '.join(GREATER_IS_BETTER)}"
        raise InputError(f"metric_for_best_model is {shown(arguments.metric_for_best_model)}, which {why}; {hint}")
    better = GREATER_IS_BETTER[name]
    if arguments.greater_is_better not in (None, better):
        raise InputError(
            f"greater_is_better is {arguments.greater_is_better}, but {'higher' if better else 'lower'} {name} is "
            "better; drop it"
        )
    arguments.metric_for_best_model, arguments.greater_is_better = name, better


def _check_optimisation(arguments: TrainingArguments) -> None:
    """Require that optimiser and schedule use every option given for them."""
    optimiser, schedule = _word(arguments.optim), _word(arguments.lr_scheduler_type)
    known = OPTIMISER_ARGUMENTS.get(optimiser, ())
    read = {}
    for each in arguments.optim_args.replace(" ", "").split(",") if arguments.optim_args is not None else ():
        name, _, value = each.partition("=")
        if name not in known:
            raise InputError(
                f"optim_args has {shown(name)}, which optimiser {optimiser!r} does not accept; "
                f"{'it accepts ' + ', '.join(known) if known else 'drop it'}"
            )
        is_boolean = name in BOOLEAN_ARGUMENTS
        kind, limits = (bool, None) if is_boolean else (float, NOT_NEGATIVE)
        read[name] = read_setting(f"optim_args: {name}", kind, value, limits)
    if read:
        arguments.optim_args = ",".join(f"{name}={value}" for name, value in read.items())
    if arguments.warmup_steps > 0 and schedule in WITHOUT_WARMUP:
        raise InputError(
            f"warmup_steps is {arguments.warmup_steps:g}, but lr_scheduler_type {schedule!r} has no warm-up; drop it, "
            "or give another schedule, such as constant_with_warmup"
        )
    settings = arguments.lr_scheduler_kwargs or {}
    if isinstance(settings, str):
        raise InputError(f"lr_scheduler_kwargs is {shown(settings)}; it must be a mapping of names to values")
    if schedule in FIXED_SCHEDULES and settings:
        raise InputError(f"lr_scheduler_kwargs: lr_scheduler_type {schedule!r} accepts none; drop them")
    if schedule in METRIC_SCHEDULES:
        if arguments.eval_strategy == "no":
            raise InputError(f"lr_scheduler_type {schedule!r} needs a validation metric; give --eval_strategy epoch")
        mode = "max" if arguments.greater_is_better else "min"
        given = dict(settings)
        if given.setdefault("mode", mode) != mode:
            raise InputError(
                f"lr_scheduler_kwargs: mode is {shown(given['mode'])}, but {arguments.metric_for_best_model} needs "
                f"{mode!r}; drop it"
            )
        arguments.lr_scheduler_kwargs = given


def _check_steps(arguments: TrainingArguments) -> None:
    if arguments.max_steps == 0:
        raise InputError("max_steps is 0; it must be at least 1, or -1 to train for num_train_epochs")
    if arguments.eval_steps is not None and arguments.eval_strategy != "steps":
        raise InputError(f"eval_steps needs --eval_strategy steps, found {arguments.eval_strategy!r}")
    if arguments.save_steps != 500 and arguments.save_strategy != "steps":
        raise InputError(f"save_steps needs --save_strategy steps, found {arguments.save_strategy!r}")
    for name in ("eval_steps", "save_steps", "logging_steps", "warmup_steps"):
        steps = vars(arguments)[name]
        if steps is not None and steps > 1 and steps != int(steps):
            raise InputError(f"{name} is {steps}; above 1 it must be a whole number")
    if arguments.load_best_model_at_end and arguments.eval_strategy == arguments.save_strategy == "steps":
        every = arguments.eval_steps or arguments.logging_steps
        if arguments.save_steps % every != 0 and (arguments.save_steps >= 1 or every >= 1):
            raise InputError(
                f"save_steps is {arguments.save_steps:g} and evaluation runs every {every:g} steps (eval_steps, or "
                "else logging_steps): to keep the best checkpoint, make save_steps a multiple of that"
            )


def _check_precision(arguments: TrainingArguments) -> None:
    on_cpu = arguments.use_cpu or not torch.accelerator.is_available()
    if arguments.bf16 and arguments.fp16:
        raise InputError("bf16 and fp16 are both true; give only one of them")
    if arguments.fp16 and on_cpu:
        raise InputError("fp16 is true, which needs a GPU; on a CPU give --bf16 true, or neither")
    if arguments.bf16 and on_cpu:
        arguments.use_cpu = True
        if not _has_bf16_instructions():
            logger.warning("this CPU has no bfloat16 instructions; training is many times faster without --bf16")
    if arguments.tf32 and on_cpu:
        raise InputError("tf32 is true, which needs an NVIDIA GPU; drop it")


def _has_bf16_instructions() -> bool:
    """Whether the CPU reports bfloat16 instructions; True if it reports nothing."""
    path = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not path.is_file():
        return True
    return not BF16_INSTRUCTIONS.isdisjoint(path.read_text(encoding="utf-8", errors="replace").split())


def _check_tracking(arguments: TrainingArguments) -> None:
    """Require that every requested tracker is installed, and that tracker options come with a tracker."""
    trackers = trackers_of(arguments)
    available = get_available_reporting_integrations()
    for tracker in trackers:
        if tracker == "all" or tracker in available:
            continue
        if tracker not in INTEGRATION_TO_CALLBACK:
            known = (*INTEGRATION_TO_CALLBACK, "all", "none")
            unknown = f"report_to is {shown(tracker)}, which is not a tracker; known: {', '.join(known)}"
            raise InputError(hinted(unknown, str(tracker), known))
        extra = "'hf-sslgen[tracking]'" if tracker == "trackio" else tracker.replace("_", "-")
        raise InputError(f"report_to is {tracker!r}, which is not installed; run `pip install {extra}`")
    arguments.report_to = trackers or "none"
    if "all" in trackers:
        arguments.report_to = "all"
        trackers = list(available)
    if arguments.run_name is not None and not trackers:
        raise InputError("run_name is only used by trackers; also give --report_to, or drop it")
    if arguments.run_name is None and trackers:
        arguments.run_name = name_of(Path(str(arguments.output_dir)))  # by which trackio goes on with a run
    for name, default in (("project", "huggingface"), ("trackio_space_id", None), ("trackio_bucket_id", None)):
        if vars(arguments)[name] != default and "trackio" not in trackers:
            raise InputError(f"{name} needs --report_to trackio; add that, or drop it")


def trackers_of(arguments: TrainingArguments) -> list[str]:
    """Return the trackers that a Trainer reports to."""
    asked = arguments.report_to if isinstance(arguments.report_to, list) else [arguments.report_to or "none"]
    return [each for each in asked if each != "none"]


def _check_workers(arguments: TrainingArguments) -> None:
    """Choose the number of workers if it is open, and check the options that need some.

    On a CPU workers would compete with the network for its cores; outside Linux they are not forked, and each would
    decode every picture anew.
    """
    if arguments.dataloader_num_workers == AUTOMATIC_WORKERS:
        arguments.dataloader_num_workers = 0
        if sys.platform == "linux" and torch.accelerator.is_available() and not arguments.use_cpu:
            cores = len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))
            arguments.dataloader_num_workers = min(MOST_WORKERS, max(0, cores - 1))
        if arguments.dataloader_num_workers > 0:
            arguments.dataloader_persistent_workers = True
    if arguments.dataloader_num_workers > 0:
        if arguments.dataloader_multiprocessing_context is None and sys.platform == "linux":
            arguments.dataloader_multiprocessing_context = "fork"  # forked workers share the decoded pictures
        return
    for name in (
        "dataloader_persistent_workers",
        "dataloader_prefetch_factor",
        "dataloader_multiprocessing_context",
    ):
        if vars(arguments)[name]:
            raise InputError(f"{name} needs data loader workers; also give --dataloader_num_workers")
