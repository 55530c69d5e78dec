"""One pass over a split for its logits and features."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from hf_sslgen.analysis.analysis_settings import Compute
from hf_sslgen.analysis.batches import Batches
from hf_sslgen.analysis.network import Network, PassOutputs, measuring
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.training.evaluation import Predictions, reduce_logits
from hf_sslgen.training.samples import EvaluationSamples
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


@dataclass(frozen=True, eq=False)
class SplitOutputs:
    """What one pass over a split yields: predictions by the classifier, features (N, D), in the split's order."""

    predictions: Predictions
    features: NDArray[np.float32]


def _run(network: Network, pixels: Tensor, part: slice) -> PassOutputs:
    return network(pixels[part])


def run_split(
    backbone: LoadedBackbone, split: ImageSplit, batch_size: int, compute: Compute | None = None
) -> SplitOutputs:
    """One pass over the images of a split, in order."""
    samples = EvaluationSamples(split, backbone.preprocessing.geometry)
    columns: list[tuple[Tensor, ...]] = []
    features: list[Tensor] = []
    batches = Batches(batch_size)
    with measuring(backbone, compute) as network, torch.inference_mode():
        for batch in tqdm(
            DataLoader(samples, batch_size=batch_size), f"{backbone.name}: {split.name}", disable=None, leave=False
        ):
            pixels = batch["pixels"]
            parts = batches.map(len(pixels), partial(_run, network, pixels))
            logits = torch.cat([part.logits.cpu() for part in parts])
            columns.append(reduce_logits(logits, batch["labels"]))
            features += [part.features.cpu() for part in parts]
    reduced = (torch.cat(column).numpy() for column in zip(*columns, strict=True))
    return SplitOutputs(Predictions(split.sample_ids, split.labels, *reduced), torch.cat(features).numpy())
