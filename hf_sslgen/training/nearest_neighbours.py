"""Weighted k-nearest neighbours by cosine similarity, for all k at once."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.errors import InputError
from hf_sslgen.training.probe_design import as_tensor

MOST_SIMILARITIES = 2**25
"""Similarities held at once: 128 MB."""


def knn_probabilities(
    train_features: NDArray[np.floating],
    train_labels: NDArray[np.int64],
    features: NDArray[np.floating],
    num_classes: int,
    neighbours: Sequence[int],
    temperature: float = 0.07,
    pseudo_neighbours: float = 1.0,
    block_size: int = 1024,
    device: torch.device | str = "cpu",
) -> dict[int, NDArray[np.float64]]:
    """Compute class probabilities by cosine-weighted k-nearest neighbours (Wu et al. 2018; DINO's protocol).

    Each of the k neighbours votes exp(similarity / temperature) for its class. With v_c the share of class c in the
    votes and a = `pseudo_neighbours`, p_c = (k v_c + a / C) / (k + a): a class without votes keeps a probability above
    0, and the largest vote wins for every a. Of equally similar images, the first are nearer. Memory on the device is
    4 (N + M) D bytes, and 12 N for each query of a block, at most 400 MB.

    Args:
        train_features: (N, D).
        features: (M, D).
        neighbours: values of k, none above N.
        device: where similarities are computed.

    Returns:
        For each k, (M, C) probabilities.

    Raises:
        InputError: a k is above N.
    """
    most = max(neighbours)
    if most > len(train_features):
        raise InputError(f"neighbours has k = {most}, more than the {len(train_features)} training images")
    bank, queries = (_unit(values).to(device) for values in (train_features, features))
    labels = as_tensor(train_labels)
    result = {k: np.empty((len(queries), num_classes)) for k in neighbours}
    step = max(1, min(block_size, MOST_SIMILARITIES // len(bank)))
    for start in range(0, len(queries), step):
        similarities, positions = _nearest(queries[start : start + step] @ bank.T, most)
        # The common factor exp(-largest / temperature) avoids overflow at small temperatures.
        weights = ((similarities - similarities[:, :1]) / temperature).exp_()
        classes = labels[positions]
        votes, counted = torch.zeros(len(weights), num_classes, dtype=torch.float64), 0
        for k in sorted(result):
            votes.scatter_add_(1, classes[:, counted:k], weights[:, counted:k])
            counted = k
            shares = votes / votes.sum(dim=1, keepdim=True)
            probabilities = (k * shares + pseudo_neighbours / num_classes) / (k + pseudo_neighbours)
            result[k][start : start + step] = probabilities.numpy()
    return result


def knn_predictions(
    train_features: NDArray[np.floating],
    train_labels: NDArray[np.int64],
    features: NDArray[np.floating],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    block_size: int = 1024,
    device: torch.device | str = "cpu",
) -> NDArray[np.int64]:
    """Return (M,) class indices with the largest vote, as in `knn_probabilities`; k is capped at all neighbours."""
    k = min(k, len(train_features))
    probabilities = knn_probabilities(
        train_features, train_labels, features, num_classes, (k,), temperature, block_size=block_size, device=device
    )
    predictions: NDArray[np.int64] = probabilities[k].argmax(axis=1)
    return predictions


def _unit(values: NDArray[np.floating]) -> Tensor:
    """Return rows (N, D) scaled to length 1, in float32."""
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return torch.from_numpy((values / np.maximum(norms, 1e-12)).astype(np.float32, copy=False))


def _nearest(similarities: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Return the largest similarities (B, most) in float64 and their positions, as a stable sort would, on the CPU.

    Args:
        similarities: (B, N).
    """
    num_found = min(most + 1, similarities.shape[1])
    values, positions = similarities.topk(num_found, dim=1)
    if num_found > most:
        # Which of several equally similar images topk takes is left to chance.
        is_tied = values[:, most - 1] == values[:, most]
        if bool(is_tied.any()):
            tied = similarities[is_tied].sort(dim=1, descending=True, stable=True)
            values[is_tied], positions[is_tied] = tied.values[:, :num_found], tied.indices[:, :num_found]
    positions, order = positions[:, :most].sort(dim=1)
    values, order_of_values = values[:, :most].gather(1, order).sort(dim=1, descending=True, stable=True)
    return values.cpu().double(), positions.gather(1, order_of_values).cpu()
