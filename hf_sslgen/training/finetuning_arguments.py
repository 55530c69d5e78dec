"""Fine-tuning arguments: those of the backbone and the Trainer; `DomainArguments` has those of the domain."""

import sys
from dataclasses import dataclass, field
from typing import Literal

import torch
from transformers import SchedulerType, TrainingArguments
from transformers.trainer_pt_utils import AcceleratorConfig
from transformers.trainer_utils import HubStrategy, IntervalStrategy, SaveStrategy
from transformers.training_args import OptimizerNames

from hf_sslgen.errors import InputError
from hf_sslgen.settings import AT_LEAST_ONE, NOT_NEGATIVE, SHARE, SIDE, check_fields, setting
from hf_sslgen.training.option_combinations import AUTOMATIC_WORKERS, complete_options
from hf_sslgen.training.trainer_options import check_options


@dataclass(frozen=True)
class ModelArguments:
    """The backbone and how it is adapted."""

    model_name_or_path: str = field(
        metadata={
            "help": "A name from `hf-sslgen zoo`, a timm or transformers model id on the Hub (`owner/name@revision` "
            "for a branch, tag or commit) or a local folder; prefix any of these with `untrained:` for freshly "
            "initialised weights."
        }
    )
    model_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit on the Hub."})
    image_size: int | None = setting(None, range=SIDE, help="Input side in pixels (default: the backbone's own).")
    trainable: Literal["all", "last_stage", "head"] = field(
        default="all",
        metadata={"help": "Which part to train; the rest stays frozen, including batch-norm statistics."},
    )
    class_weighting: Literal["none", "balanced"] = field(
        default="none",
        metadata={"help": "`balanced` weights the loss by N / (C * N_c); evaluation is never weighted."},
    )
    minimum_crop_area: float = setting(
        0.35, range=SHARE, help="Smallest share of the image that a random crop keeps; 1 trains on uncropped images."
    )
    horizontal_flip: bool = field(
        default=True, metadata={"help": "Flip training images at random, in domains whose labels allow it."}
    )
    early_stopping_patience: int | None = setting(
        None,
        range=AT_LEAST_ONE,
        help="Stop after this many evaluations without improvement in metric_for_best_model.",
    )

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass
class FineTuningArguments(TrainingArguments):
    """transformers' `TrainingArguments` with defaults that select by validation likelihood."""

    output_dir: str = field(default="runs/finetune", metadata={"help": "Folder for checkpoints, model and results."})
    eval_strategy: IntervalStrategy | str = field(
        default="epoch", metadata={"help": "When to validate: no, steps or epoch."}
    )
    save_strategy: SaveStrategy | str = field(
        default="epoch", metadata={"help": "When to save: no, steps, epoch or best."}
    )
    save_total_limit: int | None = field(
        default=2, metadata={"help": "Checkpoints to keep, in addition to the best one."}
    )
    load_best_model_at_end: bool = field(
        default=True, metadata={"help": "Load the best checkpoint when training ends."}
    )
    metric_for_best_model: str | None = field(
        default="negative_log_likelihood",
        metadata={"help": "Validation metric that decides which checkpoint is best."},
    )
    greater_is_better: bool | None = field(
        default=None, metadata={"help": "Leave this out: the better direction of every metric is known."}
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "Must stay false: samples carry their ids."})
    per_device_train_batch_size: int = field(default=64, metadata={"help": "Training batch size per device."})
    per_device_eval_batch_size: int = field(default=128, metadata={"help": "Evaluation batch size per device."})
    learning_rate: float = field(default=1e-3, metadata={"help": "Peak learning rate."})
    weight_decay: float = field(default=1e-4, metadata={"help": "Weight decay."})
    lr_scheduler_type: SchedulerType | str = field(default="cosine", metadata={"help": "Learning rate schedule."})
    logging_steps: float = field(default=20, metadata={"help": "Log every N steps."})
    dataloader_num_workers: int = field(
        default=AUTOMATIC_WORKERS,
        metadata={"help": "Data loader workers (default, -1: up to eight with a GPU under Linux, otherwise none)."},
    )
    picture_cache_gb: float | None = setting(
        None,
        range=NOT_NEGATIVE,
        help="Gigabytes of decoded pictures to keep, in memory up to half of what is free, then on disk (default: "
        "half of the free memory and of the free disk space, at most 64 GiB on disk); 0 decodes them anew in every "
        "epoch.",
    )
    tracked_images: int = setting(
        200,
        range=NOT_NEGATIVE,
        help="With report_to: validation images on which attribution and invariance are measured at every "
        "evaluation; 0 measures neither while training.",
    )
    optim: OptimizerNames | str = field(default="adamw_torch", metadata={"help": "Optimiser."})
    push_to_hub: bool = field(
        default=False, metadata={"help": "When finished, push the model, its card and its results to the Hub."}
    )
    hub_model_id: str | None = field(
        default=None,
        metadata={"help": "Repository to push to: owner/name or name (default: the output folder's name)."},
    )
    hub_revision: str | None = field(
        default=None, metadata={"help": "Branch to push to, created if missing (default: main)."}
    )
    hub_token: str | None = field(
        default=None,
        metadata={
            "help": "Token to push with. Prefer `hf auth login` or HF_TOKEN: other users can see the command line, "
            "and `accelerate launch` prints it if the command fails."
        },
    )
    hub_strategy: HubStrategy | str = field(
        default="end", metadata={"help": "Must stay `end`: checkpoints are not pushed during training."}
    )
    do_train: bool = field(default=True, metadata={"help": "Must stay true."})
    do_eval: bool = field(default=True, metadata={"help": "Must stay true."})
    do_predict: bool = field(default=True, metadata={"help": "Must stay true: the test split is measured."})
    resume_from_checkpoint: bool | str | None = field(  # type: ignore[assignment]
        default=None,
        metadata={
            "help": "Interrupted runs resume from their last complete checkpoint by default; `true` or that "
            "checkpoint's folder requests the same, `false` refuses to resume."
        },
    )

    def __post_init__(self) -> None:
        """Check every option, alone and together, before the Trainer sees it.

        Raises:
            InputError: names the option, what was found and what would work.
        """
        check_options(self)
        complete_options(self)
        if self.disable_tqdm is None:
            self.disable_tqdm = not sys.stderr.isatty()
        if not torch.accelerator.is_available():
            self.dataloader_pin_memory = False
        try:
            super().__post_init__()
        except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
            raise InputError(f"the Trainer refuses these options: {' '.join(str(error).split())}") from error
        assert isinstance(self.accelerator_config, AcceleratorConfig)
        self.accelerator_config.non_blocking = self.dataloader_pin_memory
