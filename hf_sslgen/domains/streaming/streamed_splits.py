"""Evaluation splits of a stream, written to a private folder as they arrive and read from there."""

import atexit
import functools
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import Dataset, Features, IterableDataset
from datasets.arrow_writer import ArrowWriter
from numpy.typing import NDArray

from hf_sslgen.domains.annotations import AnnotationColumns, Annotations
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.domains.streaming.stream_shards import stored_order
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.errors import InputError
from hf_sslgen.processes import is_left_behind, unfinished_name

ROWS_AT_ONCE = 100
"""Number of annotations held in memory before they are written."""


@functools.cache
def _private_folder(process: int) -> Path:
    """Create a folder private to this process and removed on exit; also remove those of killed processes."""
    parent = Path(datasets.config.HF_DATASETS_CACHE) / "hf-sslgen-streamed"
    parent.mkdir(parents=True, exist_ok=True)
    for other in parent.iterdir():
        if is_left_behind(other):
            shutil.rmtree(other, ignore_errors=True)
    folder = parent / unfinished_name("splits")
    folder.mkdir()
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # not in a forked child
        shutil.rmtree(folder, ignore_errors=True)


def _new_file(kind: str) -> Path:
    return _private_folder(os.getpid()) / f"{uuid.uuid4().hex}.{kind}"


@dataclass(frozen=True, eq=False)
class StoredImages:
    """Undecoded pictures in one file, read on demand: a memory map would count as the process's memory.

    Attributes:
        ends: (N,) offset in the file at which each picture ends and the next begins.
        present: (N,) False for rows without a picture.
        unreadable: by row, the values of pictures whose file can't be read.
    """

    file: Path
    ends: NDArray[np.int64]
    present: NDArray[np.bool_]
    unreadable: Mapping[int, dict[str, Any]]

    @classmethod
    def of(cls, values: Iterable[dict[str, Any] | None]) -> "StoredImages":
        """Store the pictures of undecoded `datasets.Image` values, one by one."""
        path, ends, present, unreadable = _new_file("images"), [], [], {}
        with path.open("wb") as file:
            for row, value in enumerate(values):
                file.write((value or {}).get("bytes") or b"")
                ends.append(file.tell())
                present.append(value is not None)
                if value is not None and value.get("unreadable"):
                    unreadable[row] = value
        return cls(path, np.array(ends, dtype=np.int64), np.array(present, dtype=bool), unreadable)

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return a row, in the form of a `Dataset` with the single column `image`."""
        if not self.present[row]:
            return {"image": None}
        if row in self.unreadable:
            return {"image": self.unreadable[row]}
        start = int(self.ends[row - 1]) if row > 0 else 0
        with self.file.open("rb") as file:
            file.seek(start)
            return {"image": {"bytes": file.read(int(self.ends[row]) - start), "path": None}}


@dataclass(frozen=True, eq=False)
class StoredSplit:
    """A split that was read to its end.

    Attributes:
        labels: raw labels, as in the dataset.
    """

    images: StoredImages
    labels: list[Any]
    annotations: Annotations | None


def store_split(
    dataset: IterableDataset,
    columns: tuple[str, str],
    annotations: AnnotationColumns,
    found: HubDataset | None,
    files: PictureFiles = BYTES_ONLY,
) -> StoredSplit:
    """Read a split of a stream once and store it in the private folder, with pictures undecoded.

    Args:
        columns: names of the image column, which is undecoded, and the label column.
        found: the dataset on the Hub; None for a local one.
        files: the files that the rows may refer to.
    """
    image, label = columns
    named = annotations.different()
    labels: list[Any] = []
    path, writer = _new_file("arrow"), None
    if named:
        features = Features({name: dataset.features[name] for name in named})
        writer = ArrowWriter(features=features, path=str(path), writer_batch_size=ROWS_AT_ONCE)

    def images() -> Iterator[dict[str, Any] | None]:
        read = list(dict.fromkeys([image, label, *named]))
        for row in stored_order(dataset.select_columns(read), image, found, files):
            labels.append(row[label])
            if writer is not None:
                writer.write({name: row[name] for name in named})
            yield row[image]

    stored = StoredImages.of(images())
    if writer is not None:
        writer.finalize()
    described = Annotations.of_dataset(Dataset.from_file(str(path)), annotations, files) if named else None
    return StoredSplit(stored, labels, described)


def held_out_split(stream: ImageStream) -> ImageSplit:
    """Return the stream's validation images by position, without annotations; reads the stream once."""
    labels: list[int] = []

    def values() -> Iterator[dict[str, Any] | None]:
        for each in stream.held_out():
            labels.append(each.label)
            yield each.value

    images = StoredImages.of(values())
    if not labels:
        raise InputError(
            f"no image of the streamed split {stream.name!r} was assigned to validation; raise --train_val_split or "
            "name a split with --validation_split_name"
        )
    rows = np.arange(len(labels))
    return ImageSplit(stream.name, images, rows, np.array(labels, dtype=np.int64), intensity=stream.intensity)
