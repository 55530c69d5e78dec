"""Features and labels of the images that a probe is fitted on, by position or from a stream."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.one_pass import split_features
from hf_sslgen.analysis.pass_shards import ALONE, Run
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.streaming.training_stream import ImageStream, StreamedImage
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_loading import LoadedBackbone

STREAMED_AT_ONCE = 1024
"""Images of a stream held in memory, undecoded, while they pass the trunk."""


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """Features (N, D) of images and their labels (N,)."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]


class _Pictures:
    """Undecoded pictures in memory, in the form of a `Dataset` with the single column `image`."""

    def __init__(self, images: Sequence[StreamedImage]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return {"image": self.images[row].value}


def training_features(
    backbone: LoadedBackbone, train: ImageSplit | ImageStream, settings: AnalysisSettings, run: Run = ALONE
) -> LabelledFeatures:
    """Return the features of the training images; a stream is read once, and fills the store as it passes.

    Raises:
        InputError: a stream is empty.
    """
    if isinstance(train, ImageSplit):
        return LabelledFeatures(split_features(backbone, train, settings, run), train.labels)
    images, features, labels = train.one_pass(epoch=0), [], []
    while some := list(itertools.islice(images, STREAMED_AT_ONCE)):
        of_some = np.array([image.label for image in some], dtype=np.int64)
        part = ImageSplit(train.name, _Pictures(some), np.arange(len(some)), of_some, intensity=train.intensity)
        features.append(split_features(backbone, part, settings, run))
        labels.append(of_some)
    if not features:
        raise InputError(f"split {train.name!r} is empty; every split needs at least one image")
    return LabelledFeatures(np.concatenate(features), np.concatenate(labels))
