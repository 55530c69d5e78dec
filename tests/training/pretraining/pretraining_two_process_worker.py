"""Run by torchrun: pretrain in this process's share of the work and write down what it saw and came to.

torchrun --nproc_per_node 2 pretraining_two_process_worker.py FOLDER
"""

import faulthandler
import json
import os
import signal
import sys
from pathlib import Path

import torch
from accelerate import Accelerator
from pretraining_pieces import NUM_CLASSES, digest, small_images, small_settings
from torch import Tensor
from torch.nn.modules.module import register_module_forward_hook
from torch.utils.data import Dataset

from hf_sslgen.commands.pretrain import main as command
from hf_sslgen.files import write_json
from hf_sslgen.interruption import InterruptedByRequestError
from hf_sslgen.training.pretraining.objectives import SupervisedObjective
from hf_sslgen.training.pretraining.pretraining_budget import planned_epochs
from hf_sslgen.training.pretraining.pretraining_loop import pretrain
from hf_sslgen.training.pretraining.pretraining_state import begin_training
from hf_sslgen.training.samples import SourceImages

STUCK_SECONDS = 120.0
"""A hundred times what an interrupted training takes; processes that wait for each other end then, and say where."""


class Watched(Dataset):
    """Images that write down which ones were read and, when so many were, ask their own process to end."""

    def __init__(self, images: SourceImages, asks_after: int | None) -> None:
        self.images, self.asks_after = images, asks_after
        self.seen: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        self.seen.append(key)
        if len(self.seen) == self.asks_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return self.images[key]


def gathered(name: str, images: SourceImages, projections: Tensor, rank: int) -> dict[str, object]:
    """Loss and gradient of half of a batch's projections (2, 2, B, D): this process's share of a loss over all."""
    objective = begin_training(images, len(images), NUM_CLASSES, small_settings(name)).modules.objective
    share = projections[rank].clone().requires_grad_()
    loss = objective.loss(share[0], share[1])
    loss.backward()
    return {"loss": loss.item(), "gradient": share.grad.tolist()}


def main(folder: Path) -> None:
    # The command comes first: it must find out by itself that there are two processes.
    if os.environ["RANK"] == "0":
        write_json(folder / "command" / "plan.json", {"target_minutes": 30, "num_train_epochs": 1})
    options = ["--objective", "simclr", "--dataset_name", "photo-patches", "--output_dir", str(folder / "command")]
    options += ["--architecture_arguments", '{"channels": [8, 8, 8, 16]}', "--image_size", "32"]
    command([*options, "--per_device_train_batch_size", "16", "--target_minutes", "30"])
    accelerator = Accelerator()
    rank = accelerator.process_index
    images = small_images()
    result: dict[str, object] = {}

    losses: list[float] = []
    hook = register_module_forward_hook(
        lambda module, _, output: losses.append(output.item()) if isinstance(module, SupervisedObjective) else None
    )
    settings = small_settings("supervised", num_train_epochs=2, per_device_train_batch_size=8)
    watched = Watched(images, None)
    monitored: list[int] = []
    pretrain(
        watched,
        len(images),
        NUM_CLASSES,
        settings,
        folder / "supervised",
        monitor=lambda trunk: float(monitored.append(rank) or 0.25),
        monitor_epochs=2,
    )
    hook.remove()
    result |= {"seen": watched.seen, "losses": losses, "monitored": monitored}

    for objective in ("barlow-twins", "byol"):
        settings = small_settings(objective, per_device_train_batch_size=8)
        whole = pretrain(images, len(images), NUM_CLASSES, settings, folder / f"{objective}-whole")
        asking = Watched(images, 8 * 4 if rank == 1 else None)
        faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
        try:
            pretrain(asking, len(images), NUM_CLASSES, settings, folder / f"{objective}-resumed")
        except InterruptedByRequestError as error:
            result[f"{objective} exit code"] = error.exit_code
        accelerator.wait_for_everyone()
        faulthandler.cancel_dump_traceback_later()
        rest = Watched(images, None)
        resumed = pretrain(rest, len(images), NUM_CLASSES, settings, folder / f"{objective}-resumed")
        result[f"{objective} read again"] = len(rest.seen)
        result[f"{objective} digests"] = [digest(whole), digest(resumed)]

    projections = torch.randn(2, 2, 6, 8, generator=torch.Generator().manual_seed(0))
    result["projections"] = projections.tolist()
    result["simclr gathered"] = gathered("simclr", images, projections, rank)
    result["barlow-twins gathered"] = gathered("barlow-twins", images, projections, rank)
    result["planned"] = planned_epochs(images, len(images), NUM_CLASSES, settings, 1.0, folder / "planned")
    (folder / f"rank{rank}.json").write_text(json.dumps(result))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
