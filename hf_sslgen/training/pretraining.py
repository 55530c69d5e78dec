"""Pretraining of twins: one Accelerate loop in which only the objective differs.

The initial trunk, the order of the images, the first view of each image, the optimiser and its schedule depend on the
seed alone, so twins trained with the same arguments see the same pixels at the same step. All randomness is derived
from (seed, epoch, step), never from generator state, so training interrupted after an epoch goes on as if it had not
been.
"""

import json
import logging
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm.auto import tqdm

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file, write_json
from hf_sslgen.randomness import derive_seed
from hf_sslgen.training.augmentation import AugmentationPolicy, random_view
from hf_sslgen.training.objectives import build_objective
from hf_sslgen.training.samples import EpochOrder

logger = logging.getLogger(__name__)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class PretrainingSettings:
    """Everything the weights depend on, besides the images."""

    objective: str
    architecture: str = "resnet18"
    architecture_arguments: dict[str, Any] = field(default_factory=dict)
    image_size: int = 64
    num_train_epochs: int = 10
    per_device_train_batch_size: int = 256
    learning_rate: float = 0.2
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup_epochs: float = 1.0
    temperature: float = 0.2
    seed: int = 0
    mixed_precision: str = "no"


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


class ViewMaker:
    """Normalised random views of a batch, decided by (seed, epoch, step, view, process)."""

    def __init__(self, settings: PretrainingSettings, accelerator: Accelerator) -> None:
        self.seed = settings.seed
        self.process_index = accelerator.process_index
        self.policy = AugmentationPolicy()
        self.generator = torch.Generator(device=accelerator.device)
        self.mean = torch.tensor(IMAGENET_MEAN, device=accelerator.device)[:, None, None]
        self.std = torch.tensor(IMAGENET_STD, device=accelerator.device)[:, None, None]

    def __call__(self, images: Tensor, views: int, epoch: int, step: int) -> Tensor:
        """`views` views of (B, 3, H, W) bytes, stacked to (views * B, 3, H, W) floats."""
        pixels = images.float() / 255
        made = []
        for view in range(views):
            self.generator.manual_seed(derive_seed(self.seed, "view", epoch, step, view, self.process_index))
            made.append((random_view(pixels, self.policy, self.generator) - self.mean) / self.std)
        return torch.cat(made).contiguous(memory_format=torch.channels_last)


def _load_checkpoint(path: Path, settings: PretrainingSettings) -> dict[str, Any] | None:
    if not path.exists():
        return None
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    found, wanted = checkpoint["settings"], json.loads(json.dumps(asdict(settings)))
    if found != wanted:
        different = ", ".join(sorted(key for key in wanted if found.get(key) != wanted[key]))
        raise InputError(
            f"{path} was written with other settings ({different}); give another output_dir or remove it to start anew"
        )
    return checkpoint


def pretrain(
    images: Dataset[tuple[Tensor, int]],
    num_images: int,
    num_classes: int,
    settings: PretrainingSettings,
    output_dir: Path,
    dataloader_num_workers: int = 0,
) -> nn.Module:
    """Train a trunk and return it on the CPU, resuming from `output_dir` where it holds an earlier epoch's state.

    Args:
        images: yields ((3, image_size, image_size) bytes, label) for a key (epoch, position).
        num_images: length of `images`.
        output_dir: receives `checkpoint.pt` after every epoch and `log.json`, the loss and rate of each epoch.

    Raises:
        InputError: unknown objective, a batch larger than the data, a checkpoint of other settings, or a loss that is
            no longer finite (names the step).
    """
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    trunk = build_trunk(settings).to(memory_format=torch.channels_last)
    torch.manual_seed(derive_seed(settings.seed, "objective"))
    objective = build_objective(
        settings.objective, trunk.num_features, num_classes, settings.temperature, accelerator.num_processes > 1
    )
    model = nn.ModuleDict({"trunk": trunk, "objective": objective})
    num_views = objective.views
    optimizer = torch.optim.SGD(
        model.parameters(),
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
    trunk, objective, optimizer, loader = accelerator.prepare(trunk, objective, optimizer, loader)
    steps_per_epoch = len(loader)
    if steps_per_epoch == 0:
        raise InputError(
            f"per_device_train_batch_size {settings.per_device_train_batch_size} is larger than the data: "
            f"{num_images} images in {accelerator.num_processes} process(es)"
        )
    total_steps = steps_per_epoch * settings.num_train_epochs
    warmup_steps = round(steps_per_epoch * settings.warmup_epochs)
    checkpoint_path = output_dir / "checkpoint.pt"
    log: list[dict[str, float]] = []
    checkpoint = _load_checkpoint(checkpoint_path, settings)
    if checkpoint is not None:
        model.load_state_dict(checkpoint["model"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        log = checkpoint["log"]
        logger.info("resuming %s after epoch %d", output_dir, len(log))
    make_views = ViewMaker(settings, accelerator)
    trunk.train()
    for epoch in range(len(log), settings.num_train_epochs):
        loader.set_epoch(epoch)  # also sets the order's epoch; the loader would put it back to its own count
        started, losses = time.perf_counter(), []
        progress = tqdm(
            loader, desc=f"epoch {epoch + 1}", disable=None if accelerator.is_local_main_process else True, leave=False
        )
        for step, (batch, labels) in enumerate(progress):
            rate = settings.learning_rate * learning_rate_factor(
                epoch * steps_per_epoch + step, total_steps, warmup_steps
            )
            for group in optimizer.param_groups:
                group["lr"] = rate
            views = make_views(batch, num_views, epoch, step)
            with accelerator.autocast():
                features = trunk(views)
                loss = objective(list(features.chunk(num_views)), labels)
            if not torch.isfinite(loss):
                raise InputError(
                    f"the loss became {loss.item()} at step {epoch * steps_per_epoch + step} "
                    f"(learning rate {rate:g}); a lower learning_rate or longer warmup_epochs would help"
                )
            accelerator.backward(loss)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.detach())
        seconds = time.perf_counter() - started
        log.append({"epoch": epoch + 1, "loss": torch.stack(losses).mean().item(), "seconds": seconds})
        logger.info("epoch %d: loss %.4f, %.0f s", epoch + 1, log[-1]["loss"], seconds)
        if accelerator.is_main_process:
            with replace_file(checkpoint_path) as unfinished:
                torch.save(
                    {
                        "settings": json.loads(json.dumps(asdict(settings))),
                        "model": model.state_dict(),
                        "optimizer": optimizer.state_dict(),
                        "log": log,
                    },
                    unfinished,
                )
            write_json(output_dir / "log.json", log)
        accelerator.wait_for_everyone()
    return accelerator.unwrap_model(trunk).cpu().eval()
