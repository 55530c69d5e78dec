"""A run's output folder: its configuration, its results and the checkpoint to resume from."""

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
"""Key in `run.json` for the images used from the dataset; not compared, because the fingerprints are."""

OWN_FILES = (IDENTITY_FILE,)
"""Files and folders by which a run's folder is recognised."""

MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json", "preprocessor_config.json")
"""Files of the finished, loadable model; optimiser states, logs and `training_args.bin` (a pickle) are left out."""

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")
DECISIVE_TRAINING_ARGUMENTS = (*DECISIVE, "world_size")
"""Training arguments that affect the weights; others (logging, workers, folders) may change when a run is resumed."""


def training_identity(arguments: TrainingArguments) -> dict[str, Any]:
    """Return the training arguments that affect the weights, as JSON values."""
    values = {**arguments.to_dict(), "world_size": arguments.world_size}
    return {name: values[name] for name in DECISIVE_TRAINING_ARGUMENTS}


def bind_run_folder(folder: Path, identity: dict[str, Any], taken: dict[str, Any] | None = None) -> None:
    """Assign the folder to this configuration, or check that it already belongs to it.

    Args:
        taken: record of the images used, which is stored but not compared.

    Raises:
        InputError: the folder belongs to another configuration (names the differences), or holds other files.
    """
    path = folder / IDENTITY_FILE
    wanted = json.loads(json.dumps({**identity, TAKEN: taken}))
    is_empty = all(item == path or item.name.startswith(".") for item in folder.iterdir())
    if not path.exists() or is_empty:  # a run that failed before its first checkpoint may be replaced
        require_output_folder(folder, OWN_FILES)
        write_json(path, wanted)
        return
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        different = sorted(key for key in (wanted | found).keys() - {TAKEN} if wanted.get(key) != found.get(key))
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path} can't be read as a run's configuration ({error}); give another --output_dir, or remove the "
            "folder to start over"
        ) from error
    if different:
        listed = "; ".join(f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in different[:4])
        raise InputError(
            f"output_dir {str(folder)!r} holds a run with another configuration ({listed}); give another "
            "--output_dir, or remove it to start over"
        )


def finished_results(folder: Path) -> dict[str, Any] | None:
    """Read the results of a finished run; None if it is not finished.

    Raises:
        InputError: the weights or another file of a finished run are missing or have changed.
    """
    path = folder / RESULTS_FILE
    if not path.exists():
        return None
    wrong = damage(folder)
    if wrong is not None:
        raise InputError(
            f"output_dir {str(folder)!r} holds a finished run that was modified: {wrong}; restore the file, or remove "
            f"{RESULTS_FILE} to finish the run again from its last checkpoint, or from the start if it has none"
        )
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_results(folder: Path, results: dict[str, Any], predictions: "pd.DataFrame | None") -> None:
    """Write a run's results and predictions, then the checksums of these and of the model."""
    with replace_files(folder) as unfinished:
        if predictions is not None:
            predictions.to_parquet(unfinished / PREDICTIONS_FILE, index=False)
        write_json(unfinished / RESULTS_FILE, results)
        model = {path.name: path for pattern in MODEL_FILES for path in sorted(folder.glob(pattern))}
        settings = {IDENTITY_FILE: folder / IDENTITY_FILE}
        write_checksums(unfinished, settings | model | files_below(unfinished))


def checkpoints_of(folder: Path) -> list[Path]:
    """Return a run's checkpoints, newest first."""
    found = {int(match[1]): path for path in folder.iterdir() if (match := _CHECKPOINT.fullmatch(path.name))}
    return [found[step] for step in sorted(found, reverse=True)]


def last_good_checkpoint(folder: Path, wants_best: bool, is_resumable: bool = True) -> Path | None:
    """Find the newest checkpoint from which the run can end exactly as an uninterrupted one would.

    It must be complete and undamaged. Newer checkpoints are removed with a warning, so that neither the next
    resumption nor the Trainer's checkpoint limit counts them as valid.

    Args:
        wants_best: whether the run ends with its best checkpoint, which must then be undamaged too.
        is_resumable: False if checkpoints hold weights without the optimiser state.
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
        logger.warning("%s is unusable and has been removed: %s", checkpoint, wrong)
        shutil.rmtree(checkpoint)
    if checkpoints:
        logger.warning("%s has no checkpoint left to resume from; training starts over", folder)
    return None


def check_resumption(asked: bool | str | None, folder: Path, checkpoint: Path | None) -> None:
    """Raise InputError if `resume_from_checkpoint` contradicts the automatic choice.

    Args:
        asked: None, whether to resume, or a checkpoint folder.
        checkpoint: the checkpoint that the run in `folder` resumes from.
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
        known = f"which resumes from {checkpoint}" if checkpoint is not None else "which has none"
        raise InputError(
            f"resume_from_checkpoint {asked!r} is not the last complete checkpoint of the run in {str(folder)!r}, "
            f"{known}; to start from the weights of another run, give them as --model_name_or_path"
        )


def best_checkpoint(checkpoint: Path) -> Path | None:
    """Return the best checkpoint at the time this one was written; None if there was none yet.

    The path recorded by the Trainer may be relative to another folder, or outdated because the run's folder was moved.
    """
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    recorded = state["best_model_checkpoint"]
    return None if recorded is None else checkpoint.parent / Path(recorded).name


def require_disk_space(folder: Path, num_parameters: int, checkpoints: int) -> None:
    """Raise DiskFullError if the checkpoints (weights and two moments each, float32) would not fit on the disk."""
    existing = next(parent for parent in (folder, *folder.resolve().parents) if parent.exists())
    needed = num_parameters * 4 * 3 * checkpoints
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise DiskFullError(
            f"output_dir {str(folder)!r} needs about {needed / 1e9:.2f} GB for {checkpoints} checkpoints, but the "
            f"disk has only {free / 1e9:.2f} GB free; free some space, lower --save_total_limit or give another "
            "--output_dir"
        )
