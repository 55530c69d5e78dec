"""A run's output folder: which configuration it belongs to, and from where it can go on."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from hf_sslgen.errors import InputError
from hf_sslgen.files import write_json

IDENTITY_FILE = "run.json"
RESULTS_FILE = "results.json"
PREDICTIONS_FILE = "predictions.parquet"
TAKEN = "taken"
"""What of `run.json` says what of the data set was taken, and decides nothing: fingerprints do."""

DECISIVE_TRAINING_ARGUMENTS = (
    "learning_rate",
    "weight_decay",
    "optim",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "lr_scheduler_type",
    "warmup_steps",
    "max_grad_norm",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "label_smoothing_factor",
    "seed",
    "data_seed",
    "bf16",
    "fp16",
    "eval_strategy",
    "eval_steps",
    "load_best_model_at_end",
    "metric_for_best_model",
    "world_size",
)
"""Training arguments that change the weights; the rest (logging, workers, folders) may differ between resumptions."""


def training_identity(arguments: TrainingArguments) -> dict[str, Any]:
    """The decisive training arguments as JSON values."""
    values = {**arguments.to_dict(), "world_size": arguments.world_size}
    return {name: values[name] for name in DECISIVE_TRAINING_ARGUMENTS}


def claim_run_folder(folder: Path, identity: dict[str, Any], taken: dict[str, Any]) -> None:
    """Make the folder this configuration's, or check that it already is.

    Args:
        taken: what of the data set was taken, which the folder keeps and does not compare.

    Raises:
        InputError: the folder belongs to another configuration (names what differs), or holds other files.
    """
    path = folder / IDENTITY_FILE
    wanted = json.loads(json.dumps({**identity, TAKEN: taken}))
    others = [item for item in folder.iterdir() if not item.name.endswith(".unfinished")] if folder.exists() else []
    if path.exists() and others != [path]:  # a run that failed before its first checkpoint binds nobody
        found = json.loads(path.read_text(encoding="utf-8"))
        decisive = (wanted.keys() | found.keys()) - {TAKEN}
        different = sorted(key for key in decisive if wanted.get(key) != found.get(key))
        if different:
            listed = "; ".join(f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in different[:4])
            raise InputError(
                f"output_dir {str(folder)!r} holds a run of another configuration ({listed}); give another "
                "--output_dir, or remove it to start anew"
            )
    elif others and others != [path]:
        raise InputError(
            f"output_dir {str(folder)!r} is not empty and holds no run of this tool; give another --output_dir"
        )
    else:
        write_json(path, wanted)


def finished_results(folder: Path) -> dict[str, Any] | None:
    """The results of a finished run, or None."""
    path = folder / RESULTS_FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def last_complete_checkpoint(folder: Path, remove_incomplete: bool) -> str | None:
    """The newest checkpoint that was written to its end.

    The Trainer writes `trainer_state.json` last, so a checkpoint without a readable one was cut short.
    """
    while (checkpoint := get_last_checkpoint(str(folder))) is not None:
        try:
            json.loads((Path(checkpoint) / "trainer_state.json").read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError):
            if not remove_incomplete:
                return None
            shutil.rmtree(checkpoint)
        else:
            return checkpoint
    return None


def require_disk_space(folder: Path, num_parameters: int, checkpoints: int) -> None:
    """Raise InputError where the checkpoints (weights and two moments each, float32) would not fit on the disk."""
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    needed = num_parameters * 4 * 3 * checkpoints
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise InputError(
            f"output_dir {str(folder)!r} needs about {needed / 1e9:.2f} GB for {checkpoints} checkpoints, but the "
            f"disk has {free / 1e9:.2f} GB left; free some, lower --save_total_limit or give another --output_dir"
        )
