"""Run `recipes/pretrain.py`, after its options have been parsed, in one process or several."""

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import Accelerator

from hf_sslgen.commands.pretrain import PretrainArguments
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.pretraining_source import load_pretraining_source
from hf_sslgen.domains.taken import print_taken
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.launches import claimed_by_main
from hf_sslgen.memory import naming_batch_size
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.reporting.twin_folder import TWIN_FOLDER, Launch, export_twin
from hf_sslgen.settings import (
    fields_from,
)
from hf_sslgen.training.augmentation import IMAGENET_MEAN, IMAGENET_STD
from hf_sslgen.training.pretraining.objectives import require_objective
from hf_sslgen.training.pretraining.pretraining_budget import PLAN_FILE, planned_epochs
from hf_sslgen.training.pretraining.pretraining_checkpoint import CHECKPOINT_FILE, LOG_FILE
from hf_sslgen.training.pretraining.pretraining_loop import pretrain
from hf_sslgen.training.pretraining.pretraining_state import PretrainingSettings
from hf_sslgen.training.pretraining.source_knn import knn_monitor
from hf_sslgen.training.samples import SourceImages
from hf_sslgen.training.tracked_runs import RunDescription, name_of, tracked_run
from hf_sslgen.training.tracking import UNTRACKED, TrackingArguments


def _pretrain(
    arguments: PretrainArguments,
    domain_arguments: DomainArguments,
    settings: PretrainingSettings,
    output_dir: Path,
    accelerator: Accelerator,
    launch: Launch,
    tracking: TrackingArguments,
) -> None:
    """Load the data, plan the budget, train and export the twin."""
    source = load_pretraining_source(domain_arguments)
    if accelerator.is_main_process:
        print_taken([source.taken])
    preprocessing = Preprocessing(Geometry(settings.image_size, 1.0, "bilinear"), IMAGENET_MEAN, IMAGENET_STD)
    images, num_classes = SourceImages(source.train, preprocessing.geometry), len(source.class_names)
    watches = arguments.knn_epochs > 0 and accelerator.is_main_process
    monitor = knn_monitor(images, source.held_out, num_classes, preprocessing) if watches else None
    with naming_batch_size("--per_device_train_batch_size", settings.per_device_train_batch_size):
        if arguments.target_minutes is not None:
            epochs = planned_epochs(images, len(images), num_classes, settings, arguments.target_minutes, output_dir)
            settings = dataclasses.replace(settings, num_train_epochs=epochs)
        trackers = tracking.trackers if accelerator.is_main_process else ()
        with tracked_run(trackers, _tracked_as(settings, source.name, output_dir, tracking.project)) as tracked:
            trunk = pretrain(
                images,
                len(images),
                num_classes,
                settings,
                output_dir,
                arguments.dataloader_num_workers,
                monitor,
                arguments.knn_epochs,
                arguments.save_minutes,
                tracked,
            )
    if accelerator.is_main_process:
        export_twin(trunk, settings, source, output_dir, launch, monitor)


def _tracked_as(settings: PretrainingSettings, source: str, output_dir: Path, project: str | None) -> RunDescription:
    """Describe the run to trackers; an interrupted one goes on under its name."""
    config = {**dataclasses.asdict(settings), "source": source}
    return RunDescription(name_of(output_dir), output_dir, project, "pretraining", config)


def _command_to_repeat(options: Sequence[str], num_processes: int, device_type: str) -> str:
    """Return a command line that repeats this training, with local paths cut to their last names."""
    launcher = "python" if num_processes == 1 else f"torchrun --nproc_per_node {num_processes}"
    if num_processes > 1 and device_type == "cpu":
        launcher = f"ACCELERATE_USE_CPU=1 {launcher}"
    return f"{launcher} recipes/pretrain.py {shlex.join(_without_folders(option) for option in options)}"


def _without_folders(option: str) -> str:
    """Return an option or value, cutting a folder or absolute path to its last name."""
    prefix, equals, value = option.partition("=") if option.startswith("--") else ("", "", option)
    if value and not value.startswith("{"):  # JSON is not a path, and may exceed the longest possible one
        path = Path(value)
        if path.is_absolute() or path.is_dir():
            return f"{prefix}{equals}{path.resolve().name}"
    return option


def run_pretrain(
    arguments: PretrainArguments,
    domain_arguments: DomainArguments,
    options: Sequence[str],
    tracking: TrackingArguments = UNTRACKED,
) -> None:
    """Check the settings and the output folder and pretrain; the twin's card repeats `options` as a command."""
    settings = fields_from(PretrainingSettings, arguments)
    require_objective(settings.objective)
    if settings.mixed_precision == "fp16" and not torch.accelerator.is_available():
        raise InputError("mixed_precision is 'fp16', which needs a GPU; on a CPU give bf16 or no")
    # Accelerate's PartialState would not know that ACCELERATE_USE_CPU asks for several processes on a CPU.
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    output_dir = require_output_folder(arguments.output_dir, own=[CHECKPOINT_FILE, LOG_FILE, PLAN_FILE, TWIN_FOLDER])
    command = _command_to_repeat(options, accelerator.num_processes, accelerator.device.type)
    launch = Launch(command, accelerator.num_processes, arguments.target_minutes)
    with claimed_by_main(output_dir):
        _pretrain(arguments, domain_arguments, settings, output_dir, accelerator, launch, tracking)
