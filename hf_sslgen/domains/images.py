"""Images of a split with access by position."""

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from datasets import Dataset, concatenate_datasets
from numpy.typing import NDArray
from PIL import Image
from tqdm.auto import tqdm

from hf_sslgen.decoding import CorruptImageError, StoredPicture, decode_image, encoded_bytes, stored_picture
from hf_sslgen.domains.annotations import Annotations, Kind
from hf_sslgen.domains.object_regions import read_boxes, read_mask
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import STATED, Intensity

logger = logging.getLogger(__name__)


class EncodedImages(Protocol):
    """Rows with one undecoded picture each: a `Dataset`, or a stored part of a stream."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> dict[str, Any]: ...


_row_digests: WeakKeyDictionary[EncodedImages, dict[int, bytes]] = WeakKeyDictionary()
"""Digests of the pictures hashed so far, by published split and row."""


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Labelled images with access by position.

    Attributes:
        name: the published split that the images come from.
        dataset: that split, with an undecoded `image` column.
        sample_ids: (N,) rows of `dataset` that belong here; they identify images in all records.
        labels: (N,) class indices.
        annotations: further annotations of that split's rows, if the domain has such columns.
        files: the files that its rows may refer to.
        intensity: the stored values that map to black and white.
    """

    name: str
    dataset: EncodedImages
    sample_ids: NDArray[np.int64]
    labels: NDArray[np.int64]
    annotations: Annotations | None = None
    files: PictureFiles = BYTES_ONLY
    intensity: Intensity = STATED

    def __len__(self) -> int:
        return len(self.sample_ids)

    def encoded(self, position: int) -> dict[str, Any] | None:
        """Return the undecoded image at a position, with its file's bytes or the reason why they are missing."""
        return self.files.read(self.dataset[int(self.sample_ids[position])]["image"])

    def where(self, position: int) -> str:
        """Describe the image at a position, for errors."""
        return f"image {int(self.sample_ids[position])} of split {self.name!r}"

    def image(self, position: int) -> Image.Image:
        """Return the RGB image at a position; raises CorruptImageError naming it."""
        return decode_image(self.encoded(position), self.where(position), self.intensity)

    def stored(self, position: int) -> StoredPicture:
        """Read size and orientation of the image at a position from its header; raises as `image` does."""
        return stored_picture(self.encoded(position), self.where(position))

    def has(self, kind: Kind) -> bool:
        """Return whether the domain has a column of boxes, masks, pairs or groups."""
        return self.annotations is not None and kind in self.annotations.columns.named()

    def boxes(self, position: int) -> NDArray[np.float64]:
        """Return boxes (K, 4), x0, y0, x1, y1 in pixels of `image(position)`; conventions and errors: `read_boxes`."""
        annotations = self._annotations("box")
        value, where = annotations.value("box", int(self.sample_ids[position]), self.name)
        return read_boxes(value, annotations.columns.box_format, self.stored(position), where)

    def mask(self, position: int) -> NDArray[np.bool_]:
        """Return the mask (height, width) of `image(position)`, True on the object; errors: as `read_mask`."""
        value, where = self._annotations("mask").value("mask", int(self.sample_ids[position]), self.name)
        return read_mask(value, self.stored(position), where)

    def pair_keys(self) -> NDArray[np.int64]:
        """Number (N,) the object, burst or patient that each image shows; -1 where the dataset names none."""
        return self._annotations("pair").pair_codes()[self.sample_ids]

    def group_codes(self) -> NDArray[np.int64]:
        """Number (N,) the group that each image belongs to; the numbers are those of the whole published split."""
        return self._annotations("group").group_codes()[self.sample_ids]

    def group_names(self) -> list[Any]:
        """Name the group of each image; None where the dataset names none."""
        names = self._annotations("group").names("group")
        return [names[row] for row in self.sample_ids]

    def _annotations(self, kind: Kind) -> Annotations:
        if self.annotations is None or not self.has(kind):
            raise InputError(f"split {self.name!r} has no {kind} column; name it with --{kind}_column_name")
        return self.annotations

    def select(self, positions: NDArray[np.int64]) -> "ImageSplit":
        """Return the images at these positions."""
        return replace(self, sample_ids=self.sample_ids[positions], labels=self.labels[positions])

    def without_corrupt(self) -> tuple["ImageSplit", int]:
        """Return the images that can be decoded and the number of those that can't; decodes each once."""
        good = []
        for position in tqdm(range(len(self)), desc=f"checking {self.name}", disable=None, leave=False):
            try:
                self.image(position)
            except CorruptImageError as error:
                logger.warning("left out: %s", error)
            else:
                good.append(position)
        return self.select(np.array(good, dtype=np.int64)), len(self) - len(good)

    def picture_digests(self) -> NDArray[np.uint64]:
        """Hash (N,) the bytes of each picture's file, once for all parts of a published split in this process.

        Raises:
            CorruptImageError: a file that a row refers to can't be read.
        """
        known = _row_digests.setdefault(self.dataset, {})
        for position, row in enumerate(self.sample_ids.tolist()):
            if row not in known:
                encoded = encoded_bytes(self.encoded(position), self.where(position))
                known[row] = hashlib.blake2b(encoded, digest_size=8).digest()
        return np.frombuffer(b"".join(known[row] for row in self.sample_ids.tolist()), dtype=np.uint64)

    def fingerprint(self) -> str:
        """Hash the images' files, sample ids, labels and annotations, in order, and the reading options.

        Returns:
            Sixteen hexadecimal digits.

        Raises:
            CorruptImageError: a file that a row refers to can't be read.
        """
        digest = hashlib.blake2b(self.labels.tobytes(), digest_size=8)
        digest.update(self.sample_ids.tobytes())  # records of two backbones are paired by these
        if self.annotations is not None:
            digest.update(repr(self.annotations.meaning).encode())
        if not self.intensity.is_stated:
            digest.update(str(self.intensity).encode())
        for position, of_picture in enumerate(self.picture_digests()):
            digest.update(of_picture.tobytes())
            if self.annotations is not None:
                for content in self.annotations.contents(int(self.sample_ids[position]), self.name):
                    digest.update(hashlib.blake2b(content, digest_size=8).digest())
        return digest.hexdigest()


def joined(first: ImageSplit, second: ImageSplit) -> ImageSplit:
    """Join two splits, with the images of `first` in front.

    Sample ids stay as they are if both come from one published split; otherwise those of `second` continue after the
    last row of `first`.
    """
    labels = np.concatenate([first.labels, second.labels])
    if first.dataset is second.dataset:
        return replace(first, sample_ids=np.concatenate([first.sample_ids, second.sample_ids]), labels=labels)
    if not (isinstance(first.dataset, Dataset) and isinstance(second.dataset, Dataset)):
        raise InputError(f"splits {first.name!r} and {second.name!r} of a stream can't be joined; drop --streaming")
    return replace(
        first,
        name=f"{first.name}+{second.name}",
        dataset=concatenate_datasets([first.dataset, second.dataset]),
        sample_ids=np.concatenate([first.sample_ids, second.sample_ids + len(first.dataset)]),
        labels=labels,
        annotations=Annotations.joined(first.annotations, second.annotations),
    )
