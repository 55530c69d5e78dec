"""Plan the number of pretraining epochs from a time budget, once per run; resumed runs keep the plan."""

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
"""Share of the time planned for training; the rest is reserved for reading images, monitoring and checkpoints."""


def seconds_per_step(state: TrainingState) -> float:
    """Return the median time of a few steps, which modify `state`."""
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
    """Return the number of epochs that fit into a time budget, by timing a few steps that are then discarded.

    The number is stored in `output_dir/plan.json` and read from there later, so that a resumed run keeps its schedule.
    The main process decides for all processes.

    Raises:
        InputError: not even one epoch fits, or an existing plan was made for another budget or can't be read.
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
        logger.info("%d epochs fit into %g minutes (%.3f s per step)", epochs, target_minutes, seconds)
    return epochs


def _read_plan(path: Path, target_minutes: float) -> int | None:
    """Return the number of epochs planned before; None if there is no plan."""
    if not path.exists():
        return None
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        minutes, epochs = float(plan["target_minutes"]), int(plan["num_train_epochs"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} can't be read as a plan ({error}); remove it to plan anew") from error
    if minutes != target_minutes:
        raise InputError(
            f"target_minutes is {target_minutes:g}, but {path} was planned for {minutes:g} minutes ({epochs} epochs); "
            "keep that, or give another output_dir"
        )
    return epochs
