"""The state of interrupted pretraining on disk: whole or not at all, and only for what it was written with."""

import json
import pickle
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from hf_sslgen.errors import InputError
from hf_sslgen.files import flush_to_disk, replace_file, write_json
from hf_sslgen.shortages import raise_shortage
from hf_sslgen.training.pretraining.pretraining_state import TrainingState

CHECKPOINT_FILE = "checkpoint.pt"
LOG_FILE = "log.json"

UNREADABLE = (RuntimeError, KeyError, TypeError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)
"""What torch raises, or taking the state apart does, where a file is cut short, overwritten or of something else."""


def _identity(state: TrainingState) -> dict[str, Any]:
    """What has to be the same for training to go on, as JSON values."""
    settings = json.loads(json.dumps(asdict(state.settings)))
    return {
        **settings,
        "num_images": state.order.num_images,
        "num_processes": state.accelerator.num_processes,
    }


def save_checkpoint(folder: Path, state: TrainingState) -> None:
    """Write weights, optimiser, gradient scaler, position and log.

    The order of the images and their views need no state: they follow from the seed and the position.

    Raises:
        OSError: the disk is full, for one; the previous checkpoint is then as it was.
    """
    scaler = state.accelerator.scaler
    content = {
        "settings": _identity(state),
        "model": state.modules.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "steps_of_epoch": state.steps_of_epoch,
        "losses_of_epoch": [loss.item() for loss in state.losses_of_epoch],
        "seconds_of_epoch": state.seconds_of_epoch,
        "log": state.log,
    }
    path = folder / CHECKPOINT_FILE
    with replace_file(path) as unfinished:
        try:
            with unfinished.open("wb") as file:
                torch.save(content, file)
            flush_to_disk(unfinished)
        except (OSError, RuntimeError) as error:
            # torch hides a full disk behind an error about its own container.
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            raise OSError(cause.errno, cause.strerror, str(path)) from error
    write_log(folder, state)


def remove_unfinished(folder: Path) -> None:
    """Remove what processes that were killed while they saved have left."""
    for path in folder.glob(f".{CHECKPOINT_FILE}.*.unfinished"):
        path.unlink(missing_ok=True)


def write_log(folder: Path, state: TrainingState) -> None:
    """Write the rows of the finished epochs as JSON."""
    write_json(folder / LOG_FILE, state.log)


def load_checkpoint(folder: Path, state: TrainingState) -> bool:
    """Put a checkpoint's state into `state`, in place; False where the folder holds none.

    Raises:
        InputError: the checkpoint was written with other settings, images or processes (names them) or can't be read.
        ResourceError: there is too little memory for it.
    """
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return False
    try:
        _require_undamaged(path)
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        _require_same(path, checkpoint["settings"], _identity(state))
        state.modules.load_state_dict(checkpoint["model"])
        state.optimizer.load_state_dict(checkpoint["optimizer"])
        if state.accelerator.scaler is not None and checkpoint["scaler"] is not None:
            state.accelerator.scaler.load_state_dict(checkpoint["scaler"])
        state.steps_of_epoch = checkpoint["steps_of_epoch"]
        state.losses_of_epoch = [torch.tensor(loss) for loss in checkpoint["losses_of_epoch"]]
        state.seconds_of_epoch = checkpoint["seconds_of_epoch"]
        state.log = checkpoint["log"]
    except InputError:
        raise
    except UNREADABLE as error:
        raise_shortage(error)
        reason = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{path} can't be read as a checkpoint ({type(error).__name__}: {reason}); remove it to start anew"
        ) from error
    return True


def _require_undamaged(path: Path) -> None:
    """Compare every part of the file with its checksum, which torch writes but doesn't look at."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} does not match its checksum")


def _require_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise where a checkpoint was written for something else.

    What it says nothing about does not count: its writer may not have known that setting.
    """
    different = sorted(key for key in found if found[key] != wanted.get(key))
    if different:
        listed = "; ".join(f"{key}: {found[key]!r} there, {wanted.get(key)!r} now" for key in different[:4])
        raise InputError(
            f"{path} was written with other settings ({listed}); give another output_dir or remove it to start anew"
        )
