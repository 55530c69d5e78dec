"""Differences between the protocol of a published accuracy and that of a measured one, and where they lead."""

from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.names import canonical
from hf_sslgen.study.protocols.kinds import KNNProtocol
from hf_sslgen.study.verification.frozen_accuracy import MeasuredAccuracy
from hf_sslgen.study.verification.published_numbers import PublishedNumber

Direction = Literal["lower", "higher", "unknown"]

HEAD_POINTS = 2.0
"""Points of accuracy that are put down to how a linear classifier is trained: an allowance, not a measured value."""

NEIGHBOURS_POINTS = 5.0
"""Points that are put down to another k or temperature: likewise."""

LOOKED_AT = 200
"""Pictures whose size is looked at."""

ENOUGH_PIXELS = 0.75
"""Share of the input's side that a picture's shorter side needs, in order not to be blurred by enlargement."""


@dataclass(frozen=True)
class Difference:
    """Something in which a measurement differs from a published one.

    Attributes:
        words: what differs.
        direction: how the measured accuracy differs from the published one for this reason.
        points: the difference in accuracy, in points, that this explains at most; None if it may be any.
    """

    words: str
    direction: Direction
    points: float | None = None


def differences(
    measured: MeasuredAccuracy,
    published: PublishedNumber,
    domain: Domain,
    arguments: DomainArguments,
    knn: KNNProtocol,
    own_image_size: int,
    image_size: int,
) -> list[Difference]:
    """Return in what the measurement differs from the published one, the gravest first.

    Args:
        own_image_size: side of the backbone's input as published, in pixels.
        image_size: side of the input that was measured with.
    """
    found, splits = [], published.splits
    entry = registered_entry(arguments)
    name = domain.name if entry is None else entry.name
    if canonical(name) != canonical(splits.name):
        found.append(Difference(f"other images ({domain.name} instead of {splits.name})", "unknown"))
    num_classes = len(domain.class_names)
    if num_classes != splits.num_classes:
        direction: Direction = "higher" if num_classes < splits.num_classes else "lower"
        found.append(Difference(f"{num_classes:,} classes instead of {splits.num_classes:,}", direction))
    if measured.num_train != splits.num_train:
        direction = "lower" if measured.num_train < splits.num_train else "higher"
        found.append(Difference(f"{measured.num_train:,} training images instead of {splits.num_train:,}", direction))
    if image_size != own_image_size:
        found.append(Difference(f"input of {image_size} px instead of {own_image_size}", "unknown"))
    side = shorter_side(domain.test)
    if side < ENOUGH_PIXELS * image_size:
        found.append(Difference(f"pictures of {side:.0f} px, enlarged to an input of {image_size}", "lower"))
    if published.measure == "linear":
        words = "published classifiers are mostly trained on augmented pictures, this one on fixed features"
        found.append(Difference(words, "unknown", HEAD_POINTS))
    elif published.neighbours is None:
        words = "k and temperature of the published number are not known here"
        found.append(Difference(words, "unknown", NEIGHBOURS_POINTS))
    elif (published.neighbours, published.temperature) != (knn.neighbours[0], knn.temperature):
        words = f"published for k = {published.neighbours}, temperature {published.temperature:g}"
        found.append(Difference(words, "unknown", NEIGHBOURS_POINTS))
    if published.note:
        found.append(Difference(f"of the published number: {published.note}", "unknown", HEAD_POINTS))
    return found


def shorter_side(split: ImageSplit) -> float:
    """Return the median of the shorter sides, in pixels, of pictures spread over a split."""
    positions = np.unique(np.linspace(0, len(split) - 1, min(LOOKED_AT, len(split))).round().astype(int))
    pictures = [split.stored(int(position)) for position in positions]
    return float(median(min(each.width, each.height) for each in pictures))
