"""The images of a split that can be reached by position."""

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import Any, Protocol

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
    """Rows with an undecoded picture each: a `Dataset`, or what was kept of a stream."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> dict[str, Any]: ...


@dataclass(frozen=True, eq=False)
class ImageSplit:
    """Labelled images that can be reached by position.

    Attributes:
        name: the published split the images come from.
        dataset: that split, with an undecoded `image` column.
        sample_ids: (N,) rows of `dataset` that belong here; they identify images in all records.
        labels: (N,) class indices.
        annotations: what more is known of that split's rows, where the domain has such columns.
        files: which files its rows may name.
        intensity: which stored values are black and white.
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
        """The undecoded image at a position, with the bytes of its file or the reason why it has none."""
        return self.files.read(self.dataset[int(self.sample_ids[position])]["image"])

    def where(self, position: int) -> str:
        """What errors call the image at a position."""
        return f"image {int(self.sample_ids[position])} of split {self.name!r}"

    def image(self, position: int) -> Image.Image:
        """The RGB image at a position; raises CorruptImageError naming it."""
        return decode_image(self.encoded(position), self.where(position), self.intensity)

    def stored(self, position: int) -> StoredPicture:
        """Size and orientation of the image at a position, from its header; raises as `image` does."""
        return stored_picture(self.encoded(position), self.where(position))

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
        """Sixteen hexadecimal digits of the images' files, sample ids, labels and annotations, in order, and of how
        they are read.

        Raises:
            CorruptImageError: a file that a row names can't be read.
        """
        digest = hashlib.blake2b(self.labels.tobytes(), digest_size=8)
        digest.update(self.sample_ids.tobytes())  # by which records of two backbones are paired
        if self.annotations is not None:
            digest.update(repr(self.annotations.meaning).encode())
        if not self.intensity.is_stated:
            digest.update(str(self.intensity).encode())
        for position in range(len(self)):
            encoded = encoded_bytes(self.encoded(position), self.where(position))
            digest.update(hashlib.blake2b(encoded, digest_size=8).digest())
            if self.annotations is not None:
                for content in self.annotations.contents(int(self.sample_ids[position]), self.name):
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
