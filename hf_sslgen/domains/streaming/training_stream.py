"""Training images of a stream, pass after pass."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from datasets import IterableDataset
from PIL import Image

from hf_sslgen.decoding import CorruptImageError, decode_image, encoded_bytes
from hf_sslgen.domains.annotations import is_missing
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.labels import LabelEncoding
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.domains.sizes import ExpectedSize
from hf_sslgen.domains.splits import content_id, is_held_out
from hf_sslgen.domains.streaming.stream_shards import Row, mixed_order, stored_order, through_buffer
from hf_sslgen.intensity import STATED, Intensity
from hf_sslgen.randomness import derive_seed

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class StreamedImage:
    """One image of a stream.

    Attributes:
        value: undecoded, with its bytes.
        sample_id: derived from its content.
        split: the published split that it comes from.
        intensity: the stored values that map to black and white.
    """

    value: dict[str, Any] | None
    label: int
    sample_id: int
    split: str
    intensity: Intensity = STATED

    @property
    def where(self) -> str:
        """Describe the image, for errors."""
        return f"an image (id {self.sample_id}) of the streamed split {self.split!r}"

    @property
    def image(self) -> Image.Image:
        """Decode the RGB image, on every call; raises CorruptImageError naming it."""
        return decode_image(self.value, self.where, self.intensity)


@dataclass(frozen=True, eq=False)
class ImageStream:
    """Labelled images read in sequence, without the part held out for validation.

    Attributes:
        dataset: undecoded column `image` and raw columns `label` and, with a `group_column`, `group`.
        held_out_fraction: share of the images or groups, chosen by content, that is held out for validation.
        shuffle_buffer_size: 0 keeps the stored order.
        found: the dataset on the Hub; None for a local one.
        expected_size: size of the whole split including held-out images, checked at the end of each pass; None if
            unknown.
        files: the files that its rows may refer to.
        intensity: the stored values that map to black and white.
        group_column: the dataset's column behind `dataset`'s column `group`; images with equal values of it are held
            out together. None without such a column.
    """

    name: str
    dataset: IterableDataset
    encoding: LabelEncoding
    held_out_fraction: float
    seed: int
    shuffle_buffer_size: int
    skip_corrupt: bool
    found: HubDataset | None = None
    expected_size: ExpectedSize | None = None
    files: PictureFiles = BYTES_ONLY
    intensity: Intensity = STATED
    group_column: str | None = None

    def held_out(self) -> Iterator[StreamedImage]:
        """Iterate over the validation images, in stored order."""
        return self._read(self._stored_order(), held_out=True)

    def one_pass(self, epoch: int) -> Iterator[StreamedImage]:
        """Iterate over every training image once, in an order determined by the seed and the epoch."""
        seed = derive_seed(self.seed, "pass", epoch)
        if self.shuffle_buffer_size == 0:
            yield from self._usable(self._read(self._stored_order(), held_out=False))
            return
        images = self._read(mixed_order(self.dataset, "image", self.found, seed, self.files), held_out=False)
        yield from through_buffer(self._usable(images), self.shuffle_buffer_size, seed)

    def _stored_order(self) -> Iterator[Row]:
        return stored_order(self.dataset, "image", self.found, self.files)

    def _read(self, rows: Iterator[Row], held_out: bool) -> Iterator[StreamedImage]:
        """Iterate over the images on one side of the validation split."""
        number = -1
        for number, row in enumerate(rows):
            if not self.skip_corrupt:
                encoded_bytes(row["image"], f"row {number} of the streamed split {self.name!r}")
            value = row["image"] or {"bytes": None, "path": None}
            identity = content_id(value["bytes"] or str(value["path"]).encode())
            if is_held_out(self._together(row, identity), self.held_out_fraction, self.seed) == held_out:
                (label,) = self.encoding.encode([row["label"]], f"{self.name} (row {number} of the stream)")
                yield StreamedImage(row["image"], int(label), identity, self.name, self.intensity)
        if self.expected_size is not None:
            self.expected_size.check(number + 1)

    def _together(self, row: Row, identity: int) -> int:
        """Return a number that images of one group share; that of the image itself if it has no group."""
        if self.group_column is None or is_missing(row["group"]):
            return identity
        return content_id(repr(row["group"]).encode())

    def _usable(self, images: Iterator[StreamedImage]) -> Iterator[StreamedImage]:
        """Skip images that can't be decoded, if requested."""
        skipped = 0
        for each in images:
            if self.skip_corrupt:
                try:
                    _ = each.image
                except CorruptImageError as error:
                    skipped += 1
                    logger.warning("left out (%d so far): %s", skipped, error)
                    continue
            yield each

    def fingerprint(self) -> str:
        """Describe what determines the images and their order, as far as it is known before reading."""
        source = "" if self.found is None else f" from {self.found}"
        return (
            f"streamed{source}, {self.held_out_fraction:g} held out, seed {self.seed}, shuffle buffer "
            f"{self.shuffle_buffer_size}{'' if self.intensity.is_stated else f', intensities {self.intensity}'}"
            f"{'' if self.group_column is None else f', groups {self.group_column!r}'}"
        )
