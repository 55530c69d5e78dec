"""The state of interrupted pretraining on disk: whole or not at all, and only for the settings it was written with."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file, write_json

if TYPE_CHECKING:
    from hf_sslgen.training.pretraining import PretrainingSettings, TrainingState

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.json"


def _as_json(settings: "PretrainingSettings") -> dict[str, Any]:
    return json.loads(json.dumps(asdict(settings)))


def save_checkpoint(folder: Path, state: "TrainingState") -> None:
    """Write weights, optimiser, gradient scaler, position and log.

    The order of the images and their views need no state: they follow from the seed and the position.
    """
    scaler = state.accelerator.scaler
    with replace_file(folder / CHECKPOINT_FILE) as unfinished:
        torch.save(
            {
                "settings": _as_json(state.settings),
                "model": state.modules.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "scaler": scaler.state_dict() if scaler is not None else None,
                "steps_of_epoch": state.steps_of_epoch,
                "losses_of_epoch": [loss.item() for loss in state.losses_of_epoch],
                "seconds_of_epoch": state.seconds_of_epoch,
                "log": state.log,
            },
            unfinished,
        )
    write_json(folder / LOG_FILE, state.log)


def load_checkpoint(folder: Path, state: "TrainingState") -> bool:
    """Put a checkpoint's state into `state`, in place; False where the folder holds none.

    Raises:
        InputError: the checkpoint was written with other settings (names them) or can't be read.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return False
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        found = checkpoint["settings"]
    except (RuntimeError, EOFError, KeyError, ValueError) as error:
        raise InputError(f"{path} can't be read ({error}); remove it to start anew") from error
    wanted = _as_json(state.settings)
    if found != wanted:
        different = ", ".join(sorted(key for key in wanted | found if found.get(key) != wanted.get(key)))
        raise InputError(
            f"{path} was written with other settings ({different}); give another output_dir or remove it to start anew"
        )
    state.modules.load_state_dict(checkpoint["model"])
    state.optimizer.load_state_dict(checkpoint["optimizer"])
    if state.accelerator.scaler is not None and checkpoint["scaler"] is not None:
        state.accelerator.scaler.load_state_dict(checkpoint["scaler"])
    state.steps_of_epoch = checkpoint["steps_of_epoch"]
    state.losses_of_epoch = [torch.tensor(loss) for loss in checkpoint["losses_of_epoch"]]
    state.seconds_of_epoch = checkpoint["seconds_of_epoch"]
    state.log = checkpoint["log"]
    return True
