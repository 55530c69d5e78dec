"""Pretraining of twins: one Accelerate loop in which only the objective differs.

The initial trunk, the order of the images, the first view of each image, the optimiser and its schedule depend on the
seed alone, so twins trained with the same arguments see the same pixels at the same step. All randomness is derived
from (seed, epoch, step), never from generator state, so interrupted training goes on as if it had not been.
"""

import contextlib
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from hf_sslgen.errors import InputError
from hf_sslgen.interruption import Request, deferred_interrupts
from hf_sslgen.randomness import derive_seed
from hf_sslgen.training.augmentation import ViewMaker
from hf_sslgen.training.objectives import Objective, build_objective
from hf_sslgen.training.pretraining_checkpoint import load_checkpoint, save_checkpoint
from hf_sslgen.training.samples import EpochOrder

logger = logging.getLogger(__name__)

TIMED_STEPS = 8

Images = Dataset[tuple[Tensor, int]]
Monitor = Callable[[nn.Module], float]


@dataclass(frozen=True)
class PretrainingSettings:
    """Everything the weights depend on, besides the images.

    Attributes:
        image_size: side in pixels of the stored images, which is also what the finished network is given.
        view_size: side of the random views it is trained on; None for `image_size`. Random crops enlarge objects, so
            smaller views show them as large as whole images do later (Touvron et al. 2019, arXiv 1906.06423).
        teacher_momentum: of BYOL's teacher.
    """

    objective: str
    architecture: str = "resnet18"
    architecture_arguments: dict[str, Any] = field(default_factory=dict)
    image_size: int = 64
    view_size: int | None = None
    num_train_epochs: int = 10
    per_device_train_batch_size: int = 256
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_epochs: float = 1.0
    temperature: float = 0.2
    teacher_momentum: float = 0.99
    seed: int = 0
    mixed_precision: str = "no"


class TrunkAndObjective(nn.Module):
    """All that is trained, under the names a checkpoint has."""

    def __init__(self, trunk: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.trunk, self.objective = trunk, objective


@dataclass
class TrainingState:
    """Everything that training changes, and what it needs at hand to do so.

    `trunk` and `objective` are those of `modules` as Accelerate wraps them.
    """

    settings: PretrainingSettings
    accelerator: Accelerator
    modules: TrunkAndObjective
    trunk: nn.Module
    objective: nn.Module
    optimizer: Any
    loader: Any
    order: EpochOrder
    num_views: int
    steps_per_epoch: int
    steps_of_epoch: int = 0
    losses_of_epoch: list[Tensor] = field(default_factory=list)
    seconds_of_epoch: float = 0.0
    log: list[dict[str, float]] = field(default_factory=list)

    @property
    def total_steps(self) -> int:
        return self.steps_per_epoch * self.settings.num_train_epochs

    @property
    def steps(self) -> int:
        """Steps done since the beginning."""
        return len(self.log) * self.steps_per_epoch + self.steps_of_epoch


def learning_rate_factor(step: int, total_steps: int, warmup_steps: int) -> float:
    """Linear warm-up, then a cosine to zero."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


def build_trunk(settings: PretrainingSettings) -> Any:
    """timm's initialisation of the architecture without a head; the same for every objective of a seed."""
    import timm

    torch.manual_seed(derive_seed(settings.seed, "trunk"))
    return timm.create_model(settings.architecture, num_classes=0, **settings.architecture_arguments)


def begin_training(
    images: Images, num_images: int, num_classes: int, settings: PretrainingSettings, dataloader_num_workers: int = 0
) -> TrainingState:
    """Everything as it is before the first step.

    Raises:
        InputError: unknown objective, or a batch larger than the data.
    """
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    trunk = build_trunk(settings).to(memory_format=torch.channels_last)
    torch.manual_seed(derive_seed(settings.seed, "objective"))
    objective = build_objective(
        settings.objective,
        trunk,
        trunk.num_features,
        num_classes,
        settings.temperature,
        settings.teacher_momentum,
        gather_distributed=accelerator.num_processes > 1,
    )
    modules = TrunkAndObjective(trunk, objective)
    optimizer = torch.optim.SGD(
        [parameter for parameter in modules.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    order = EpochOrder(num_images, settings.seed)
    loader = DataLoader(
        images,
        batch_size=settings.per_device_train_batch_size,
        sampler=order,
        drop_last=True,
        num_workers=dataloader_num_workers,
    )
    wrapped_trunk, wrapped_objective, optimizer, loader = accelerator.prepare(trunk, objective, optimizer, loader)
    if len(loader) == 0:
        raise InputError(
            f"per_device_train_batch_size {settings.per_device_train_batch_size} is larger than the data: "
            f"{num_images} images in {accelerator.num_processes} process(es)"
        )
    wrapped_trunk.train()
    return TrainingState(
        settings=settings,
        accelerator=accelerator,
        modules=modules,
        trunk=wrapped_trunk,
        objective=wrapped_objective,
        optimizer=optimizer,
        loader=loader,
        order=order,
        num_views=objective.num_views,
        steps_per_epoch=len(loader),
    )


def train_step(state: TrainingState, make_views: ViewMaker, batch: Tensor, labels: Tensor) -> None:
    """One step of the optimiser.

    Raises:
        InputError: the loss is no longer finite (names the step).
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
    if not torch.isfinite(loss):
        raise InputError(
            f"the loss became {loss.item()} at step {state.steps} "
            f"(learning rate {rate:g}); a lower learning_rate or longer warmup_epochs would help"
        )
    accelerator.backward(loss)
    state.optimizer.step()
    state.optimizer.zero_grad()
    state.losses_of_epoch.append(loss.detach())
    state.steps_of_epoch += 1
    state.modules.objective.after_step(state.modules.trunk, state.steps / state.total_steps)


def batches_of_epoch(state: TrainingState) -> Any:
    """The epoch's batches that were not seen yet, behind a progress bar."""
    settings, accelerator = state.settings, state.accelerator
    epoch = len(state.log)
    state.order.start = state.steps_of_epoch * settings.per_device_train_batch_size * accelerator.num_processes
    state.loader.set_epoch(epoch)  # also sets the order's epoch; the loader would put it back to its own count
    return tqdm(
        state.loader,
        desc=f"epoch {epoch + 1} of {settings.num_train_epochs}",
        total=state.steps_per_epoch,
        initial=state.steps_of_epoch,
        disable=None if accelerator.is_local_main_process else True,
        leave=False,
    )


def _end_epoch(state: TrainingState, monitor: Monitor | None, monitor_epochs: int) -> None:
    """Write the epoch's row of the log: its loss, the time it took and, every few epochs, what the monitor says."""
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
    logger.info("%s", ", ".join(f"{name} {value:.4g}" for name, value in row.items()))


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
) -> nn.Module:
    """Train a trunk and return it on the CPU, going on from where `output_dir` says that training stopped.

    Args:
        images: yields ((3, image_size, image_size) bytes, label) for a key (epoch, position).
        num_images: length of `images`.
        output_dir: receives `checkpoint.pt` (after every epoch, every `save_minutes`, and when SIGTERM or Ctrl-C ends
            a single process) and `log.json`, a row per epoch.
        monitor: called with the trunk in evaluation mode every `monitor_epochs` epochs and after the last one; its
            number goes into the log as `knn_accuracy`. It must not change the trunk.

    Raises:
        InputError: unknown objective, a batch larger than the data, a checkpoint of other settings, or a loss that is
            no longer finite (names the step).
    """
    state = begin_training(images, num_images, num_classes, settings, dataloader_num_workers)
    accelerator = state.accelerator
    if load_checkpoint(output_dir, state):
        logger.info("resuming %s after %d of %d steps", output_dir, state.steps, state.total_steps)
    make_views = ViewMaker(settings.seed, accelerator.process_index, accelerator.device, settings.view_size)
    # Several processes must not stop at different steps, where each would wait for the others: there the launcher ends
    # them at once, and the last checkpoint stands.
    interrupts = deferred_interrupts() if accelerator.num_processes == 1 else contextlib.nullcontext(Request())
    saved = time.perf_counter()
    with interrupts as request:
        while len(state.log) < settings.num_train_epochs:
            started, seconds_before = time.perf_counter(), state.seconds_of_epoch
            for batch, labels in batches_of_epoch(state):
                train_step(state, make_views, batch, labels)
                state.seconds_of_epoch = seconds_before + time.perf_counter() - started
                due = time.perf_counter() - saved > 60 * save_minutes
                if accelerator.is_main_process and (due or request.signal_number is not None):
                    save_checkpoint(output_dir, state)
                    saved = time.perf_counter()
                request.obey()
            _end_epoch(state, monitor, monitor_epochs)
            if accelerator.is_main_process:
                save_checkpoint(output_dir, state)
                saved = time.perf_counter()
            accelerator.wait_for_everyone()
    return state.modules.trunk.cpu().eval()


def epochs_for_budget(
    images: Images, num_images: int, num_classes: int, settings: PretrainingSettings, minutes: float
) -> tuple[int, float]:
    """How many epochs fit into a time, and the seconds a step takes, from timing a few steps that are then forgotten.

    A tenth of the time is kept for reading the images, the monitor and checkpoints.

    Raises:
        InputError: not even one epoch fits.
    """
    state = begin_training(images, num_images, num_classes, settings)
    device = state.accelerator.device
    make_views = ViewMaker(settings.seed, state.accelerator.process_index, device, settings.view_size)
    durations = []
    for (batch, labels), _ in zip(state.loader, range(TIMED_STEPS), strict=False):
        started = time.perf_counter()
        train_step(state, make_views, batch, labels)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        durations.append(time.perf_counter() - started)
    seconds = sorted(durations)[len(durations) // 2]
    epochs = int(0.9 * 60 * minutes / (seconds * state.steps_per_epoch))
    if epochs < 1:
        raise InputError(
            f"target_minutes {minutes:g} is too short for one epoch, which takes about "
            f"{seconds * state.steps_per_epoch / 60:.1f} minutes here; raise it or train on fewer images"
        )
    return epochs, seconds
