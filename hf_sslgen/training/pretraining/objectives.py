"""Pretraining objectives: all that may differ between twins.

Each is a module of its own parameters (a classifier, a projection head, a teacher) that turns the trunk's pooled
features of the views of a batch into a loss. Heads and losses are lightly's. Labels are looked at by the supervised
objective alone.
"""

import copy
import importlib.util
import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_sslgen.errors import InputError, nearest_names


class Objective(nn.Module, ABC):
    """What a trunk is trained for.

    Attributes:
        num_views: random views of each image that a step looks at.
    """

    num_views = 2

    @abstractmethod
    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        """The loss of a batch.

        Args:
            features: for each view (B, D), what the trunk made of it.
            views: for each view (B, 3, H, W), what the trunk was given.
            labels: (B,) class indices.
        """

    def after_step(self, trunk: nn.Module, progress: float) -> None:
        """Called after every step of the optimiser; `progress` is the share of the training that is done."""


class SupervisedObjective(Objective):
    """Cross-entropy of a linear classifier on one view of each image."""

    num_views = 1

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(num_features, num_classes)

    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        return F.cross_entropy(self.classifier(features[0]).float(), labels)


class SimCLRObjective(Objective):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709): two views of an image attract, those of other images repel."""

    def __init__(self, num_features: int, temperature: float, gather_distributed: bool) -> None:
        super().__init__()
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        self.projection_head = SimCLRProjectionHead(num_features, num_features, 128)
        self.loss = NTXentLoss(temperature=temperature, gather_distributed=gather_distributed)

    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        first, second = self.projection_head(torch.cat(features)).float().chunk(2)
        return self.loss(first, second)


class BarlowTwinsObjective(Objective):
    """Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230): the projections of two views correlate dimension by
    dimension and not across dimensions.

    The projector is narrower than the paper's (1024 instead of 8192), as the trunks are.
    """

    WIDTH = 1024

    def __init__(self, num_features: int, gather_distributed: bool) -> None:
        super().__init__()
        from lightly.loss import BarlowTwinsLoss
        from lightly.models.modules import BarlowTwinsProjectionHead

        self.projection_head = BarlowTwinsProjectionHead(num_features, self.WIDTH, self.WIDTH)
        self.loss = BarlowTwinsLoss(gather_distributed=gather_distributed)

    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        # One view at a time through the head: its batch normalisation must not mix the views.
        first, second = (self.projection_head(view).float() for view in features)
        # The sum over dimensions is divided by their number, so that the learning rates of the other objectives serve.
        return self.loss(first, second) / self.WIDTH


class BYOLObjective(Objective):
    """BYOL (Grill et al. 2020, arXiv 2006.07733): from one view predict what a slowly following teacher makes of the
    other.

    The teacher is an exponential moving average of trunk and projection head whose momentum rises from
    `teacher_momentum` to 1 along a cosine (the paper's section 3.3); its batch normalisation takes the statistics of
    its own batches. The loss is half of the paper's: one minus the cosine, summed over the two directions.
    """

    def __init__(self, trunk: nn.Module, num_features: int, teacher_momentum: float) -> None:
        super().__init__()
        from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead

        self.projection_head = BYOLProjectionHead(num_features, 1024, 128)
        self.prediction_head = BYOLPredictionHead(128, 1024, 128)
        self.teacher_trunk = copy.deepcopy(trunk).requires_grad_(False)
        self.teacher_projection_head = copy.deepcopy(self.projection_head).requires_grad_(False)
        self.teacher_momentum = teacher_momentum

    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        with torch.no_grad():
            targets = [self.teacher_projection_head(self.teacher_trunk(view)).float() for view in views]
        predictions = [self.prediction_head(self.projection_head(view)).float() for view in features]
        likeness = [F.cosine_similarity(predictions[own], targets[other]).mean() for own, other in ((0, 1), (1, 0))]
        return 2 - likeness[0] - likeness[1]

    @torch.no_grad()
    def after_step(self, trunk: nn.Module, progress: float) -> None:
        momentum = 1 - (1 - self.teacher_momentum) * (math.cos(math.pi * progress) + 1) / 2
        pairs = ((self.teacher_trunk, trunk), (self.teacher_projection_head, self.projection_head))
        for teacher, student in pairs:
            for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
                slow.lerp_(fast, 1 - momentum)


OBJECTIVES = ("supervised", "simclr", "barlow-twins", "byol")


def require_objective(name: str) -> None:
    """Raise InputError where the package that an objective's heads and losses are from is not installed."""
    if name != "supervised" and importlib.util.find_spec("lightly") is None:
        raise InputError(f"objective {name!r} needs lightly; run `pip install 'hf-sslgen[pretrain]'`")


def build_objective(
    name: str,
    trunk: nn.Module,
    num_features: int,
    num_classes: int,
    temperature: float = 0.2,
    teacher_momentum: float = 0.99,
    gather_distributed: bool = False,
) -> Objective:
    """The objective called `name`.

    Args:
        trunk: what it trains; a teacher starts as its copy.
        temperature: of SimCLR's loss.
        teacher_momentum: of BYOL's teacher at the beginning.
        gather_distributed: whether contrast and correlation reach over all processes.

    Raises:
        InputError: a name that is none of `OBJECTIVES`.
    """
    if name == "supervised":
        return SupervisedObjective(num_features, num_classes)
    if name == "simclr":
        return SimCLRObjective(num_features, temperature, gather_distributed)
    if name == "barlow-twins":
        return BarlowTwinsObjective(num_features, gather_distributed)
    if name == "byol":
        return BYOLObjective(trunk, num_features, teacher_momentum)
    raise InputError(
        f"objective {name!r} is unknown; known: {', '.join(OBJECTIVES)}. {nearest_names(name, OBJECTIVES)}"
    )
