"""k-nearest neighbours on the source's held-out images, to watch what a trunk has learned while it trains."""

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
"""Training images the monitor looks for neighbours among: enough to compare epochs, and quick."""


@torch.inference_mode()
def trunk_features(
    trunk: nn.Module, images: Images, positions: NDArray[np.int64], preprocessing: Preprocessing, batch_size: int = 256
) -> NDArray[np.float32]:
    """(N, D) pooled features of the images at these positions, by a trunk in evaluation mode, in float32."""
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
    """A function from a trunk to its k-NN accuracy on the held-out images, by `BANK_SIZE` training images.

    Lower than by all training images: it compares epochs, and the finished twin is measured by all.
    """
    bank = stratified_subset(train_images.split.labels, BANK_SIZE, seed=0)
    held_out_images = SourceImages(held_out, preprocessing.geometry)

    def monitor(trunk: nn.Module) -> float:
        features = trunk_features(trunk, train_images, bank, preprocessing)
        queries = trunk_features(trunk, held_out_images, np.arange(len(held_out)), preprocessing)
        predictions = knn_predictions(features, train_images.split.labels[bank], queries, num_classes)
        return accuracy(predictions, held_out.labels).accuracy

    return monitor
