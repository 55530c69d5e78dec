"""Save and load the state of interrupted pretraining, atomically and only for the same settings."""

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
"""Exceptions raised on reading a file that is truncated, overwritten or not a checkpoint."""


def _identity(state: TrainingState) -> dict[str, Any]:
    """Return the settings that must be equal for training to resume, as JSON values."""
    settings = json.loads(json.dumps(asdict(state.settings)))
    return {
        **settings,
        "num_images": state.order.num_images,
        "num_processes": state.accelerator.num_processes,
    }


def save_checkpoint(folder: Path, state: TrainingState) -> None:
    """Write weights, optimiser, gradient scaler, position and log.

    The order of the images and their views need no state, because they follow from the seed and the position.

    Raises:
        OSError: writing failed, for example because the disk is full; the previous checkpoint is then unchanged.
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
            # torch reports a full disk as an error about its own container.
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            raise OSError(cause.errno, cause.strerror, str(path)) from error
    write_log(folder, state)


def remove_unfinished(folder: Path) -> None:
    """Remove files left by processes that were killed while saving."""
    for path in folder.glob(f".{CHECKPOINT_FILE}.*.unfinished"):
        path.unlink(missing_ok=True)


def write_log(folder: Path, state: TrainingState) -> None:
    """Write the log rows of the finished epochs as JSON."""
    write_json(folder / LOG_FILE, state.log)


def load_checkpoint(folder: Path, state: TrainingState) -> bool:
    """Load a checkpoint into `state`, in place; returns False if the folder holds none.

    Raises:
        InputError: the checkpoint was written with other settings, images or processes (names them), or can't be read.
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
            f"{path} can't be read as a checkpoint ({type(error).__name__}: {reason}); remove it to start over"
        ) from error
    return True


def _require_undamaged(path: Path) -> None:
    """Verify the checksum of every part of the file, which torch writes but does not check."""
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise zipfile.BadZipFile(f"{damaged} does not match its checksum")


def _require_same(path: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raise InputError if a checkpoint was written with other settings.

    Settings that the checkpoint does not mention are ignored, because an older version may have written it.
    """
    different = sorted(key for key in found if found[key] != wanted.get(key))
    if different:
        listed = "; ".join(f"{key}: {found[key]!r} there, {wanted.get(key)!r} now" for key in different[:4])
        raise InputError(
            f"{path} was written with other settings ({listed}); give another output_dir or remove it to start over"
        )
