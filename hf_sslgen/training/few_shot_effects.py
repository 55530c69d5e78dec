"""What each test image contributes to the accuracy of few-shot episodes.

However many episodes are drawn, they share the test images, so their mean varies between samples of test images as a
generalised U-statistic does: its first-order (Hájek) projection is a sum of independent effects, one per image
(Hoeffding 1948; van der Vaart 1998, chapter 12). With K classes of n_k images, of which an episode draws W classes
with S support and Q query images each, an image i of class k has the effect

    psi_i = (q_i - mean of q over the class) / K  +  (W S / K) (s_i - mean of s over the class),

where q_i is the probability that i is classified correctly as a query, and s_i the expected accuracy of an episode in
which i is a support image. Var(accuracy) = sum over classes of Var(psi) / n_k.

q and s are expectations over classes, which are computed exactly, and over support sets, which are drawn in rounds: in
each round every class is cut at random into sets of S images (half of the class if it has fewer than 2 S), and each of
them is one support set of its class.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import comb

from hf_sslgen.randomness import derive_seed
from hf_sslgen.training.few_shot import eligible_classes

ROUNDS, MIN_ROUNDS, FEW_IMAGES = 40, 8, 500
"""Rounds for up to so many images, and for very many, whose effects need not be known as precisely one by one."""

MOST_QUERIES = 2_000
"""Images of other classes on which a support set is tried in one round, and images handled at once."""

MOST_PAIRS, FEW_DIMENSIONS = 4_096, 256
"""Up to so many images of more dimensions than these, the inner products of all pairs are computed once (128 MB),
instead of products with class means in every round."""

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ImageEffects:
    """The effects of the images that can take part in an episode.

    Attributes:
        positions: (M,) of these images among all test images, ascending.
        effects: (M,), zero on average in every class, scaled so that the variance of the mean accuracy over samples
            of test images is the sum of their squares / M^2. They are linear in the accuracy of an episode, so the
            effects on a difference between backbones are the differences of their effects.
    """

    positions: Positions
    effects: Floats


def image_effects(
    features: NDArray[np.floating], labels: NDArray[np.int64], ways: int, shots: int, queries: int, seed: int
) -> ImageEffects:
    """Compute each image's effect on the accuracy of nearest-class-mean classification.

    What is drawn depends only on the labels and the seed, so the effects of two backbones can be subtracted.

    Args:
        features: (N, D).
        labels: (N,).
        ways, shots, queries: as for `hf_sslgen.training.few_shot.prototypical_accuracies`.

    Raises:
        InputError: too few classes have enough images.
    """
    classes = eligible_classes(labels, ways, shots, queries)
    positions = np.flatnonzero(np.isin(labels, classes))
    values = features[positions].astype(np.float64)
    values -= values.mean(axis=0)
    own = np.searchsorted(classes, labels[positions])
    members = [np.flatnonzero(own == index) for index in range(len(classes))]
    products = _Products(values)
    rounds = max(MIN_ROUNDS, min(ROUNDS, ROUNDS * FEW_IMAGES // len(positions)))
    correct, supporting, tried = (np.zeros(len(positions)) for _ in range(3))
    for index in range(rounds):
        generator = np.random.default_rng(derive_seed(seed, "image effects", index))
        drawn = _Round(products, own, members, ways, shots, generator)
        for k in range(len(classes)):
            support_sets, as_query, accuracies = drawn.of_class(k)
            correct[members[k]] += as_query
            supporting[support_sets] += (accuracies - accuracies.mean())[:, None]
            tried[support_sets] += 1
    supporting = np.divide(supporting, tried, out=supporting, where=tried > 0)
    effects = np.empty(len(positions))
    for image_positions in members:
        count = len(image_positions)
        size = min(shots, count // 2)
        # A support set's effect is the sum of its images'. What its others add to an image's is noise, averaged over
        # rounds, and lower on average the larger the image's own is, because they are drawn from all but it.
        alone = (count - 1) / (count - size) / np.sqrt(1 + (size - 1) / rounds)
        effect = correct[image_positions] / rounds + ways * size * alone * supporting[image_positions]
        scale = len(positions) / (len(members) * count) * np.sqrt(count / (count - 1))
        effects[image_positions] = scale * (effect - effect.mean())
    return ImageEffects(positions, effects)


class _Round:
    """One division of every class into support sets, the first of which represents the class for the others."""

    def __init__(
        self,
        products: "_Products",
        own: Positions,
        members: Sequence[Positions],
        ways: int,
        shots: int,
        generator: np.random.Generator,
    ) -> None:
        self.products, self.own, self.members, self.ways = products, own, members, ways
        self.generator = generator
        self.support_sets = [_cut(generator.permutation(images), min(shots, len(images) // 2)) for images in members]
        others = len(members) - 1
        # Probability that none of the nearer classes is among the other classes of an episode; given one of them.
        self.none_nearer = comb(others - np.arange(others + 1), ways - 1) / comb(others, ways - 1)
        nearer = np.arange(max(others, 1))
        self.none_nearer_of_rest = comb(others - 1 - nearer, ways - 2) / comb(others - 1, ways - 2)
        everyone = np.arange(len(own))
        self.distances = np.empty((len(own), len(members)))
        for k, sets in enumerate(self.support_sets):  # which may differ in size
            self.distances[:, k] = products.distances(everyone, sets[:1])[:, 0]
        self.to_own = self.distances[everyone, own]
        self.is_nearer = self.distances < self.to_own[:, None]
        self.num_nearer = self.is_nearer.sum(axis=1)
        self.is_query = np.ones(len(own), dtype=bool)
        self.is_query[np.concatenate([sets[0] for sets in self.support_sets])] = False

    def of_class(self, k: int) -> tuple[Positions, Floats, Floats]:
        """Return the support sets (B, S) of a class, the probability (n,) that each of its images is classified
        correctly as a query, and the expected accuracy (B,) of an episode with each support set, up to a constant."""
        sets, images = self.support_sets[k], self.members[k]
        of_set = np.full(len(self.own), -1)
        of_set[sets] = np.arange(len(sets))[:, None]
        as_query, of_own = np.empty(len(images)), np.zeros(len(sets))
        for start in range(0, len(images), MOST_QUERIES):
            part = images[start : start + MOST_QUERIES]
            to_others = np.sort(np.delete(self.distances[part], k, axis=1), axis=1)
            to_sets = self.products.distances(part, sets)
            num_nearer = np.stack([np.searchsorted(row, to) for row, to in zip(to_others, to_sets, strict=True)])
            is_query = of_set[part, None] != np.arange(len(sets))
            correct = np.where(is_query, self.none_nearer[num_nearer], 0.0)
            means = correct.sum(axis=1) / is_query.sum(axis=1)
            as_query[start : start + MOST_QUERIES] = means
            of_own += correct.sum(axis=0) - means @ is_query  # other queries than these would have other means
        of_own /= len(images) - sets.shape[1]
        of_others = self._of_other_classes(k, sets)
        return sets, as_query, (of_own + (self.ways - 1) * of_others) / self.ways

    def _of_other_classes(self, k: int, sets: Positions) -> Floats:
        """Return the mean accuracy (B,) on other classes' queries, in episodes with each support set of class k."""
        outside = self.generator.permutation(np.flatnonzero(self.is_query & (self.own != k)))[:MOST_QUERIES]
        counts = np.bincount(self.own[outside], minlength=len(self.members))
        weights = 1 / counts[self.own[outside]] / np.count_nonzero(counts)
        rest = self.none_nearer_of_rest[self.num_nearer[outside] - self.is_nearer[outside, k]]
        is_farther = self.products.distances(outside, sets) >= self.to_own[outside, None]
        accuracies: Floats = (weights * rest) @ is_farther
        return accuracies


def _cut(images: Positions, size: int) -> Positions:
    """Return as many sets of this size as there are images for, (B, size)."""
    return images[: len(images) // size * size].reshape(-1, size)


class _Products:
    """Distances between images and means of images, from inner products."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.squares = np.square(values).sum(axis=1)
        is_shorter = len(values) <= MOST_PAIRS and values.shape[1] > FEW_DIMENSIONS
        self.pairs = values @ values.T if is_shorter else None

    def distances(self, points: Positions, sets: Positions) -> Floats:
        """Return squared Euclidean distances (P, B) of points (P,) from the means of sets (B, S)."""
        if self.pairs is None:
            means = self.values[sets].mean(axis=1)
            products, of_means = self.values[points] @ means.T, np.square(means).sum(axis=1)
        else:
            products = self.pairs[sets].mean(axis=1)[:, points].T
            of_means = self.pairs[sets[:, :, None], sets[:, None]].mean(axis=(1, 2))
        distances: Floats = self.squares[points, None] + of_means - 2 * products
        return distances
