"""Settings and mutable state of pretraining: networks, optimiser, image order and position."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.randomness import derive_seed
from hf_sslgen.settings import shown
from hf_sslgen.training.pretraining.objectives import Objective, build_objective
from hf_sslgen.training.samples import EpochOrder

Images = Dataset[tuple[Tensor, int]]
Monitor = Callable[[nn.Module], float]


@dataclass(frozen=True)
class PretrainingSettings:
    """Everything that the weights depend on, besides the images and the number of processes.

    Attributes:
        image_size: side in pixels of the stored images and of the finished network's input.
        view_size: side in pixels of the random training views; None for `image_size`. Random crops enlarge objects, so
            smaller views show them at the size they have in whole images (Touvron et al. 2019, arXiv 1906.06423).
        temperature: temperature of the SimCLR loss.
        teacher_momentum: initial momentum of the BYOL teacher.
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
    """All trained modules, under the names used in checkpoints."""

    def __init__(self, trunk: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.trunk, self.objective = trunk, objective


@dataclass
class TrainingState:
    """Everything that training changes, together with the objects it needs.

    `trunk` and `objective` are those of `modules`, wrapped by Accelerate.

    Attributes:
        losses_of_epoch: loss of each step of the unfinished epoch, averaged over processes; shape ().
        log: one row per finished epoch.
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
        """Total number of steps done."""
        return len(self.log) * self.steps_per_epoch + self.steps_of_epoch


def build_trunk(settings: PretrainingSettings) -> Any:
    """Initialise the architecture without a head as timm does, identically for every objective with the same seed.

    Raises:
        InputError: timm does not know the architecture, or it does not accept the arguments.
    """
    import timm

    torch.manual_seed(derive_seed(settings.seed, "trunk"))
    if not timm.is_model(settings.architecture):
        unknown = f"architecture {shown(settings.architecture)} is unknown to timm"
        raise InputError(hinted(unknown, settings.architecture, timm.list_models()))
    try:
        return timm.create_model(settings.architecture, num_classes=0, **settings.architecture_arguments)
    except (TypeError, ValueError, RuntimeError, KeyError, AttributeError, AssertionError) as error:
        raise InputError(
            f"architecture {settings.architecture!r} does not accept architecture_arguments "
            f"{shown(settings.architecture_arguments)}: {' '.join(str(error).split())}"
        ) from error


def begin_training(
    images: Images, num_images: int, num_classes: int, settings: PretrainingSettings, dataloader_num_workers: int = 0
) -> TrainingState:
    """Create the state before the first step.

    Args:
        images: yields ((3, image_size, image_size) bytes, label) for a key (epoch, position).
        num_images: length of `images`.

    Raises:
        InputError: the objective is unknown, or a batch is larger than the data.
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
