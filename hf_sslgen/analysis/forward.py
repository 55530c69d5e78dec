"""Forward passes that yield logits and the features that enter the classifier."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from transformers import PreTrainedModel

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.preprocessing import normalise
from hf_sslgen.training.evaluation import Predictions, reduce_logits
from hf_sslgen.training.samples import EvaluationSamples
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.loading import LoadedBackbone


@contextmanager
def captured_features(model: PreTrainedModel) -> Iterator[list[Tensor]]:
    """Inside the block, every forward pass appends the (B, D) input of its classifier to the list."""
    captured: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        captured.append(inputs[0].detach().flatten(1).float())

    handle = find_classifier(model)[1].register_forward_pre_hook(keep)
    try:
        yield captured
    finally:
        handle.remove()


def default_device() -> torch.device:
    """The accelerator where there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def place(backbone: LoadedBackbone) -> None:
    """Move a backbone to the device that measures."""
    nn.Module.to(backbone.model, default_device())


@torch.inference_mode()
def run_pixels(
    backbone: LoadedBackbone, pixels: Tensor, batch_size: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """What a backbone makes of pixels at the network's input resolution.

    Args:
        pixels: (N, 3, S, S) bytes, or floats in [0, 1], before normalisation.

    Returns:
        (N, D) features, which enter the classifier, and the (N,) classes that it predicts.
    """
    model = backbone.model
    predictions = []
    with captured_features(model) as captured:
        for batch in pixels.split(batch_size):
            logits = model(pixel_values=normalise(batch.to(model.device), backbone.preprocessing)).logits
            predictions.append(logits.float().cpu().numpy().argmax(axis=1))
    return torch.cat(captured).cpu().numpy(), np.concatenate(predictions)


def encode(backbone: LoadedBackbone, pixels: Tensor, batch_size: int) -> NDArray[np.float32]:
    """The features of `run_pixels`."""
    return run_pixels(backbone, pixels, batch_size)[0]


@dataclass(frozen=True, eq=False)
class SplitOutputs:
    """What one pass over a split yields: predictions by the classifier, features (N, D), in the split's order."""

    predictions: Predictions
    features: NDArray[np.float32]


@torch.inference_mode()
def run_split(backbone: LoadedBackbone, split: ImageSplit, batch_size: int, num_workers: int = 0) -> SplitOutputs:
    """One pass over the images of a split, in order."""
    model = backbone.model
    loader = DataLoader(
        EvaluationSamples(split, backbone.preprocessing.geometry), batch_size=batch_size, num_workers=num_workers
    )
    columns: list[tuple[Tensor, ...]] = []
    with captured_features(model) as captured:
        for batch in tqdm(loader, desc=f"{backbone.name}: {split.name}", disable=None, leave=False):
            logits = model(pixel_values=normalise(batch["pixels"].to(model.device), backbone.preprocessing)).logits
            columns.append(reduce_logits(logits.cpu(), batch["labels"]))
    reduced = (torch.cat(column).numpy() for column in zip(*columns, strict=True))
    return SplitOutputs(Predictions(split.sample_ids, split.labels, *reduced), torch.cat(captured).cpu().numpy())
