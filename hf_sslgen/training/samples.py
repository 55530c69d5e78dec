"""Samples for the Trainer's data loaders: images with their augmentation, order and identity.

The order of an epoch depends on (seed, epoch) and an image's augmentation on (seed, epoch, sample id), never on the
state of a worker or process, so a resumed run sees the same samples as an uninterrupted one.
"""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler
from tqdm.auto import tqdm

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.streaming.stream_shards import read_ahead
from hf_sslgen.domains.streaming.training_stream import ImageStream, StreamedImage
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.randomness import derive_seed
from hf_sslgen.training.picture_cache import CachedPictures
from hf_sslgen.training.random_crop import Augmentation

Sample = dict[str, Any]
StreamKey = tuple[int, int, StreamedImage | None]


class EpochOrder(Sampler[tuple[int, int]]):
    """A permutation of the images that depends only on the seed and the epoch.

    It yields (epoch, position), so that a dataset knows the epoch in any worker.

    Attributes:
        start: number of images of the epoch to skip because they were seen before an interruption.
    """

    def __init__(self, num_images: int, seed: int) -> None:
        self.num_images = num_images
        self.seed = seed
        self.epoch = 0
        self.start = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_images - self.start

    def __iter__(self) -> Iterator[tuple[int, int]]:
        generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", self.epoch))
        for position in torch.randperm(self.num_images, generator=generator).tolist()[self.start :]:
            yield self.epoch, position


class TrainingSamples(Dataset[Sample]):
    """Augmented images of a split, by (epoch, position).

    Args:
        decoded: keeps the pictures as decoded; None decodes each anew.
    """

    def __init__(
        self,
        split: ImageSplit,
        geometry: Geometry,
        augmentation: Augmentation,
        seed: int,
        decoded: CachedPictures | None = None,
    ) -> None:
        self.split, self.geometry, self.augmentation, self.seed = split, geometry, augmentation, seed
        self.decoded = decoded

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        epoch, position = key
        sample_id = int(self.split.sample_ids[position])
        seed = derive_seed(self.seed, "augmentation", epoch, sample_id)
        picture = self._decode(position) if self.decoded is None else self.decoded.get(position, self._decode)
        pixels = self.augmentation(picture, self.geometry, seed)
        return {"pixels": pixels, "labels": int(self.split.labels[position]), "sample_ids": sample_id}

    def _decode(self, position: int) -> NDArray[np.uint8]:
        return np.asarray(self.split.image(position))


class SourceImages(Dataset[tuple[Tensor, int]]):
    """Images of a pretraining source at their training size, by (epoch, position).

    Every epoch reads all of them, so they are decoded once and cached if they fit into `CACHE_BYTES` of memory.
    """

    CACHE_BYTES = 2 * 1024**3

    def __init__(self, split: ImageSplit, geometry: Geometry) -> None:
        self.split, self.geometry = split, geometry
        self.cache: Tensor | None = None
        if len(split) * 3 * geometry.image_size**2 <= self.CACHE_BYTES:
            positions = tqdm(range(len(split)), desc=f"decoding {split.name}", disable=None, leave=False)
            self.cache = torch.stack([self._decoded(position) for position in positions])

    def _decoded(self, position: int) -> Tensor:
        return evaluation_pixels(self.split.image(position), self.geometry)

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int]:
        _, position = key
        pixels = self.cache[position] if self.cache is not None else self._decoded(position)
        return pixels, int(self.split.labels[position])


class EvaluationSamples(Dataset[Sample]):
    """Images of a split with evaluation preprocessing, by position.

    Args:
        prepared: keeps their pixels; None prepares each anew.
    """

    def __init__(self, split: ImageSplit, geometry: Geometry, prepared: CachedPictures | None = None) -> None:
        self.split, self.geometry = split, geometry
        self.prepared = prepared

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, position: int) -> Sample:
        pixels = self._prepare(position) if self.prepared is None else self.prepared.get(position, self._prepare)
        return {
            "pixels": torch.from_numpy(pixels).permute(2, 0, 1),
            "labels": int(self.split.labels[position]),
            "sample_ids": int(self.split.sample_ids[position]),
        }

    def _prepare(self, position: int) -> NDArray[np.uint8]:
        return evaluation_pixels(self.split.image(position), self.geometry).permute(1, 2, 0).contiguous().numpy()


class StreamOrder(Sampler[StreamKey]):
    """The undecoded images of a stream, in endless passes (training stops at `max_steps`).

    It yields (epoch, position in the epoch, image). The stream is read in the process that assembles batches, so the
    order does not depend on the number of workers, which only decode and augment. Each process reads the whole stream
    and takes the batches that Accelerate assigns to it; sharding the stream as well would lose images.

    Attributes:
        start: number of initial images that are not needed because they were seen before an interruption. They are
            yielded as None if whole passes of a known size need not be read.
    """

    READ_AHEAD = 128

    def __init__(self, stream: ImageStream) -> None:
        self.stream = stream
        self.start = 0

    def _passes(self) -> Iterator[StreamKey]:
        handed_out = size = 0
        for epoch in itertools.count():
            if 0 < size <= self.start - handed_out:
                yield from ((epoch, position, None) for position in range(size))
            else:
                size = 0
                for size, streamed in enumerate(self.stream.one_pass(epoch), start=1):
                    yield epoch, size - 1, streamed
            if size == 0:
                raise InputError(f"split {self.stream.name!r} is empty; every split needs at least one image")
            handed_out += size

    def __iter__(self) -> Iterator[StreamKey]:
        return read_ahead(self._passes(), self.READ_AHEAD)


class StreamedTrainingSamples(Dataset[Sample]):
    """Augmented images of a stream, indexed by the items of its `StreamOrder`; it has no length."""

    def __init__(self, stream: ImageStream, geometry: Geometry, augmentation: Augmentation, seed: int) -> None:
        self.stream, self.geometry, self.augmentation, self.seed = stream, geometry, augmentation, seed

    def __getitem__(self, key: StreamKey) -> Sample:
        epoch, position, streamed = key
        assert streamed is not None
        seed = derive_seed(self.seed, "augmentation", epoch, position, streamed.sample_id)
        pixels = self.augmentation(streamed.image, self.geometry, seed)
        return {"pixels": pixels, "labels": streamed.label, "sample_ids": streamed.sample_id}


def collate(samples: list[Sample]) -> dict[str, Tensor]:
    """Stack samples; `pixel_values` (B, 3, S, S) are bytes that lie channels last, to be normalised on the device."""
    return {
        "pixel_values": torch.stack([sample["pixels"].permute(1, 2, 0) for sample in samples]).permute(0, 3, 1, 2),
        "labels": torch.tensor([sample["labels"] for sample in samples]),
        "sample_ids": torch.tensor([sample["sample_ids"] for sample in samples]),
    }
