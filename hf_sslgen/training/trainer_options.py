"""Trainer options that fine-tuning supports, with their ranges, and those it rejects as ineffective or misleading.

Every field of `FineTuningArguments` is in exactly one of the two tables; a field that a new release of transformers
adds is rejected until it has been reviewed.
"""

import dataclasses
import typing
from collections.abc import Mapping

from transformers import TrainingArguments

from hf_sslgen.errors import InputError
from hf_sslgen.settings import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, SEED, Range, read_setting, shown

STEPS = Range(above=0)
"""A number of steps or, below 1, a fraction of all steps."""

LOG_LEVELS = ("detail", "debug", "info", "warning", "error", "critical", "passive")

DECISIVE: Mapping[str, Range | tuple[str, ...] | None] = {
    "learning_rate": NOT_NEGATIVE,
    "weight_decay": NOT_NEGATIVE,
    "optim": ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"),
    "optim_args": None,
    "adam_beta1": Range(at_least=0, below=1),
    "adam_beta2": Range(at_least=0, below=1),
    "adam_epsilon": POSITIVE,
    "lr_scheduler_type": None,
    "lr_scheduler_kwargs": None,
    "warmup_steps": NOT_NEGATIVE,
    "max_grad_norm": NOT_NEGATIVE,
    "num_train_epochs": POSITIVE,
    "max_steps": Range(at_least=-1),
    "per_device_train_batch_size": AT_LEAST_ONE,
    "gradient_accumulation_steps": AT_LEAST_ONE,
    "label_smoothing_factor": Range(at_least=0, below=1),
    "seed": SEED,
    "data_seed": SEED,
    "bf16": None,
    "fp16": None,
    "tf32": None,
    "eval_strategy": None,
    "eval_steps": STEPS,
    "eval_delay": NOT_NEGATIVE,
    "eval_on_start": None,
    "save_strategy": None,
    "save_steps": STEPS,
    "load_best_model_at_end": None,
    "metric_for_best_model": None,
}
"""Options that affect the final weights, with their range or choices, if any; a run is resumed only if they agree."""

HONOURED: Mapping[str, Range | tuple[str, ...] | None] = {
    **DECISIVE,
    "output_dir": None,
    "greater_is_better": None,
    "activation_checkpointing": None,
    "activation_checkpointing_kwargs": None,
    "gradient_checkpointing": None,
    "gradient_checkpointing_kwargs": None,
    "torch_compile": None,
    "torch_compile_backend": None,
    "torch_compile_mode": ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
    "torch_empty_cache_steps": AT_LEAST_ONE,
    "logging_strategy": None,
    "logging_steps": STEPS,
    "logging_first_step": None,
    "log_on_each_node": None,
    "log_level": LOG_LEVELS,
    "log_level_replica": LOG_LEVELS,
    "disable_tqdm": None,
    "report_to": None,
    "tracked_images": NOT_NEGATIVE,
    "run_name": None,
    "project": None,
    "trackio_space_id": None,
    "trackio_bucket_id": None,
    "per_device_eval_batch_size": AT_LEAST_ONE,
    "eval_accumulation_steps": AT_LEAST_ONE,
    "save_on_each_node": None,
    "save_only_model": None,
    "save_total_limit": AT_LEAST_ONE,
    "push_to_hub": None,
    "hub_token": None,
    "hub_private_repo": None,
    "hub_model_id": None,
    "hub_revision": None,
    "full_determinism": None,
    "use_cpu": None,
    "dataloader_num_workers": NOT_NEGATIVE,
    "picture_cache_gb": NOT_NEGATIVE,
    "dataloader_pin_memory": None,
    "dataloader_persistent_workers": None,
    "dataloader_prefetch_factor": AT_LEAST_ONE,
    "dataloader_multiprocessing_context": ("fork", "spawn", "forkserver"),
    "ddp_find_unused_parameters": None,
    "ddp_bucket_cap_mb": AT_LEAST_ONE,
    "ddp_broadcast_buffers": None,
    "ddp_static_graph": None,
    "ddp_backend": ("nccl", "gloo", "mpi", "xccl", "hccl", "cncl", "mccl"),
    "ddp_timeout": AT_LEAST_ONE,
    "debug": None,
    "resume_from_checkpoint": None,
    "local_rank": Range(at_least=-1),  # launchers pass it
}
"""Every supported option, with its range or choices, if any."""

_LANGUAGE = "it applies to language models"
_ALL_THREE = "fine-tuning always trains, validates and measures the test split"

REFUSED: Mapping[str, str] = {
    "do_train": f"{_ALL_THREE}; `hf-sslgen analyze` measures without training",
    "do_eval": f"{_ALL_THREE}; --eval_strategy no --load_best_model_at_end false trains without validating in between",
    "do_predict": _ALL_THREE,
    "optim_target_modules": "optimisers that need it are not offered",
    "average_tokens_across_devices": f"{_LANGUAGE}: the loss is a mean over images",
    "bf16_full_eval": "it would change the weights that are measured; --bf16 true computes in bfloat16",
    "fp16_full_eval": "it would change the weights that are measured; --fp16 true computes in float16 on a GPU",
    "use_liger_kernel": _LANGUAGE,
    "liger_kernel_config": _LANGUAGE,
    "use_cache": _LANGUAGE,
    "neftune_noise_alpha": _LANGUAGE,
    "include_num_input_tokens_seen": _LANGUAGE,
    "auto_find_batch_size": "the batch size affects the weights; give a smaller --per_device_train_batch_size",
    "logging_nan_inf_filter": "training stops if the loss is not finite",
    "trackio_static_space_id": "publish the finished run with trackio's own commands",
    "prediction_loss_only": "the numbers need the predictions",
    "eval_do_concat_batches": "the numbers need the predictions of all batches together",
    "eval_use_gather_object": "predictions are gathered as arrays",
    "include_for_metrics": "the numbers are computed from predictions and labels",
    "batch_eval_metrics": "calibration is not a mean over batches",
    "enable_jit_checkpoint": "an interrupted run resumes from its last checkpoint",
    "hub_strategy": "only the finished model is pushed",
    "hub_always_push": "only the finished model is pushed",
    "ignore_data_skip": "a resumed run would see some images twice and others never",
    "restore_callback_states_from_checkpoint": "a resumed run restores the state it needs",
    "accelerator_config": "the order of the images and their distribution to processes are fixed",
    "parallelism_config": "only data-parallel training is supported",
    "dataloader_drop_last": "it would leave out test images too",
    "dataloader_in_order": "the order of the images affects the weights",
    "remove_unused_columns": "samples need the columns that the Trainer would remove",
    "label_names": "they are fixed",
    "train_sampling_strategy": "the order of the images is fixed by --data_seed",
    "length_column_name": _LANGUAGE,
    "fsdp": "enable it through Accelerate, with `accelerate launch --use_fsdp`",
    "fsdp_config": "enable it through Accelerate, with `accelerate launch --use_fsdp`",
    "deepspeed": "enable it through Accelerate, with `accelerate launch --use_deepspeed`",
    "skip_memory_metrics": "they would not be shown anywhere",
}
"""Every option that must keep its default, with the reason."""


def check_options(arguments: TrainingArguments) -> None:
    """Convert every supported option to its type, in place, and reject other options that differ from their default.

    Raises:
        InputError: names the option, what was found and what would work.
    """
    hints = typing.get_type_hints(type(arguments))
    for field in dataclasses.fields(arguments):
        value = vars(arguments)[field.name]
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        if value == default and isinstance(value, bool) == isinstance(default, bool):
            continue
        if field.name not in HONOURED:
            reason = REFUSED.get(field.name, "this release of transformers is newer than the tested ones")
            raise InputError(f"{field.name} is {shown(value)}, which is not supported: {reason}; drop it")
        limits = HONOURED[field.name]
        numbers, words = (limits, None) if isinstance(limits, Range) else (None, limits)
        value = read_setting(field.name, hints[field.name], value, numbers)
        if words is not None and value is not None and value not in words:
            raise InputError(f"{field.name} is {shown(value)}; it must be one of {', '.join(words)}")
        vars(arguments)[field.name] = value
