"""The pretraining command, which `recipes/pretrain.py` runs in one or several processes."""

import dataclasses
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator

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
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SIDE,
    Range,
    check_fields,
    fields_from,
    setting,
)
from hf_sslgen.training.augmentation import IMAGENET_MEAN, IMAGENET_STD
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.pretraining.objectives import require_objective
from hf_sslgen.training.pretraining.pretraining_budget import PLAN_FILE, planned_epochs
from hf_sslgen.training.pretraining.pretraining_checkpoint import CHECKPOINT_FILE, LOG_FILE
from hf_sslgen.training.pretraining.pretraining_loop import pretrain
from hf_sslgen.training.pretraining.pretraining_state import PretrainingSettings
from hf_sslgen.training.pretraining.source_knn import knn_monitor
from hf_sslgen.training.samples import SourceImages


@dataclass(frozen=True)
class PretrainArguments:
    """Options for one twin; train its siblings with the same options and another objective."""

    objective: Literal["supervised", "simclr", "barlow-twins", "byol"] = field(
        metadata={"help": "Pretraining objective."}
    )
    output_dir: str = field(metadata={"help": "Folder for checkpoint.pt, log.json and the finished twin/."})
    architecture: str = field(default="resnet18", metadata={"help": "Name of a timm architecture."})
    architecture_arguments: dict[str, Any] = field(
        default_factory=dict,
        metadata={"help": "Keyword arguments for timm.create_model, as JSON (in a config file, a mapping)."},
    )
    image_size: int = setting(64, range=SIDE, help="Input side in pixels.")
    view_size: int | None = setting(
        None, range=SIDE, help="Side in pixels of the random training views (default: image_size)."
    )
    num_train_epochs: int = setting(10, range=AT_LEAST_ONE, help="Epochs.")
    target_minutes: float | None = setting(
        None,
        range=POSITIVE,
        help="Instead of num_train_epochs: time a few steps and train for as many epochs as fit into this many "
        "minutes. plan.json records the number of epochs; pass it to the other twins as num_train_epochs.",
    )
    per_device_train_batch_size: int = setting(256, range=AT_LEAST_ONE, help="Images per process and step.")
    learning_rate: float = setting(0.2, range=POSITIVE, help="Peak learning rate for SGD.")
    weight_decay: float = setting(5e-4, range=NOT_NEGATIVE, help="Weight decay.")
    warmup_epochs: float = setting(1.0, range=NOT_NEGATIVE, help="Epochs of linear warm-up.")
    temperature: float = setting(0.2, range=POSITIVE, help="Temperature of the SimCLR loss.")
    teacher_momentum: float = setting(
        0.99, range=Range(at_least=0, at_most=1), help="Initial momentum of the BYOL teacher."
    )
    mixed_precision: Literal["no", "bf16", "fp16"] = field(default="no", metadata={"help": "Autocast precision."})
    seed: int = setting(0, range=SEED, help="Seed for initial weights, image order and views.")
    dataloader_num_workers: int = setting(0, range=NOT_NEGATIVE, help="Worker processes that read images.")
    knn_epochs: int = setting(
        5,
        range=NOT_NEGATIVE,
        help="Measure k-NN accuracy on held-out source images every this many epochs; 0 for never.",
    )
    save_minutes: float = setting(5.0, range=NOT_NEGATIVE, help="Minutes between checkpoints within an epoch.")

    def __post_init__(self) -> None:
        check_fields(self)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments, check the output folder and pretrain."""
    arguments, domain_arguments = parse_arguments(
        (PretrainArguments, DomainArguments), "Pretrain one twin on a dataset of source images.", command_line
    )
    settings = fields_from(PretrainingSettings, arguments)
    require_objective(settings.objective)
    if settings.mixed_precision == "fp16" and not torch.accelerator.is_available():
        raise InputError("mixed_precision is 'fp16', which needs a GPU; on a CPU give bf16 or no")
    # Accelerate's PartialState would not know that ACCELERATE_USE_CPU asks for several processes on a CPU.
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    output_dir = require_output_folder(arguments.output_dir, own=[CHECKPOINT_FILE, LOG_FILE, PLAN_FILE, TWIN_FOLDER])
    options = sys.argv[1:] if command_line is None else command_line
    command = _command_to_repeat(options, accelerator.num_processes, accelerator.device.type)
    launch = Launch(command, accelerator.num_processes, arguments.target_minutes)
    with claimed_by_main(output_dir):
        _pretrain(arguments, domain_arguments, settings, output_dir, accelerator, launch)


def _pretrain(
    arguments: PretrainArguments,
    domain_arguments: DomainArguments,
    settings: PretrainingSettings,
    output_dir: Path,
    accelerator: Accelerator,
    launch: Launch,
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
        )
    if accelerator.is_main_process:
        export_twin(trunk, settings, source, output_dir, launch, monitor)


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
