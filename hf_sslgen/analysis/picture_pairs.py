"""Real-world pairs: two images of one object, burst or patient, instead of an image and its transformed version."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.randomness import derive_seed


class ImagePairs(NamedTuple):
    """Positions of the paired images, and the number of images that could not be paired.

    Attributes:
        anchors: (M,), ascending, with distinct keys.
        partners: (M,), each with its anchor's key.
        n_alone: number of images without a key, or whose key occurs only once.
    """

    anchors: NDArray[np.int64]
    partners: NDArray[np.int64]
    n_alone: int


def pair_partners(keys: NDArray[np.int64], seed: int, max_pairs: int | None = None) -> ImagePairs:
    """Choose one pair of images for each thing shown in at least two images.

    Each thing contributes a single pair, because chance is the similarity of an image to the *partners of others*,
    which must not show the same thing, and because intervals treat pairs as independent. With M pairs, all M (M - 1)
    other combinations thus show different things, and each thing counts once, however often it was photographed.

    Pass all images of a split, because in a small subset few images have a partner.

    Args:
        keys: (N,) number of the thing an image shows; negative if unknown (`ImageSplit.pair_keys`).
        max_pairs: maximum number of pairs, drawn regardless of how frequent their keys are.

    Returns:
        Pairs drawn uniformly from each key's ordered pairs, identical for equal keys and seed, to be used as
        `invariance(features[anchors], features[partners])`; M can be 0.

    >>> pairs = pair_partners(np.array([7, 7, -1, 5, 9, 9, 9]), seed=0)
    >>> pairs.anchors.tolist(), pairs.partners.tolist(), pairs.n_alone
    ([0, 4], [1, 6], 2)
    """
    generator = np.random.default_rng(derive_seed(seed, "pairs"))
    order = generator.permutation(len(keys))
    order = order[keys[order] >= 0]
    order = order[np.argsort(keys[order], kind="stable")]  # shuffled within a key
    _, starts, counts = np.unique(keys[order], return_index=True, return_counts=True)
    starts = starts[counts >= 2]
    if max_pairs is not None and len(starts) > max_pairs:
        starts = generator.choice(starts, max_pairs, replace=False)
    anchors, partners = order[starts], order[starts + 1]
    by_anchor = np.argsort(anchors)
    return ImagePairs(anchors[by_anchor], partners[by_anchor], len(keys) - int(counts[counts >= 2].sum()))
