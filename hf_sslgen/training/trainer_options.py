"""Which of the Trainer's options fine-tuning honours, in which range, and which it refuses because they would do
nothing here or something else than they say.

Every field of `FineTuningArguments` is in exactly one of the two tables; one that a new release of transformers adds
is refused until somebody has looked at it.
"""

import dataclasses
import typing
from collections.abc import Mapping

from transformers import TrainingArguments

from hf_sslgen.errors import InputError
from hf_sslgen.settings import AT_LEAST_ONE, NOT_NEGATIVE, POSITIVE, SEED, Range, read_setting, shown

STEPS = Range(above=0)
"""Steps, or below 1 a share of all steps."""

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
"""What changes the weights that a run ends with: a run is only continued with the same. Each with its range or words,
where it has any."""

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
"""Every option that does what it says, with its range or words, where it has any."""

_LANGUAGE = "it is for language models"
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
    "auto_find_batch_size": "the batch size decides the weights; give a smaller --per_device_train_batch_size",
    "logging_nan_inf_filter": "training stops where the loss is not finite",
    "trackio_static_space_id": "publish the finished run with trackio's own commands",
    "prediction_loss_only": "the numbers need the predictions",
    "eval_do_concat_batches": "the numbers need the predictions of all batches together",
    "eval_use_gather_object": "predictions are gathered as arrays",
    "include_for_metrics": "the numbers are computed from predictions and labels",
    "batch_eval_metrics": "calibration is not a mean over batches",
    "enable_jit_checkpoint": "an interrupted run goes on from its last checkpoint",
    "hub_strategy": "the finished model is pushed, once",
    "hub_always_push": "the finished model is pushed, once",
    "ignore_data_skip": "a continued run would see images twice and others never",
    "restore_callback_states_from_checkpoint": "a continued run takes up what it needs",
    "accelerator_config": "the order of the images and how they are shared out is fixed",
    "parallelism_config": "only whole copies of the network train side by side",
    "dataloader_drop_last": "it would leave out test images too",
    "dataloader_in_order": "the order of the images decides the weights",
    "remove_unused_columns": "samples carry what the Trainer would remove",
    "label_names": "they are known",
    "train_sampling_strategy": "the order of the images is fixed by --data_seed",
    "length_column_name": _LANGUAGE,
    "fsdp": "say so to Accelerate, as `accelerate launch --use_fsdp`",
    "fsdp_config": "say so to Accelerate, as `accelerate launch --use_fsdp`",
    "deepspeed": "say so to Accelerate, as `accelerate launch --use_deepspeed`",
    "skip_memory_metrics": "they would be shown nowhere",
}
"""Every option that has to stay as it is by default, and why."""


def check_options(arguments: TrainingArguments) -> None:
    """Bring every honoured option into its form, in place, and refuse the others where they are not as by default.

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
            raise InputError(f"{field.name} is {shown(value)}, which is not offered: {reason}; drop it")
        limits = HONOURED[field.name]
        numbers, words = (limits, None) if isinstance(limits, Range) else (None, limits)
        value = read_setting(field.name, hints[field.name], value, numbers)
        if words is not None and value is not None and value not in words:
            raise InputError(f"{field.name} is {shown(value)}; it has to be one of {', '.join(words)}")
        vars(arguments)[field.name] = value
