"""How a backbone is measured, and the images that serve attribution and invariance."""

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
"""Names of `attribution.ATTRIBUTION_METHODS`, as options and study files have them."""

TransformPreset = Literal["quick", "standard", "full"]
"""Names of `transforms.PRESETS`."""


@dataclass(frozen=True)
class AnalysisSettings:
    """How a backbone is measured.

    Attributes:
        transforms: preset of transforms.
        max_subset: images (a fixed, stratified part of the test split) for attribution and invariance.
        attribution_method: how attribution is computed; by `occlusion`, which asks no classifier, in the pretrained
            stage too.
        reinitialised_control: whether the same network with fresh weights is attributed beside it.
        randomisation_cascade: whether maps are also compared with those of networks of which only a part, from the
            head on, has fresh weights; with `reinitialised_control` only.
        target: which score of a class is attributed.
        attributed_class: the class that the network predicts, or the true one.
        attribution_layer: module to attribute instead of the one the rule finds.
        num_examples: images whose maps are kept to be shown.
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
        """How its forward passes are computed."""
        return Compute(self.precision, self.channels_last, self.compile)


def analysis_subset(split: ImageSplit, settings: AnalysisSettings) -> ImageSplit:
    """The images that serve attribution and invariance; the same for every backbone of a domain."""
    return split.select(stratified_subset(split.labels, settings.max_subset, settings.seed))


def evaluation_batch(split: ImageSplit, positions: range, geometry: Geometry) -> Tensor:
    """(B, 3, S, S) bytes of the images at these positions, decoded by as many threads as torch computes with."""

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
    """The images of a split that are not in its subset."""
    return split.select(np.flatnonzero(~np.isin(split.sample_ids, subset.sample_ids)))


def example_positions(subset: ImageSplit, settings: AnalysisSettings) -> NDArray[np.int64]:
    """Positions of the images to show, spread over the classes."""
    return stratified_subset(subset.labels, min(settings.num_examples, len(subset)), settings.seed)
