"""The pretraining command, which `recipes/pretrain.py` runs in one or several processes."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.settings import (
    AT_LEAST_ONE,
    NOT_NEGATIVE,
    POSITIVE,
    SEED,
    SIDE,
    Range,
    check_fields,
    setting,
)
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.tracking import TrackingArguments


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
    """Parse the arguments and pretrain."""
    arguments, domain_arguments, tracking = parse_arguments(
        (PretrainArguments, DomainArguments, TrackingArguments),
        "Pretrain one twin on a dataset of source images.",
        command_line,
    )
    from hf_sslgen.commands.run_pretrain import run_pretrain

    options = sys.argv[1:] if command_line is None else command_line
    run_pretrain(arguments, domain_arguments, options, tracking)
