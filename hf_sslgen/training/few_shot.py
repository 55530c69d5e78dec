"""Few-shot episodes with prototypes."""

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.errors import InputError
from hf_sslgen.metrics import accuracy
from hf_sslgen.randomness import derive_seed


def eligible_classes(labels: NDArray[np.int64], ways: int, shots: int, queries: int) -> list[int]:
    """The classes that have enough images, (N,) `labels` in all, to be drawn in an episode.

    Raises:
        InputError: they are fewer than an episode takes.
    """
    classes, counts = np.unique(labels, return_counts=True)
    eligible = [int(label) for label in classes[counts >= shots + queries]]
    if len(eligible) < ways:
        raise InputError(
            f"an episode of {ways} ways needs {ways} classes with {shots + queries} test images each ({shots} shots, "
            f"{queries} queries), but only {len(eligible)} have them; lower ways, shots or queries"
        )
    return eligible


def prototypical_accuracies(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    ways: int,
    shots: int,
    queries: int,
    episodes: int,
    seed: int,
) -> NDArray[np.float64]:
    """Accuracy of each episode by the nearest class mean of the support images (Snell et al. 2017).

    An episode draws `ways` of the classes that have enough images, and of each `shots` support and `queries` query
    images. What it draws depends on the labels, the seed and the episode's index alone, not on the features.

    Args:
        features: (N, D).
        labels: (N,).

    Returns:
        (`episodes`,) shares of the `ways` x `queries` query images that are nearest to their own class, by Euclidean
        distance.

    Raises:
        InputError: too few classes have enough images.
    """
    eligible = eligible_classes(labels, ways, shots, queries)
    members = {label: np.flatnonzero(labels == label) for label in eligible}
    values = features.astype(np.float64)
    accuracies = np.empty(episodes)
    for episode in range(episodes):
        generator = np.random.default_rng(derive_seed(seed, "episode", episode))
        chosen = generator.choice(eligible, ways, replace=False)
        drawn = np.stack([generator.permutation(members[int(label)])[: shots + queries] for label in chosen])
        prototypes = values[drawn[:, :shots]].mean(axis=1)
        query = values[drawn[:, shots:]].reshape(ways * queries, -1)
        distances = np.square(query[:, None] - prototypes[None]).sum(axis=2)
        accuracies[episode] = accuracy(distances.argmin(axis=1), np.repeat(np.arange(ways), queries)).accuracy
    return accuracies
