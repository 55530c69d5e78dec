"""How a backbone is measured, and the images that serve attribution and invariance."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.grad_cam import Target
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.zoo.loading import LoadedBackbone


@dataclass(frozen=True)
class AnalysisSettings:
    """How a backbone is measured.

    Attributes:
        transforms: preset of transforms.
        max_subset: images (a fixed, stratified part of the test split) for attribution and invariance.
        target: which score of the predicted class is attributed.
        attribution_layer: module to attribute instead of the one the rule finds.
        num_examples: images whose maps are kept to be shown.
    """

    transforms: str = "quick"
    max_subset: int = 1000
    seed: int = 0
    target: Target = "centred"
    attribution_layer: str | None = None
    num_examples: int = 8
    batch_size: int = 64


def analysis_subset(split: ImageSplit, settings: AnalysisSettings) -> ImageSplit:
    """The images that serve attribution and invariance; the same for every backbone of a domain."""
    return split.select(stratified_subset(split.labels, settings.max_subset, settings.seed))


def subset_pixels(backbone: LoadedBackbone, subset: ImageSplit) -> Tensor:
    """(N, 3, S, S) bytes."""
    geometry = backbone.preprocessing.geometry
    return torch.stack([evaluation_pixels(subset.image(position), geometry) for position in range(len(subset))])


def example_positions(subset: ImageSplit, settings: AnalysisSettings) -> NDArray[np.int64]:
    """Positions of the images to show, spread over the classes."""
    return stratified_subset(subset.labels, min(settings.num_examples, len(subset)), settings.seed)
