"""Annotations beyond the label: where the object is, and which images show the same thing."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import numpy as np
from datasets import Array2D, ClassLabel, Dataset, Features, Image, LargeList, List, Value, concatenate_datasets
from numpy.typing import NDArray

from hf_sslgen.decoding import encoded_bytes
from hf_sslgen.domains.columns import PICTURE_TYPES, listed, require_column
from hf_sslgen.domains.domain_arguments import BoxFormat, DomainArguments
from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.errors import InputError

Kind = Literal["box", "mask", "pair", "group"]

WANTED = {
    "box": "lists of numbers: x0, y0, x1, y1 (or --box_format xywh) of one box, or a list of boxes",
    "mask": "pictures or 2-D arrays of numbers",
    "pair": "one name or number per image",
    "group": "one name or number per image",
}


@dataclass(frozen=True)
class AnnotationColumns:
    """Names of the annotation columns; None for those the domain lacks."""

    box: str | None = None
    mask: str | None = None
    pair: str | None = None
    group: str | None = None
    box_format: BoxFormat = "xyxy"

    def named(self) -> dict[Kind, str]:
        """Names of the columns that are present."""
        return {kind: vars(self)[kind] for kind in get_args(Kind) if vars(self)[kind] is not None}

    def different(self) -> list[str]:
        """Names of the columns that are present, each once."""
        return list(dict.fromkeys(self.named().values()))


def find_annotations(features: Features, arguments: DomainArguments, entry: DomainEntry | None) -> AnnotationColumns:
    """Find the columns named by the arguments or else the registry; columns are never guessed.

    Raises:
        InputError: a column is missing or has an unsuitable type.
    """
    columns = AnnotationColumns(
        arguments.box_column_name or (entry.box_column if entry else None),
        arguments.mask_column_name or (entry.mask_column if entry else None),
        arguments.pair_column_name or (entry.pair_column if entry else None),
        arguments.group_column_name or (entry.group_column if entry else None),
        arguments.box_format,
    )
    if arguments.box_column_name is None and entry is not None and entry.box_format is not None:
        columns = replace(columns, box_format=cast(BoxFormat, entry.box_format))
    for kind, column in columns.named().items():
        feature = features[require_column(features, column, f"{kind}_column_name")]
        if not _can_hold(kind, feature):
            raise InputError(f"{kind}_column_name {column!r} should hold {WANTED[kind]}. Columns: {listed(features)}")
    return columns


def require_a_column_each(image_and_label: tuple[str, str], annotations: AnnotationColumns) -> None:
    """Raise InputError if a column would serve two purposes; only groups may be those of the label or the pairs."""
    others = list(image_and_label)
    for kind, column in annotations.named().items():
        if kind == "group" and column in (image_and_label[1], annotations.pair):
            continue
        if column in others:
            raise InputError(
                f"{kind}_column_name {column!r} is already used for something else; images, labels, boxes, masks and "
                "pairs each need a column of their own"
            )
        others.append(column)


def _can_hold(kind: Kind, feature: Any) -> bool:
    if kind in ("pair", "group"):
        return isinstance(feature, (Value, ClassLabel))
    if kind == "mask" and _is_picture(feature):
        return True
    depth, inner = 0, feature
    if isinstance(feature, Array2D):
        depth, inner = 2, Value(feature.dtype)
    while isinstance(inner, (List, LargeList)):
        depth, inner = depth + 1, inner.feature
    is_number = isinstance(inner, Value) and inner.dtype.startswith(("int", "uint", "float", "bool"))
    return is_number and depth in ((1, 2) if kind == "box" else (2,))


def _is_picture(feature: Any) -> bool:
    return isinstance(feature, Image) or (isinstance(feature, Value) and feature.dtype in PICTURE_TYPES)


@dataclass(frozen=True, eq=False)
class Annotations:
    """Annotations of a published split.

    Attributes:
        dataset: the split's annotation columns, row by row; masks undecoded.
        files: the files that its rows may refer to.
    """

    dataset: Dataset
    columns: AnnotationColumns
    files: PictureFiles

    @classmethod
    def of_dataset(
        cls, dataset: Dataset, columns: AnnotationColumns, files: PictureFiles = BYTES_ONLY
    ) -> "Annotations | None":
        """Take the annotation columns from a dataset; None if no column is named."""
        named = columns.different()
        if not named:
            return None
        kept = dataset.select_columns(named)
        if columns.mask is not None and _is_picture(kept.features[columns.mask]):
            kept = kept.cast_column(columns.mask, Image(decode=False))
        return cls(kept, columns, files)

    @staticmethod
    def joined(first: "Annotations | None", second: "Annotations | None") -> "Annotations | None":
        """Concatenate the annotations of two splits; None if either has none."""
        if first is None or second is None:
            return None
        return replace(first, dataset=concatenate_datasets([first.dataset, second.dataset]))

    def value(self, kind: Kind, row: int, split: str) -> tuple[Any, str]:
        """Return a row's value in the column of a kind, and a description of the place for errors."""
        column = self.columns.named()[kind]
        value = self.dataset[row][column]
        if isinstance(self.dataset.features[column], Image):
            value = self.files.read(value)
        return value, f"{kind}_column_name {column!r}, image {row} of split {split!r}:"

    def pair_codes(self) -> NDArray[np.int64]:
        """Number the values of the pair column: (rows,), equal values share a number, -1 for a missing value.

        Null, NaN, empty text and a ClassLabel's -1 count as missing.
        """
        codes: dict[Any, int] = {}
        names = self.names("pair")
        return np.array([-1 if name is None else codes.setdefault(name, len(codes)) for name in names], np.int64)

    def group_codes(self) -> NDArray[np.int64]:
        """Number the groups: (rows,), in order of appearance; a row without one is a group of its own."""
        codes: dict[Any, int] = {}
        keys = [(row,) if name is None else name for row, name in enumerate(self.names("group"))]
        return np.array([codes.setdefault(key, len(codes)) for key in keys], np.int64)

    def names(self, kind: Literal["pair", "group"]) -> list[Any]:
        """Return the values of a column of names or numbers; None for those that `pair_codes` counts as missing."""
        column = self.columns.named()[kind]
        feature = self.dataset.features[column]
        values = self.dataset[column][:]
        if isinstance(feature, ClassLabel):  # two splits may number their classes differently
            values = [None if value is None or value < 0 else feature.int2str(value) for value in values]
        return [None if is_missing(value) else value for value in values]

    @property
    def meaning(self) -> tuple[str, ...]:
        """The kinds of annotation present and the box format, for fingerprints."""
        kinds = self.columns.named()
        return (*kinds, self.columns.box_format) if "box" in kinds else tuple(kinds)

    def contents(self, row: int, split: str) -> Iterator[bytes]:
        """The content of a row's annotations, for fingerprints."""
        for kind, column in self.columns.named().items():
            value, where = self.value(kind, row, split)
            is_file = isinstance(self.dataset.features[column], Image)
            yield encoded_bytes(value, where) if is_file else repr(value).encode()


def is_missing(value: Any) -> bool:
    """Return whether a value of a column of names or numbers counts as missing."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))
