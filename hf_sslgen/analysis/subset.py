"""The images of a test split that serve attribution and invariance."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.decoded_pictures import decoded_ahead
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


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


def subset_pixels(backbone: LoadedBackbone, subset: ImageSplit, keep: bool = False) -> Tensor:
    """Return pixels (N, 3, S, S), bytes; with `keep`, they stay in memory for the next backbone."""
    (pixels,) = decoded_ahead(subset, backbone.preprocessing.geometry, len(subset), keep)
    return pixels


def others_of(split: ImageSplit, subset: ImageSplit) -> ImageSplit:
    """Return the images of a split that are not in its subset."""
    return split.select(np.flatnonzero(~np.isin(split.sample_ids, subset.sample_ids)))


def example_positions(subset: ImageSplit, settings: AnalysisSettings) -> NDArray[np.int64]:
    """Choose positions of example images, spread over the classes."""
    return stratified_subset(subset.labels, min(settings.num_examples, len(subset)), settings.seed)
