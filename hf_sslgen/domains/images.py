"""The images of a split: on disk, reached by position, or as a stream."""

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset, IterableDataset, concatenate_datasets
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from hf_sslgen.domains.annotations import Annotations, Kind
from hf_sslgen.domains.columns import LabelEncoding
from hf_sslgen.domains.object_regions import read_boxes, read_mask
from hf_sslgen.domains.splits import content_id, is_held_out
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import CorruptImageError, StoredPicture, decode_image, encoded_bytes, stored_picture

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Labelled images that can be reached by position.

    Attributes:
        name: the published split the images come from.
        dataset: that split, with an undecoded `image` column.
        sample_ids: (N,) rows of `dataset` that belong here; they identify images in all records.
        labels: (N,) class indices.
        annotations: what more is known of that split's rows, where the domain has such columns.
    """

    name: str
    dataset: Dataset
    sample_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    annotations: Annotations | None = None

    def __len__(self) -> int:
        return len(self.sample_ids)

    def encoded(self, position: int) -> dict[str, Any] | None:
        """The undecoded image at a position."""
        value: dict[str, Any] | None = self.dataset[int(self.sample_ids[position])]["image"]
        return value

    def image(self, position: int) -> Image.Image:
        """The RGB image at a position; raises CorruptImageError naming it."""
        row = int(self.sample_ids[position])
        return decode_image(self.encoded(position), f"image {row} of split {self.name!r}")

    def stored(self, position: int) -> StoredPicture:
        """Size and orientation of the image at a position, from its header; raises as `image` does."""
        row = int(self.sample_ids[position])
        return stored_picture(self.encoded(position), f"image {row} of split {self.name!r}")

    def has(self, kind: Kind) -> bool:
        """Whether the domain has a column of boxes, masks or pairs."""
        return self.annotations is not None and kind in self.annotations.columns.named()

    def boxes(self, position: int) -> NDArray[np.float64]:
        """(K, 4), x0, y0, x1, y1 in pixels of `image(position)`; `read_boxes` has the conventions and the errors."""
        annotations = self._annotations("box")
        value, where = annotations.value("box", int(self.sample_ids[position]), self.name)
        return read_boxes(value, annotations.columns.box_format, self.stored(position), where)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """(height, width) of `image(position)`, True on the object; `read_mask` has the conventions and the errors."""
        value, where = self._annotations("mask").value("mask", int(self.sample_ids[position]), self.name)
        return read_mask(value, self.stored(position), where)

    def pair_keys(self) -> NDArray[np.int64]:
        """(N,) a number for the object, burst or patient that an image shows; -1 where the data set names none."""
        return self._annotations("pair").pair_codes()[self.sample_ids]

    def _annotations(self, kind: Kind) -> Annotations:
        if self.annotations is None or not self.has(kind):
            raise InputError(f"split {self.name!r} has no {kind} column; name it with --{kind}_column_name")
        return self.annotations

    def select(self, positions: NDArray[np.int64]) -> "ImageSplit":
        """The images at these positions."""
        return replace(self, sample_ids=self.sample_ids[positions], labels=self.labels[positions])

    def without_corrupt(self) -> tuple["ImageSplit", int]:
        """The images that can be decoded, and how many can't; decodes each once."""
        good = []
        for position in tqdm(range(len(self)), desc=f"checking {self.name}", disable=None, leave=False):
            try:
                self.image(position)
            except CorruptImageError as error:
                logger.warning("left out: %s", error)
            else:
                good.append(position)
        return self.select(np.array(good, dtype=np.int64)), len(self) - len(good)

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of the images' files, labels and annotations, in order."""
        digest = hashlib.blake2b(self.labels.tobytes(), digest_size=8)
        for position in range(len(self)):
            digest.update(hashlib.blake2b(encoded_bytes(self.encoded(position)), digest_size=8).digest())
            if self.annotations is not None:
                for content in self.annotations.contents(int(self.sample_ids[position])):
                    digest.update(hashlib.blake2b(content, digest_size=8).digest())
        return digest.hexdigest()


def joined(first: ImageSplit, second: ImageSplit) -> ImageSplit:
    """The images of both, those of `first` in front.

    Sample ids stay where both come from one published split; otherwise those of `second` continue after the last row
    of `first`'s.
    """
    labels = np.concatenate([first.labels, second.labels])
    if first.dataset is second.dataset:
        return replace(first, sample_ids=np.concatenate([first.sample_ids, second.sample_ids]), labels=labels)
    return ImageSplit(
        f"{first.name}+{second.name}",
        concatenate_datasets([first.dataset, second.dataset]),
        np.concatenate([first.sample_ids, second.sample_ids + len(first.dataset)]),
        labels,
        Annotations.joined(first.annotations, second.annotations),
    )


@dataclass(frozen=True, eq=False)
class StreamedImage:
    """One image of a stream; `sample_id` is derived from its content."""

    image: Image.Image
    label: int
    sample_id: int


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Labelled images that arrive in order, without the part held out for validation.

    Attributes:
        dataset: undecoded column `image` and raw column `label`.
        held_out_fraction: share of the images, chosen by content, that is left to validation.
        shuffle_buffer_size: 0 keeps the stored order.
    """

    name: str
    dataset: IterableDataset
    encoding: LabelEncoding
    held_out_fraction: float
    seed: int
    shuffle_buffer_size: int
    skip_corrupt: bool

    def rows(
        self, held_out: bool, dataset: IterableDataset | None = None
    ) -> Iterator[tuple[int, dict[str, Any] | None, int]]:
        """Content id, undecoded image and class index of the images on one side of the validation cut."""
        for row, example in enumerate(dataset if dataset is not None else self.dataset):
            identity = content_id(encoded_bytes(example["image"]))
            if is_held_out(identity, self.held_out_fraction, self.seed) == held_out:
                (label,) = self.encoding.encode([example["label"]], f"{self.name} (row {row} of the stream)")
                yield identity, example["image"], int(label)

    def one_pass(self, epoch: int) -> Iterator[StreamedImage]:
        """Every training image once, in an order that depends on the seed and the epoch."""
        dataset = self.dataset
        if self.shuffle_buffer_size > 0:
            dataset = dataset.shuffle(seed=self.seed, buffer_size=self.shuffle_buffer_size)
            dataset.set_epoch(epoch)
        skipped = 0
        for identity, value, label in self.rows(held_out=False, dataset=dataset):
            try:
                image = decode_image(value, f"an image (id {identity}) of the streamed split {self.name!r}")
            except CorruptImageError as error:
                if not self.skip_corrupt:
                    raise
                skipped += 1
                logger.warning("left out (%d so far): %s", skipped, error)
            else:
                yield StreamedImage(image, label, identity)
