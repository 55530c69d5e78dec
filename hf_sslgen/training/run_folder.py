"""A run's output folder: which configuration it belongs to, and from where it can go on."""

import functools
import json
import logging
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME

from hf_sslgen.checksums import damage, files_below, write_checksums
from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.files import replace_files, write_json
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.training.trainer_options import DECISIVE

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

IDENTITY_FILE = "run.json"
RESULTS_FILE = "results.json"
PREDICTIONS_FILE = "predictions.parquet"
TAKEN = "taken"
"""Key in `run.json` of what was taken of the data set; not compared, because fingerprints are."""

OWN_FILES = (IDENTITY_FILE,)
"""Files and folders of which a run's folder has some."""

MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "preprocessor_config.json")
"""The finished model, as it loads; optimiser states, logs and `training_args.bin` (a pickle) are no part of it."""

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
DECISIVE_TRAINING_ARGUMENTS = (*DECISIVE, "world_size")
"""Training arguments that change the weights; the rest (logging, workers, folders) may differ between resumptions."""


def training_identity(arguments: TrainingArguments) -> dict[str, Any]:
    """The decisive training arguments as JSON values."""
    values = {**arguments.to_dict(), "world_size": arguments.world_size}
    return {name: values[name] for name in DECISIVE_TRAINING_ARGUMENTS}


def bind_run_folder(folder: Path, identity: dict[str, Any], taken: dict[str, Any] | None = None) -> None:
    """Make the folder this configuration's, or check that it already is.

    Args:
        taken: what of the data set was taken, which the folder keeps and does not compare.

    Raises:
        InputError: the folder belongs to another configuration (names what differs), or holds other files.
    """
    path = folder / IDENTITY_FILE
    wanted = json.loads(json.dumps({**identity, TAKEN: taken}))
    is_empty = all(item == path or item.name.startswith(".") for item in folder.iterdir())
    if not path.exists() or is_empty:  # a run that failed before its first checkpoint binds nobody
        require_output_folder(folder, OWN_FILES)
        write_json(path, wanted)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        different = sorted(key for key in (wanted | found).keys() - {TAKEN} if wanted.get(key) != found.get(key))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} can't be read as a run's configuration ({error}); give another --output_dir, or remove the "
            "folder to start anew"
        ) from error
    if different:
        listed = "; ".join(f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in different[:4])
        raise InputError(
            f"output_dir {str(folder)!r} holds a run of another configuration ({listed}); give another "
            "--output_dir, or remove it to start anew"
        )


def finished_results(folder: Path) -> dict[str, Any] | None:
    """The results of a finished run, or None where it is not finished.

    Raises:
        InputError: the weights or another file of a finished run are missing or not as they were.
    """
    path = folder / RESULTS_FILE
    if not path.exists():
        return None
    wrong = damage(folder)
    if wrong is not None:
        raise InputError(
            f"output_dir {str(folder)!r} holds a finished run that has changed: {wrong}; restore the file, or "
            f"remove {RESULTS_FILE} to finish it again from its last checkpoint, or from the start if it has none"
        )
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_results(folder: Path, results: dict[str, Any], predictions: "pd.DataFrame | None") -> None:
    """Write what a run ends with: results, predictions, and the checksums of these and of the model beside them."""
    with replace_files(folder) as unfinished:
        if predictions is not None:
            predictions.to_parquet(unfinished / PREDICTIONS_FILE, index=False)
        write_json(unfinished / RESULTS_FILE, results)
        model = {path.name: path for pattern in MODEL_FILES for path in sorted(folder.glob(pattern))}
        settings = {IDENTITY_FILE: folder / IDENTITY_FILE}
        write_checksums(unfinished, settings | model | files_below(unfinished))


def checkpoints_of(folder: Path) -> list[Path]:
    """A run's checkpoints, the newest first."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
    return [found[step] for step in sorted(found, reverse=True)]


def last_good_checkpoint(folder: Path, wants_best: bool, is_resumable: bool = True) -> Path | None:
    """The newest checkpoint that is complete, undamaged and able to end as an uninterrupted run would.

    Newer ones are removed and named, so that neither the next interruption nor the Trainer's count of checkpoints
    takes them for good ones.

    Args:
        wants_best: whether the run ends with its best checkpoint, so that this has to be undamaged too.
        is_resumable: False where checkpoints hold weights without their optimiser.
    """
    damage_of = functools.cache(damage)

    def reason_against(checkpoint: Path) -> str | None:
        wrong = damage_of(checkpoint) if is_resumable else "it has no optimiser"
        if wrong is None and wants_best and (best := best_checkpoint(checkpoint)) is not None:
            wrong = damage_of(best)
            return None if wrong is None else f"the best checkpoint, {best.name}, can't be used: {wrong}"
        return wrong

    checkpoints = checkpoints_of(folder)
    for checkpoint in checkpoints:
        wrong = reason_against(checkpoint)
        if wrong is None:
            return checkpoint
        logger.warning("%s is removed and not used: %s", checkpoint, wrong)
        shutil.rmtree(checkpoint)
    if checkpoints:
        logger.warning("%s has no checkpoint left to go on from; training starts from the beginning", folder)
    return None


def check_resumption(asked: bool | str | None, folder: Path, checkpoint: Path | None) -> None:
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
    if checkpoint is None or Path(asked).resolve() != checkpoint.resolve():
        known = f"which goes on from {checkpoint}" if checkpoint is not None else "which has none"
        raise InputError(
            f"resume_from_checkpoint {asked!r} is not the last complete checkpoint of the run in {str(folder)!r}, "
            f"{known}; to start from the weights of another run, give them as --model_name_or_path"
        )


def best_checkpoint(checkpoint: Path) -> Path | None:
    """The best checkpoint by the time that this one was written; None where there was none yet.

    The Trainer records a path that may be relative to another folder, or from before the run's folder was moved.
    """
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    recorded = state["best_model_checkpoint"]
    return None if recorded is None else checkpoint.parent / Path(recorded).name


def require_disk_space(folder: Path, num_parameters: int, checkpoints: int) -> None:
    """Raise DiskFullError where the checkpoints (weights and two moments each, float32) would not fit on the disk."""
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    needed = num_parameters * 4 * 3 * checkpoints
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DiskFullError(
            f"output_dir {str(folder)!r} needs about {needed / 1e9:.2f} GB for {checkpoints} checkpoints, but the "
            f"disk has {free / 1e9:.2f} GB left; free some, lower --save_total_limit or give another --output_dir"
        )
