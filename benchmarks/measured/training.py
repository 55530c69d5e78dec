"""Ways to fine-tune one network on one folder of pictures, each timed over the steps after its first."""

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, RandomResizedCrop, ToTensor
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.preprocessing import normalise
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.picture_cache import DecodedPictures, PictureSpace
from hf_sslgen.training.random_crop import Augmentation
from hf_sslgen.training.samples import EpochOrder, TrainingSamples, collate
from hf_sslgen.training.trainer_setup import build_trainer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from measured.measuring import peak_resident, resident, settle_memory
from measured.workloads import DTYPES, NUM_CLASSES, Workload, loaded, pictures

RECIPE, FIRST_EPOCH, BARE = "recipe", "recipe, decoding", "bare loop"
SYNTHETIC, EXAMPLE = "synthetic tensors", "transformers' example"
JPEG_SIDE = 400
"""Side in pixels of the pictures for inputs of 224 pixels; smaller inputs get pictures of their own size."""

LEARNING_RATE, LARGEST_NORM = 1e-4, 1.0
Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class Task:
    """What all contenders do.

    Attributes:
        folder: pictures in imagefolder layout.
        steps: steps of a run; the first is not timed.
        clock: `cpu` counts the process's own time, which other processes on the machine disturb less.
    """

    workload: Workload
    precision: str
    device: torch.device
    folder: Path
    batch_size: int
    steps: int
    clock: Clock

    @property
    def on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() if self.clock == "wall" else time.process_time()


def write_pictures(folder: Path, count: int, side: int) -> None:
    """Write JPEG files in imagefolder layout: `count` for training, one of each class for validation and test."""
    files = pictures(count, side if side < JPEG_SIDE / 2 else JPEG_SIDE).permute(0, 2, 3, 1).numpy()
    for split, number in (("train", count), ("validation", NUM_CLASSES), ("test", NUM_CLASSES)):
        for index in range(number):
            path = folder / split / f"class {index % NUM_CLASSES:03d}" / f"{index:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(files[index % count]).save(path, quality=90)


class StepTimer(TrainerCallback):
    """Times the Trainer's steps after the first."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.seconds = 0.0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == 1:
            self.seconds = -self.task.now()
        if state.global_step == self.task.steps:
            self.seconds += self.task.now()


class Contenders:
    """The contenders on one task; they train the same network on."""

    def __init__(self, task: Task, scratch: Path) -> None:
        self.task, self.scratch = task, scratch
        self.backbone: LoadedBackbone = loaded(task.workload)
        self.domain: Domain = load_domain(DomainArguments(str(task.folder)))
        self.kept = self._empty_cache()

    def calls(self) -> dict[str, Callable[[], float]]:
        """Return the contenders; a call returns the seconds of `steps` - 1 steps."""
        return {
            RECIPE: lambda: self.recipe(self.kept),
            FIRST_EPOCH: lambda: self.recipe(self._empty_cache()),
            BARE: self.bare,
            SYNTHETIC: self.synthetic,
            EXAMPLE: self.example,
        }

    def _empty_cache(self) -> DecodedPictures:
        return DecodedPictures(PictureSpace.beside(self.scratch, 1, None), self.scratch)

    def _arguments(self) -> FineTuningArguments:
        task = self.task
        return FineTuningArguments(
            str(self.scratch / "recipe"),
            per_device_train_batch_size=task.batch_size,
            max_steps=task.steps,
            learning_rate=LEARNING_RATE,
            weight_decay=0.0,
            max_grad_norm=LARGEST_NORM,
            eval_strategy="no",
            save_strategy="no",
            load_best_model_at_end=False,
            use_cpu=task.on_cpu,
            bf16=task.precision == "bf16",
            disable_tqdm=True,
            log_level="error",
        )

    def recipe(self, kept: DecodedPictures) -> float:
        """Train as the fine-tuning recipe does."""
        model_arguments = ModelArguments(self.task.workload.name)
        trainer = build_trainer(self.backbone, self.domain, model_arguments, self._arguments(), pictures=kept)
        return _timed(trainer, self.task)

    def bare(self) -> float:
        """Train in a plain loop on the recipe's samples, in its order, from its cache of decoded pictures."""
        assert isinstance(self.domain.train, ImageSplit)
        arguments = self._arguments()
        model_arguments = ModelArguments(self.task.workload.name)
        augmentation = Augmentation(model_arguments.minimum_crop_area, model_arguments.horizontal_flip)
        geometry, decoded = self.backbone.preprocessing.geometry, self.kept.of(self.domain.train)
        samples = TrainingSamples(self.domain.train, geometry, augmentation, arguments.seed, decoded)
        order = EpochOrder(len(samples), arguments.seed)
        workers = arguments.dataloader_num_workers
        loader = DataLoader(
            samples,
            self.task.batch_size,
            sampler=order,
            collate_fn=collate,
            num_workers=workers,
            pin_memory=not self.task.on_cpu,
            persistent_workers=workers > 0,
            multiprocessing_context="fork" if workers else None,  # a spawned process would spawn its workers
        )

        def batches() -> Iterator[tuple[Tensor, Tensor]]:
            for epoch in itertools.count():
                order.set_epoch(epoch)
                for batch in loader:
                    pixels = batch["pixel_values"].to(self.task.device, non_blocking=True)
                    labels = batch["labels"].to(self.task.device, non_blocking=True)
                    pixels = pixels.contiguous(memory_format=self._layout())
                    yield normalise(pixels, self.backbone.preprocessing), labels

        return self._loop(batches())

    def synthetic(self) -> float:
        """Train in the same loop on one batch of noise that is on the device."""
        side = self.backbone.preprocessing.geometry.image_size
        noise = torch.randn(self.task.batch_size, 3, side, side, device=self.task.device)
        labels = torch.arange(self.task.batch_size, device=self.task.device) % NUM_CLASSES
        return self._loop(itertools.repeat((noise.contiguous(memory_format=self._layout()), labels)))

    def _layout(self) -> torch.memory_format:
        """Return the layout in which the network trains fastest, as the recipe chooses it."""
        is_fast = self.task.on_cpu or self.task.precision != "fp32"
        return torch.channels_last if is_fast and self.task.workload.channels_last else torch.contiguous_format

    def _loop(self, batches: Iterator[tuple[Tensor, Tensor]]) -> float:
        task, model = self.task, self.backbone.model
        torch.nn.Module.to(torch.nn.Module.to(model, task.device), memory_format=self._layout()).train()
        optimiser = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, task.steps)
        seconds = 0.0
        for step, (pixels, labels) in enumerate(itertools.islice(batches, task.steps), start=1):
            with torch.autocast(task.device.type, DTYPES[task.precision], enabled=task.precision != "fp32"):
                logits = model(pixel_values=pixels).logits
                loss = F.cross_entropy(logits.float(), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
            optimiser.step()
            schedule.step()
            optimiser.zero_grad()
            if step == 1:
                seconds = -task.now()
        return seconds + task.now()

    def example(self) -> float:
        """Train as transformers' example of image classification: transforms for each image, the default Trainer."""
        from datasets import load_dataset

        task, preprocessing = self.task, self.backbone.preprocessing
        transform = Compose(
            [
                RandomResizedCrop(preprocessing.geometry.image_size),
                RandomHorizontalFlip(),
                ToTensor(),
                Normalize(preprocessing.mean, preprocessing.std),
            ]
        )

        def transformed(rows: dict[str, Any]) -> dict[str, Any]:
            rows["pixel_values"] = [transform(image.convert("RGB")) for image in rows["image"]]
            return rows

        def stacked(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
            pixels = torch.stack([row["pixel_values"] for row in rows])
            return {"pixel_values": pixels, "labels": torch.tensor([row["label"] for row in rows])}

        dataset = load_dataset("imagefolder", data_dir=str(task.folder), split="train")
        dataset.set_transform(transformed)
        arguments = TrainingArguments(
            str(self.scratch / "example"),
            per_device_train_batch_size=task.batch_size,
            max_steps=task.steps,
            learning_rate=LEARNING_RATE,
            remove_unused_columns=False,
            save_strategy="no",
            use_cpu=task.on_cpu,
            bf16=task.precision == "bf16",
            report_to="none",
            disable_tqdm=True,
            log_level="error",
        )
        model = torch.nn.Module.to(self.backbone.model, memory_format=torch.contiguous_format)
        return _timed(Trainer(model=model, args=arguments, data_collator=stacked, train_dataset=dataset), task)


def _timed(trainer: Trainer, task: Task) -> float:
    timer = StepTimer(task)
    trainer.add_callback(timer)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return timer.seconds


def growth_of_peak(contender: str, task: Task, scratch: Path, num_threads: int) -> float:
    """Return the growth in bytes of peak resident memory in training over that with network and data set loaded."""
    torch.set_num_threads(num_threads)
    call = Contenders(task, scratch).calls()[contender]
    settle_memory()
    before = resident()
    call()
    return peak_resident() - before
