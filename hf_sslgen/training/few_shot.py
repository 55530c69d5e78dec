"""Few-shot episodes with prototypes."""

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.errors import InputError
from hf_sslgen.metrics import accuracy
from hf_sslgen.randomness import derive_seed


def eligible_classes(labels: NDArray[np.int64], ways: int, shots: int, queries: int) -> list[int]:
    """Return the classes with enough images for an episode, given the (N,) `labels`.

    Raises:
        InputError: an episode needs more classes than that.
    """
    classes, counts = np.unique(labels, return_counts=True)
    eligible = [int(label) for label in classes[counts >= shots + queries]]
    if len(eligible) < ways:
        raise InputError(
            f"an episode of {ways} ways needs {ways} classes with {shots + queries} test images each ({shots} shots, "
            f"{queries} queries), but only {len(eligible)} classes have that many; lower ways, shots or queries"
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
    """Measure the accuracy of nearest-class-mean classification in each episode (Snell et al. 2017).

    An episode draws `ways` of the classes with enough images and, from each, `shots` support and `queries` query
    images. The draw depends only on the labels, the seed and the episode's index, not on the features.

    Args:
        features: (N, D).
        labels: (N,).

    Returns:
        (`episodes`,) fractions of the `ways` x `queries` query images that are nearest to their own class mean, by
        Euclidean distance.

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
