"""Planning how long to pretrain from the time there is: once, and then kept for as long as the run is continued."""

import json
import logging
import statistics
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from hf_sslgen.errors import InputError
from hf_sslgen.files import write_json
from hf_sslgen.training.augmentation import ViewMaker
from hf_sslgen.training.pretraining.pretraining_loop import train_step
from hf_sslgen.training.pretraining.pretraining_state import Images, PretrainingSettings, TrainingState, begin_training

logger = logging.getLogger(__name__)

PLAN_FILE = "plan.json"
TIMED_STEPS = 8
TRAINING_SHARE = 0.9
"""Of the time; the rest is kept for reading the images, the monitor and checkpoints."""


def seconds_per_step(state: TrainingState) -> float:
    """The median time of a few steps, which change `state`."""
    device = state.accelerator.device
    make_views = ViewMaker(state.settings.seed, state.accelerator.process_index, device, state.settings.view_size)
    durations = []
    for _, (batch, labels) in zip(range(TIMED_STEPS), state.loader, strict=False):
        started = time.perf_counter()
        train_step(state, make_views, batch, labels)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        durations.append(time.perf_counter() - started)
    return statistics.median(durations)


def planned_epochs(
    images: Images,
    num_images: int,
    num_classes: int,
    settings: PretrainingSettings,
    target_minutes: float,
    output_dir: Path,
) -> int:
    """The epochs that fit into a time, by timing a few steps that are then forgotten.

    The number is kept in `output_dir/plan.json` and read from there the next time, so that a continued run keeps its
    schedule. The main process decides for all.

    Raises:
        InputError: not even one epoch fits, or the plan that is there was made for another time or can't be read.
    """
    path = output_dir / PLAN_FILE
    is_main_process = Accelerator(mixed_precision=settings.mixed_precision).is_main_process
    found = _read_plan(path, target_minutes) if is_main_process else None
    (epochs,) = broadcast_object_list([found])
    if epochs is not None:
        return int(epochs)
    state = begin_training(images, num_images, num_classes, settings)
    (seconds,) = broadcast_object_list([seconds_per_step(state)])
    seconds_per_epoch = seconds * state.steps_per_epoch
    epochs = int(TRAINING_SHARE * 60 * target_minutes / seconds_per_epoch)
    if epochs < 1:
        raise InputError(
            f"target_minutes {target_minutes:g} is too short for one epoch of {num_images} images, which takes about "
            f"{seconds_per_epoch / 60 / TRAINING_SHARE:.2g} minutes here; raise it or train on fewer images"
        )
    if is_main_process:
        plan = {
            "target_minutes": target_minutes,
            "seconds_per_step": round(seconds, 4),
            "steps_per_epoch": state.steps_per_epoch,
            "num_train_epochs": epochs,
        }
        write_json(path, plan)
        logger.info("%d epochs fit into %g minutes (%.3f s a step)", epochs, target_minutes, seconds)
    return epochs


def _read_plan(path: Path, target_minutes: float) -> int | None:
    """The epochs planned before, or None where nothing was."""
    if not path.exists():
        return None
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        minutes, epochs = float(plan["target_minutes"]), int(plan["num_train_epochs"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} can't be read as a plan ({error}); remove it to plan anew") from error
    if minutes != target_minutes:
        raise InputError(
            f"target_minutes {target_minutes:g} is not what {path} was planned for ({minutes:g} minutes, {epochs} "
            "epochs); keep that, or give another output_dir"
        )
    return epochs
