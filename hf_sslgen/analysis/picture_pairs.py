"""Real-world pairs: two images of one object, burst or patient, in place of an image and its transformed version."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.randomness import derive_seed


class ImagePairs(NamedTuple):
    """Positions of the images that were paired, and how many images could not be.

    Attributes:
        anchors: (M,), ascending, no two of one key.
        partners: (M,), each of its anchor's key.
        n_alone: images without a key, or the only one of theirs.
    """

    anchors: NDArray[np.int64]
    partners: NDArray[np.int64]
    n_alone: int


def pair_partners(keys: NDArray[np.int64], seed: int, max_pairs: int | None = None) -> ImagePairs:
    """Choose one pair of images of each thing that at least two images show.

    One pair only, because the rest depends on it: chance is the similarity of an image to the *partners of others*,
    which would not be chance if they showed the same thing, and intervals count pairs as independent. So of M pairs
    all M (M - 1) others are of different things, and each thing counts once, however often it was photographed.

    Call it with all images of a split: in a small subset of one few images have a partner.

    Args:
        keys: (N,) what an image shows, as numbers; negative where it is not known (`ImageSplit.pair_keys`).
        max_pairs: at most so many pairs, drawn without regard to their keys' frequency.

    Returns:
        Pairs drawn uniformly from each key's ordered pairs; the same for equal keys and seed. For
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
