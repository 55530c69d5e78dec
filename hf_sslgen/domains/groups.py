"""Images that come in groups (patients, photographs, bursts): carve whole groups, and find groups in two splits."""

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import stratified_split
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.randomness import derive_seed

logger = logging.getLogger(__name__)


def grouped_split(
    labels: NDArray[np.int64], groups: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split off whole groups, so that each class gives up about the same share.

    In a seeded random order, a group is held out if that brings the held-out shares of its classes closer to the
    fraction (sum of squared differences). A class that then has no held-out image gets the group that keeps these
    shares closest. No group is held out that has all remaining images of a class, so a class of one group is not held
    out at all.

    Args:
        labels, groups: (N,) class indices, and numbers that are equal for images of one group.
        fraction: share of each class that should go into the second part.

    Returns:
        Positions of the two parts, each ascending; the second is empty if no class has images of two groups.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    _, class_of = np.unique(labels, return_inverse=True)
    sizes = np.bincount(class_of)
    pairs, counts = np.unique(group_of * len(sizes) + class_of, return_counts=True)
    starts = np.searchsorted(pairs // len(sizes), np.arange(1, group_of.max() + 1))
    content = list(zip(np.split(pairs % len(sizes), starts), np.split(counts, starts), strict=True))
    held, is_held = np.zeros(len(sizes)), np.zeros(len(content), dtype=np.bool_)

    def change(group: int) -> float:
        """Change of the sum of squares if a group is held out; infinite if a class would lose its last images."""
        classes, count = content[group]
        before, after = held[classes], held[classes] + count
        if is_held[group] or (after >= sizes[classes]).any():
            return np.inf
        target = fraction * sizes[classes]
        return float((((after - target) ** 2 - (before - target) ** 2) / sizes[classes] ** 2).sum())

    def hold(group: int) -> None:
        classes, count = content[group]
        held[classes] += count
        is_held[group] = True

    order = np.random.default_rng(derive_seed(seed, "split", "groups")).permutation(len(content))
    for group in order:
        if change(group) < 0.0:
            hold(group)
    for missing in np.flatnonzero(held == 0.0):
        candidates = [group for group in order if missing in content[group][0]]
        best = min(candidates, key=change)
        if held[missing] == 0.0 and change(best) < np.inf:
            hold(best)
    return np.flatnonzero(~is_held[group_of]), np.flatnonzero(is_held[group_of])


def carved(
    split: ImageSplit, role: str, fraction: float, seed: int, notes: list[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return positions of the images that stay and of those carved off for a role, in whole groups if there are any.

    Adds a note on how they were chosen. If no class has images of two groups, as where the class is the group, images
    are divided instead, which the note says.
    """
    if split.has("group"):
        groups = split.group_codes()
        kept, held_out = grouped_split(split.labels, groups, fraction, seed)
        if len(held_out):
            notes.append(
                f"{role}: {len(held_out) / len(split):.0%} of '{split.name}' ({fraction:.0%} requested) in whole "
                f"groups, {len(np.unique(groups[held_out]))} of {len(np.unique(groups))}, as stratified as they allow "
                f"(seed {seed})"
            )
            return kept, held_out
    kept, held_out = stratified_split(split.labels, fraction, seed)
    notes.append(f"{role}: a stratified {fraction:.0%} of '{split.name}' (seed {seed})")
    if split.has("group"):
        notes[-1] += ", which divides groups, because no class has images of two groups"
    return kept, held_out


def note_shared_groups(
    train: ImageSplit | ImageStream, validation: ImageSplit, test: ImageSplit, notes: list[str]
) -> None:
    """Add a note, and log a warning, if groups of test images are also in training or validation images."""
    if not test.has("group"):
        return
    if not isinstance(train, ImageSplit):
        notes.append(f"groups: those of '{test.name}' are not compared with the streamed '{train.name}'")
        return
    seen = {name for split in (train, validation) for name in split.group_names()} - {None}
    of_test = test.group_names()
    shared = seen.intersection(of_test)
    if not shared:
        return
    images = sum(name in shared for name in of_test)
    notes.append(
        f"groups: {len(shared)} of the {len(set(of_test) - {None})} groups of the test images are also in training or "
        f"validation images ({images} of {len(test)} test images), so the numbers are not about new groups"
    )
    if not _one_class_each(of_test, test.labels):  # where the class is the group, every group has to be in training
        logger.warning(notes[-1])


def _one_class_each(names: Sequence[object], labels: NDArray[np.int64]) -> bool:
    """Whether every class is one group."""
    pairs = set(zip(names, labels.tolist(), strict=True))
    return len(pairs) == len(np.unique(labels)) == len(set(names))
