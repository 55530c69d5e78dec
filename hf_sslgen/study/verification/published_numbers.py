"""What is published of a backbone's accuracy on its own source data, and under which protocol."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from hf_sslgen.domains.domain_registry import find_domain
from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.locations import TWINS

Measure = Literal["knn", "linear"]

IMAGENET = "imagenet1k"
"""The registered domain on which the accuracies of the registry were measured."""

NEIGHBOURS_OF_SOURCES = {"facebookresearch/dino": (20, 0.07)}
"""k and temperature of published k-NN accuracies, by the beginning of their source, where these are known."""


@dataclass(frozen=True)
class SourceSplits:
    """The labelled data of a published number.

    Attributes:
        name: of the registered domain, or of the folder.
        num_train: training images, on which a classifier was fitted or among which neighbours were sought.
    """

    name: str
    num_classes: int
    num_train: int


@dataclass(frozen=True)
class PublishedNumber:
    """A published top-1 accuracy of frozen features.

    Attributes:
        top1: in %.
        neighbours, temperature: of k-NN; None if they are not known here.
    """

    measure: Measure
    top1: float
    source: str
    splits: SourceSplits
    note: str | None = None
    neighbours: int | None = None
    temperature: float | None = None


TWINS_SPLITS = SourceSplits("tiny-imagenet-100", num_classes=100, num_train=30_000)
"""The source of the shipped twins, as their cards state it."""


def published_numbers(row: Backbone | None) -> list[PublishedNumber]:
    """Return the published accuracies of a registered backbone that frozen features can be held against.

    Accuracies after fine-tuning are left out.
    """
    if row is None:
        return []
    if row.package_folder is not None:
        stated: Any = json.loads((TWINS / row.package_folder / "training.json").read_text(encoding="utf-8"))
        top1 = 100 * stated["knn_accuracy"]["value"]
        return [PublishedNumber("knn", top1, "its card", TWINS_SPLITS, neighbours=20, temperature=0.07)]
    entry = find_domain(IMAGENET)
    assert entry is not None and entry.num_classes is not None
    splits = SourceSplits(IMAGENET, entry.num_classes, entry.expected_sizes["train"])
    found = []
    for each in row.published:
        if each.measure not in ("knn", "linear"):
            continue
        known = [value for source, value in NEIGHBOURS_OF_SOURCES.items() if each.source.startswith(source)]
        neighbours, temperature = known[0] if known and each.measure == "knn" else (None, None)
        measure: Measure = "knn" if each.measure == "knn" else "linear"
        found.append(PublishedNumber(measure, each.top1, each.source, splits, each.note, neighbours, temperature))
    return found
