"""Monitor a trunk during pretraining by k-nearest neighbours on the source's held-out images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.metrics import accuracy
from hf_sslgen.preprocessing import Preprocessing, normalise
from hf_sslgen.training.pretraining.pretraining_state import Images, Monitor
from hf_sslgen.training.probes import knn_predictions
from hf_sslgen.training.samples import SourceImages

BANK_SIZE = 5000
"""Number of training images that the monitor searches for neighbours: enough to compare epochs, and fast."""


@torch.inference_mode()
def trunk_features(
    trunk: nn.Module, images: Images, positions: NDArray[np.int64], preprocessing: Preprocessing, batch_size: int = 256
) -> NDArray[np.float32]:
    """Return (N, D) float32 pooled features of the images at these positions, with the trunk in evaluation mode."""
    device = next(trunk.parameters()).device
    features = []
    for start in range(0, len(positions), batch_size):
        chosen = [images[(0, int(position))][0] for position in positions[start : start + batch_size]]
        pixels = normalise(torch.stack(chosen).to(device), preprocessing)
        features.append(trunk(pixels.contiguous(memory_format=torch.channels_last)).float().cpu())
    return torch.cat(features).numpy()


def knn_monitor(
    train_images: SourceImages, held_out: ImageSplit, num_classes: int, preprocessing: Preprocessing
) -> Monitor:
    """Return a function that measures a trunk's k-NN accuracy on held-out images, using `BANK_SIZE` training images.

    The accuracy is lower than with all training images; it serves to compare epochs, and the finished twin is measured
    with all of them.
    """
    bank = stratified_subset(train_images.split.labels, BANK_SIZE, seed=0)
    held_out_images = SourceImages(held_out, preprocessing.geometry)

    def monitor(trunk: nn.Module) -> float:
        features = trunk_features(trunk, train_images, bank, preprocessing)
        queries = trunk_features(trunk, held_out_images, np.arange(len(held_out)), preprocessing)
        predictions = knn_predictions(features, train_images.split.labels[bank], queries, num_classes)
        return accuracy(predictions, held_out.labels).accuracy

    return monitor
