"""A run's output folder: which configuration it belongs to, and from where it can go on."""

import json
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from hf_sslgen.errors import InputError
from hf_sslgen.files import write_json
from hf_sslgen.training.trainer_options import DECISIVE

IDENTITY_FILE = "run.json"
RESULTS_FILE = "results.json"
PREDICTIONS_FILE = "predictions.parquet"
DECISIVE_TRAINING_ARGUMENTS = (*DECISIVE, "world_size")
"""Training arguments that change the weights; the rest (logging, workers, folders) may differ between resumptions."""


def training_identity(arguments: TrainingArguments) -> dict[str, Any]:
    """The decisive training arguments as JSON values."""
    values = {**arguments.to_dict(), "world_size": arguments.world_size}
    return {name: values[name] for name in DECISIVE_TRAINING_ARGUMENTS}


def claim_run_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Make the folder this configuration's, or check that it already is.

    Raises:
        InputError: the folder belongs to another configuration (names what differs), or holds other files.
    """
    path = folder / IDENTITY_FILE
    wanted = json.loads(json.dumps(identity))
    others = [item for item in folder.iterdir() if not item.name.endswith(".unfinished")] if folder.exists() else []
    if path.exists() and others != [path]:  # a run that failed before its first checkpoint binds nobody
        found = json.loads(path.read_text(encoding="utf-8"))
        different = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
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


def check_resumption(asked: bool | str | None, folder: Path, checkpoint: str | None) -> None:
    """Raise InputError where `resume_from_checkpoint` asks for something else than what happens by itself.

    Args:
        asked: nothing, whether to go on, or a checkpoint's folder.
        checkpoint: the one that the run in `folder` goes on from.
    """
    if asked is None or asked is True:
        return
    if asked is False:
        if checkpoint is not None:
            raise InputError(
                f"resume_from_checkpoint is false, but output_dir {str(folder)!r} holds an unfinished run; remove it, "
                "or give another --output_dir"
            )
        return
    if checkpoint is None or Path(asked).resolve() != Path(checkpoint).resolve():
        known = f"which goes on from {checkpoint}" if checkpoint is not None else "which has none"
        raise InputError(
            f"resume_from_checkpoint {asked!r} is not the last complete checkpoint of the run in {str(folder)!r}, "
            f"{known}; to start from the weights of another run, give them as --model_name_or_path"
        )


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
