"""Pretraining objectives, the only thing that may differ between twins.

Each is a module with its own parameters (a classifier, a projection head, a teacher) that computes a loss from the
trunk's pooled features of a batch's views. Heads and losses come from lightly. Only the supervised objective uses
labels.
"""

import copy
import importlib.util
import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_sslgen.errors import InputError, hinted


class Objective(nn.Module, ABC):
    """A pretraining objective for a trunk.

    Attributes:
        num_views: number of random views of each image per step.
    """

    num_views = 2

    @abstractmethod
    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        """Compute the loss of a batch.

        Args:
            features: the trunk's output for each view, (B, D).
            views: the trunk's input for each view, (B, 3, H, W).
            labels: (B,) class indices.
        """

    def after_step(self, trunk: nn.Module, progress: float) -> None:
        """Update state after every optimiser step; `progress` is the completed fraction of the training."""


class SupervisedObjective(Objective):
    """Cross-entropy of a linear classifier on one view of each image."""

    num_views = 1

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(num_features, num_classes)

    def forward(self, features: list[Tensor], views: list[Tensor], labels: Tensor) -> Tensor:
        return F.cross_entropy(self.classifier(features[0]).float(), labels)


class SimCLRObjective(Objective):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709): views of the same image attract, views of other images repel."""

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
    """Barlow Twins (Zbontar et al. 2021, arXiv 2103.03230): make the cross-correlation of two views the identity.

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
        # Pass one view at a time through the head, because its batch normalisation must not mix the views.
        first, second = (self.projection_head(view).float() for view in features)
        # The sum over dimensions is divided by their number, so that the other objectives' learning rates work here.
        return self.loss(first, second) / self.WIDTH


class BYOLObjective(Objective):
    """BYOL (Grill et al. 2020, arXiv 2006.07733): predict the teacher's output for one view from the other view.

    The teacher is an exponential moving average of trunk and projection head whose momentum rises from
    `teacher_momentum` to 1 along a cosine (section 3.3 of the paper); its batch normalisation uses the statistics of
    its own batches. The loss is half of the paper's: one minus the cosine, summed over both directions.
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
    """Raise InputError if lightly, which provides an objective's heads and losses, is not installed."""
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
    """Build the objective with this name.

    Args:
        trunk: the network to train; a teacher starts as its copy.
        temperature: temperature of the SimCLR loss.
        teacher_momentum: initial momentum of the BYOL teacher.
        gather_distributed: whether contrast and correlation extend over all processes.

    Raises:
        InputError: the name is not in `OBJECTIVES`.
    """
    if name == "supervised":
        return SupervisedObjective(num_features, num_classes)
    if name == "simclr":
        return SimCLRObjective(num_features, temperature, gather_distributed)
    if name == "barlow-twins":
        return BarlowTwinsObjective(num_features, gather_distributed)
    if name == "byol":
        return BYOLObjective(trunk, num_features, teacher_momentum)
    raise InputError(hinted(f"objective {name!r} is unknown; known: {', '.join(OBJECTIVES)}", name, OBJECTIVES))
