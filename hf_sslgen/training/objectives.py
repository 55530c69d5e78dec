"""Pretraining objectives: all that may differ between twins.

Each is a module of its own parameters (a classifier, a projection head) that turns the trunk's pooled features of the
views of a batch into a loss.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hf_sslgen.errors import InputError, nearest_names


class SupervisedObjective(nn.Module):
    """Cross-entropy of a linear classifier on one view of each image."""

    views = 1

    def __init__(self, num_features: int, num_classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(num_features, num_classes)

    def forward(self, features: list[Tensor], labels: Tensor) -> Tensor:
        return F.cross_entropy(self.classifier(features[0]).float(), labels)


class SimCLRObjective(nn.Module):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709): two views of an image attract, those of other images repel.

    Projection head and NT-Xent loss are lightly's. Labels are not looked at.
    """

    views = 2

    def __init__(self, num_features: int, temperature: float, gather_distributed: bool = False) -> None:
        super().__init__()
        from lightly.loss import NTXentLoss
        from lightly.models.modules import SimCLRProjectionHead

        self.projection_head = SimCLRProjectionHead(num_features, num_features, 128)
        self.loss = NTXentLoss(temperature=temperature, gather_distributed=gather_distributed)

    def forward(self, features: list[Tensor], labels: Tensor) -> Tensor:
        first, second = self.projection_head(torch.cat(features)).float().chunk(2)
        return self.loss(first, second)


OBJECTIVES = ("supervised", "simclr")


def build_objective(
    name: str, num_features: int, num_classes: int, temperature: float, gather_distributed: bool = False
) -> SupervisedObjective | SimCLRObjective:
    """The objective called `name`; raises InputError for a name that is none of `OBJECTIVES`."""
    if name == "supervised":
        return SupervisedObjective(num_features, num_classes)
    if name == "simclr":
        return SimCLRObjective(num_features, temperature, gather_distributed)
    raise InputError(
        f"objective {name!r} is unknown; known: {', '.join(OBJECTIVES)}. {nearest_names(name, OBJECTIVES)}"
    )
