"""Divide images into splits: stratified and seeded for data on disk, by content hash for streams."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.randomness import derive_seed


def _shuffled_positions_by_class(labels: NDArray[np.int64], seed: int) -> list[NDArray[np.int64]]:
    generator = np.random.default_rng(derive_seed(seed, "split"))
    return [generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]


def stratified_split(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split off a share of every class.

    Args:
        labels: (N,) class indices.
        fraction: share of each class that goes into the second part; at least one image if a class has two.

    Returns:
        Positions of the two parts, each ascending.
    """
    kept, held_out = [], []
    for positions in _shuffled_positions_by_class(labels, seed):
        count = min(max(1, round(fraction * len(positions))), len(positions) - 1) if fraction > 0 else 0
        held_out.append(positions[:count])
        kept.append(positions[count:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(held_out))


def stratified_subset(labels: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    """Choose at most `size` positions, ascending, dividing them among classes by largest remainder."""
    if size >= len(labels):
        return np.arange(len(labels))
    groups = _shuffled_positions_by_class(labels, seed)
    shares = np.array([len(group) for group in groups]) * size / len(labels)
    counts = np.floor(shares).astype(int)
    for index in np.argsort(-(shares - counts), kind="stable")[: size - counts.sum()]:
        counts[index] += 1
    return np.sort(np.concatenate([group[:count] for group, count in zip(groups, counts, strict=True)]))


def stratified_fraction(labels: NDArray[np.int64], fraction: float, seed: int) -> NDArray[np.int64]:
    """Choose a share of every class (rounded, at least one image); returns ascending positions.

    With the same seed, a smaller share is a subset of every larger one.
    """
    groups = _shuffled_positions_by_class(labels, seed)
    return np.sort(np.concatenate([group[: max(1, round(fraction * len(group)))] for group in groups]))


def smallest_fraction_to_split(labels: NDArray[np.int64]) -> float | None:
    """Return the smallest whole percentage, as a share, at which `stratified_fraction` keeps two images per class.

    None if a class has a single image.
    """
    fewest = int(np.unique(labels, return_counts=True)[1].min())
    return next((percent / 100 for percent in range(1, 101) if round(percent / 100 * fewest) >= 2), None)


def few_per_class(labels: NDArray[np.int64], samples_per_class: int, seed: int) -> NDArray[np.int64]:
    """Choose at most `samples_per_class` images of every class; returns ascending positions."""
    groups = _shuffled_positions_by_class(labels, seed)
    return np.sort(np.concatenate([group[:samples_per_class] for group in groups]))


def content_id(encoded: bytes) -> int:
    """Return a 63-bit identity of an image's file, independent of shard, worker and process."""
    return int.from_bytes(hashlib.blake2b(encoded, digest_size=8).digest(), "big") >> 1


def is_held_out(identity: int, fraction: float, seed: int) -> bool:
    """Whether a streamed image belongs to the validation part.

    The decision uses the content, because a stream's running index differs between workers and shards. Exact copies
    of an image therefore fall on the same side.
    """
    return derive_seed(seed, "held out", identity) % 1_000_000 < fraction * 1_000_000
