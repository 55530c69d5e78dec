"""Few-shot episodes with prototypes."""

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.errors import InputError
from hf_sslgen.randomness import derive_seed

MOST_VALUES = 2**22
"""Values of images' features that are gathered at once: 32 MB."""

CLOSE = 1e-9
"""Relative difference of squared distances below which they are computed again, without cancellation."""


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
    drawn = draw_episodes(labels, ways, shots, queries, episodes, seed)
    values = features.astype(np.float64)
    accuracies = np.empty(episodes)
    step = max(1, MOST_VALUES // (drawn[0].size * values.shape[1]))
    for start in range(0, episodes, step):
        correct = _is_nearest_to_own(values, drawn[start : start + step], shots)
        accuracies[start : start + step] = correct.mean(axis=(1, 2))
    return accuracies


def draw_episodes(
    labels: NDArray[np.int64], ways: int, shots: int, queries: int, episodes: int, seed: int
) -> NDArray[np.int64]:
    """Return the images of each episode (`episodes`, `ways`, `shots` + `queries`), the support images first.

    Raises:
        InputError: too few classes have enough images.
    """
    eligible = eligible_classes(labels, ways, shots, queries)
    members = {label: np.flatnonzero(labels == label) for label in eligible}
    drawn = np.empty((episodes, ways, shots + queries), dtype=np.int64)
    for episode in range(episodes):
        generator = np.random.default_rng(derive_seed(seed, "episode", episode))
        for way, label in enumerate(generator.choice(eligible, ways, replace=False)):
            drawn[episode, way] = generator.permutation(members[int(label)])[: shots + queries]
    return drawn


def _is_nearest_to_own(values: NDArray[np.float64], drawn: NDArray[np.int64], shots: int) -> NDArray[np.bool_]:
    """Whether each query image (E, ways, queries) is nearest to its own class mean; of equal ones, the first is."""
    num_episodes, ways, _ = drawn.shape
    prototypes = values[drawn[:, :, :shots]].mean(axis=2)  # (E, ways, D)
    points = values[drawn[:, :, shots:]].reshape(num_episodes, -1, values.shape[1])
    to_origin = np.square(prototypes).sum(axis=2)[:, None]
    distances = to_origin - 2 * points @ prototypes.transpose(0, 2, 1)  # up to the point's own square
    nearest = distances.argmin(axis=2)
    scale = to_origin.max(axis=2) + np.abs(distances).max(axis=2)
    is_close = (distances <= (distances.min(axis=2) + CLOSE * scale)[..., None]).sum(axis=2) > 1
    for episode, point in np.argwhere(is_close):
        nearest[episode, point] = np.square(points[episode, point] - prototypes[episode]).sum(axis=1).argmin()
    correct: NDArray[np.bool_] = nearest.reshape(num_episodes, ways, -1) == np.arange(ways)[:, None]
    return correct
