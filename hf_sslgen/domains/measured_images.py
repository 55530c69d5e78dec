"""Labelled images to measure on that do not come from a domain's splits: pictures in memory, or a dataset."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from datasets import ClassLabel, Dataset, Image
from PIL.Image import Image as Picture

from hf_sslgen.domains.domain_loading import DEFAULT_NOT_LABEL_PRESERVING
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.settings import shown


class MeasuredDomain(Protocol):
    """What measuring needs to know of a domain; a `Domain` has it, and measures its test split."""

    @property
    def test(self) -> ImageSplit: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def not_label_preserving(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, eq=False)
class MeasuredImages:
    """Labelled images to measure on.

    Attributes:
        test: the images.
        class_names: names of the classes, in the order of the labels; empty if unknown.
        not_label_preserving: transforms that may change a label; excluded from family means.
    """

    test: ImageSplit
    class_names: tuple[str, ...] = ()
    not_label_preserving: tuple[str, ...] = DEFAULT_NOT_LABEL_PRESERVING


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Pictures in memory, encoded without loss when they are asked for."""

    pictures: Sequence[Picture]

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> dict[str, Any]:
        file = io.BytesIO()
        self.pictures[row].save(file, "PNG", compress_level=0)
        return {"image": {"bytes": file.getvalue(), "path": None}}


def of_pictures(pictures: Sequence[Picture], labels: npt.ArrayLike) -> MeasuredImages:
    """Take pictures and their class indices (N,).

    Raises:
        InputError: there are no pictures, or their labels are not as many whole numbers.
    """
    known = np.asarray(labels)
    if not len(pictures) or known.shape != (len(pictures),) or not np.issubdtype(known.dtype, np.integer):
        raise InputError(
            f"labels must be a class index for each picture; found {len(pictures)} pictures and labels of shape "
            f"{known.shape} and type {known.dtype}"
        )
    return MeasuredImages(_split(_Pictures(pictures), known))


def of_dataset(dataset: Dataset, image_column: str = "image", label_column: str = "label") -> MeasuredImages:
    """Take a dataset's columns of pictures and class indices; whatever decodes or transforms its rows is left out.

    Raises:
        InputError: a column does not exist, or holds something else.
    """
    for name, column in (("image_column", image_column), ("label_column", label_column)):
        if column not in dataset.column_names:
            raise InputError(f"{name} {column!r} is not a column of the dataset; it has {', '.join(dataset.features)}")
    plain = dataset.with_format(None)
    feature, labels = plain.features[label_column], np.asarray(plain[label_column][:])
    if not isinstance(plain.features[image_column], Image):
        raise InputError(f"image_column {image_column!r} holds {shown(plain.features[image_column])}, not images")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"label_column {label_column!r} must hold class indices; cast it to ClassLabel")
    undecoded = plain.select_columns([image_column]).cast_column(image_column, Image(decode=False))
    if image_column != "image":
        undecoded = undecoded.rename_column(image_column, "image")
    names = tuple(feature.names) if isinstance(feature, ClassLabel) else ()
    return MeasuredImages(_split(undecoded, labels), names)


def _split(rows: Any, labels: npt.NDArray[Any]) -> ImageSplit:
    return ImageSplit("validation", rows, np.arange(len(labels)), labels.astype(np.int64))
