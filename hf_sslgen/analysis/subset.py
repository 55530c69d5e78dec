"""Settings for measuring a backbone, and the images used for attribution and invariance."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.grad_cam import Target
from hf_sslgen.analysis.network import Compute, Precision
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.preprocessing import Geometry, evaluation_pixels
from hf_sslgen.settings import check_fields, ranged
from hf_sslgen.zoo.backbone_loading import LoadedBackbone

AttributionMethod = Literal["grad_cam", "integrated_gradients", "gradient_x_activation", "occlusion"]
"""Names of `attribution.ATTRIBUTION_METHODS`, for options and study files."""

TransformPreset = Literal["quick", "standard", "full"]
"""Names of `transforms.PRESETS`."""


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings for measuring a backbone.

    Attributes:
        transforms: preset of transforms.
        max_subset: number of images (a fixed, stratified part of the test split) for attribution and invariance.
        attribution_method: attribution method; `occlusion`, which needs no classifier, also applies to the pretrained
            stage.
        reinitialised_control: whether to attribute the same network with fresh weights too.
        randomisation_cascade: whether to compare maps also with those of networks in which only a part, starting at
            the head, has fresh weights; needs `reinitialised_control`.
        target: the score of a class to attribute.
        attributed_class: the predicted class or the true one.
        attribution_layer: module to attribute instead of the one found by rule.
        num_examples: number of images whose maps are stored for display.
        precision, channels_last, compile: as in `network.Compute`.
    """

    transforms: TransformPreset = "quick"
    max_subset: int = ranged(1000, at_least=1)
    seed: int = ranged(0, at_least=0, at_most=2**32 - 1)
    attribution_method: AttributionMethod = "grad_cam"
    reinitialised_control: bool = False
    randomisation_cascade: bool = False
    target: Target = "centred"
    attributed_class: Literal["predicted", "true"] = "predicted"
    attribution_layer: str | None = None
    num_examples: int = ranged(8, at_least=1)
    batch_size: int = ranged(64, at_least=1)
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def compute(self) -> Compute:
        """How forward passes are computed."""
        return Compute(self.precision, self.channels_last, self.compile)


def analysis_subset(split: ImageSplit, settings: AnalysisSettings) -> ImageSplit:
    """Return the images for attribution and invariance, identical for every backbone on a domain."""
    return split.select(stratified_subset(split.labels, settings.max_subset, settings.seed))


def evaluation_batch(split: ImageSplit, positions: range, geometry: Geometry) -> Tensor:
    """Decode the images at these positions to (B, 3, S, S) bytes, with as many threads as torch uses."""

    def decoded(position: int) -> Tensor:
        return evaluation_pixels(split.image(position), geometry)

    side = geometry.image_size
    pixels = torch.empty(len(positions), 3, side, side, dtype=torch.uint8)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        for row, image in zip(pixels, threads.map(decoded, positions), strict=True):
            row.copy_(image)
    return pixels


def subset_pixels(backbone: LoadedBackbone, subset: ImageSplit) -> Tensor:
    """(N, 3, S, S) bytes."""
    return evaluation_batch(subset, range(len(subset)), backbone.preprocessing.geometry)


def others_of(split: ImageSplit, subset: ImageSplit) -> ImageSplit:
    """Return the images of a split that are not in its subset."""
    return split.select(np.flatnonzero(~np.isin(split.sample_ids, subset.sample_ids)))


def example_positions(subset: ImageSplit, settings: AnalysisSettings) -> NDArray[np.int64]:
    """Choose positions of example images, spread over the classes."""
    return stratified_subset(subset.labels, min(settings.num_examples, len(subset)), settings.seed)
