"""Pretrain twins in one Accelerate loop in which only the objective differs.

The initial trunk, the order of the images, the first view of each image, the optimiser and its schedule depend only on
the seed, so twins trained with the same arguments see the same pixels at the same step. All randomness is derived from
(seed, epoch, step), never from generator state, so a resumed run behaves as if it had not been interrupted.
"""

import logging
import math
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from tqdm.auto import tqdm

from hf_sslgen.errors import DivergedError
from hf_sslgen.interruption import InterruptedByRequestError, Request, deferred_interrupts
from hf_sslgen.training.augmentation import ViewMaker
from hf_sslgen.training.pretraining.pretraining_checkpoint import (
    load_checkpoint,
    remove_unfinished,
    save_checkpoint,
    write_log,
)
from hf_sslgen.training.pretraining.pretraining_state import (
    Images,
    Monitor,
    PretrainingSettings,
    TrainingState,
    begin_training,
)
from hf_sslgen.training.tracked_runs import TrackedRun

logger = logging.getLogger(__name__)


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int) -> float:
    """Return the learning-rate factor: linear warm-up, then a cosine to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def train_step(state: TrainingState, make_views: ViewMaker, batch: Tensor, labels: Tensor) -> None:
    """Perform one optimiser step.

    Raises:
        DivergedError: the loss is no longer finite in some process (names the step).
    """
    settings, accelerator = state.settings, state.accelerator
    warmup_steps = round(state.steps_per_epoch * settings.warmup_epochs)
    rate = settings.learning_rate * learning_rate_factor(state.steps, state.total_steps, warmup_steps)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    views = make_views(batch, state.num_views, len(state.log), state.steps_of_epoch)
    with accelerator.autocast():
        features = state.trunk(views)
        loss = state.objective(list(features.chunk(state.num_views)), list(views.chunk(state.num_views)), labels)
    loss_of_all: Any = accelerator.reduce(loss.detach(), "mean")
    if not torch.isfinite(loss_of_all):
        raise DivergedError(
            f"the loss became {loss_of_all.item()} at step {state.steps} "
            f"(learning rate {rate:g}); a lower learning_rate or longer warmup_epochs would help"
        )
    accelerator.backward(loss)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.losses_of_epoch.append(loss_of_all)
    state.steps_of_epoch += 1
    state.modules.objective.after_step(state.modules.trunk, state.steps / state.total_steps)


def batches_of_epoch(state: TrainingState) -> Any:
    """Iterate over the epoch's remaining batches with a progress bar."""
    settings, accelerator = state.settings, state.accelerator
    epoch = len(state.log)
    state.order.start = state.steps_of_epoch * settings.per_device_train_batch_size * accelerator.num_processes
    state.loader.set_epoch(epoch)  # also sets the sampler's epoch, which the loader would reset to its own count
    return tqdm(
        state.loader,
        desc=f"epoch {epoch + 1} of {settings.num_train_epochs}",
        total=state.steps_per_epoch,
        initial=state.steps_of_epoch,
        disable=None if accelerator.is_local_main_process else True,
        leave=False,
    )


def _end_epoch(state: TrainingState, monitor: Monitor | None, monitor_epochs: int, tracked: TrackedRun | None) -> None:
    """Write the epoch's log row: its loss, its duration and, every few epochs, the monitor's value."""
    epoch = len(state.log) + 1
    loss = torch.stack([each.float().cpu() for each in state.losses_of_epoch]).mean().item()
    row = {"epoch": epoch, "loss": loss, "seconds": round(state.seconds_of_epoch, 2)}
    due = monitor_epochs > 0 and (epoch % monitor_epochs == 0 or epoch == state.settings.num_train_epochs)
    if monitor is not None and due and state.accelerator.is_main_process:
        trunk = state.modules.trunk.eval()
        row["knn_accuracy"] = monitor(trunk)
        trunk.train()
    state.log.append(row)
    state.steps_of_epoch, state.losses_of_epoch, state.seconds_of_epoch = 0, [], 0.0
    if state.accelerator.is_main_process:
        logger.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in row.items()))
        if tracked is not None:
            rate = state.optimizer.param_groups[0]["lr"]
            tracked.log({f"train/{name}": value for name, value in {**row, "learning_rate": rate}.items()}, epoch)


def requested_signal(accelerator: Accelerator, request: Request) -> int | None:
    """Return the signal by which any process was asked to end; all processes get the same answer."""
    if accelerator.num_processes == 1:
        return request.signal_number  # without waiting for the device
    number: Any = accelerator.reduce(torch.tensor(request.signal_number or 0, device=accelerator.device), "max")
    return int(number) or None


def pretrain(
    images: Images,
    num_images: int,
    num_classes: int,
    settings: PretrainingSettings,
    output_dir: Path,
    dataloader_num_workers: int = 0,
    monitor: Monitor | None = None,
    monitor_epochs: int = 0,
    save_minutes: float = 5.0,
    tracked: TrackedRun | None = None,
) -> nn.Module:
    """Train a trunk and return it on the CPU, resuming from the checkpoint in `output_dir` if there is one.

    After SIGTERM or Ctrl-C the current step is finished and saved. Several processes agree on the step; all of them
    must see `output_dir`.

    Args:
        images: yields ((3, image_size, image_size) bytes, label) for a key (epoch, position).
        num_images: length of `images`.
        output_dir: receives `checkpoint.pt` (after every epoch, every `save_minutes`, and on interruption) and
            `log.json`, a row per epoch.
        monitor: called in the main process with the trunk in evaluation mode, every `monitor_epochs` epochs (0: never)
            and after the last one; its value is logged as `knn_accuracy`. It must not change the trunk.
        tracked: takes each epoch's row in the main process, with the epoch as the step.

    Raises:
        InputError: the objective is unknown, a batch is larger than the data, or the checkpoint has other settings.
        DivergedError: the loss is no longer finite (names the step).
        InterruptedByRequestError: a signal arrived; the state has been saved.
    """
    state = begin_training(images, num_images, num_classes, settings, dataloader_num_workers)
    accelerator = state.accelerator
    if load_checkpoint(output_dir, state) and accelerator.is_main_process:
        logger.info("resuming %s after %d of %d steps", output_dir, state.steps, state.total_steps)
        write_log(output_dir, state)  # the run may have been interrupted between checkpoint and log
    if accelerator.is_main_process:
        remove_unfinished(output_dir)
    make_views = ViewMaker(settings.seed, accelerator.process_index, accelerator.device, settings.view_size)
    saved = time.perf_counter()
    with deferred_interrupts() as request:
        while len(state.log) < settings.num_train_epochs:
            started, seconds_before = time.perf_counter(), state.seconds_of_epoch
            for batch, labels in batches_of_epoch(state):
                train_step(state, make_views, batch, labels)
                state.seconds_of_epoch = seconds_before + time.perf_counter() - started
                signal_number = requested_signal(accelerator, request)
                due = signal_number is not None or time.perf_counter() - saved > 60 * save_minutes
                if due and accelerator.is_main_process:
                    save_checkpoint(output_dir, state)
                    saved = time.perf_counter()
                if signal_number is not None:
                    accelerator.wait_for_everyone()  # a launcher ends all processes once the first has ended
                    raise InterruptedByRequestError(signal_number)
            _end_epoch(state, monitor, monitor_epochs, tracked)
            if accelerator.is_main_process:
                save_checkpoint(output_dir, state)
                saved = time.perf_counter()
            accelerator.wait_for_everyone()
        request.obey()
    return state.modules.trunk.cpu().eval()
