"""Read a published split: its columns, its label encoding, and its rows as labelled images."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset

from hf_sslgen.domains.annotations import (
    AnnotationColumns,
    Annotations,
    find_annotations,
    require_a_column_each,
)
from hf_sslgen.domains.columns import find_columns
from hf_sslgen.domains.depth import asked_intensity
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.labels import LabelEncoding, label_encoding
from hf_sslgen.domains.picture_arrays import array_of, encode_array
from hf_sslgen.domains.sources import Published
from hf_sslgen.domains.streaming.streamed_splits import store_split
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import Intensity


@dataclass(frozen=True)
class Table:
    """How to read a dataset's rows: image and label columns, label encoding and annotation columns."""

    columns: tuple[str, str]
    encoding: LabelEncoding
    annotations: AnnotationColumns


def read_table(published: Published, train_name: str, arguments: DomainArguments, entry: DomainEntry | None) -> Table:
    """Find the columns and classes in the training split."""
    raw_train = published.splits[train_name]
    if raw_train.features is None:
        raise InputError(f"the columns of {arguments.dataset_name!r} are unknown until it is read; drop --streaming")
    annotations = find_annotations(raw_train.features, arguments, entry)
    columns = find_columns(
        raw_train.features,
        arguments.image_column_name or (entry.image_column if entry else None),
        arguments.label_column_name or (entry.label_column if entry else None),
        annotations.named().values(),
    )
    require_a_column_each(columns, annotations)
    has_classes = isinstance(raw_train.features[columns[1]], ClassLabel)
    values = [] if has_classes else list(published.column(train_name, columns[1]))
    encoding = label_encoding(raw_train.features, columns[1], values)
    if len(encoding.class_names) < 2:
        raise InputError(
            f"label_column_name {columns[1]!r} of {arguments.dataset_name!r} has a single class "
            f"({', '.join(encoding.class_names)}); at least two are needed"
        )
    return Table(columns, encoding, annotations)


def _as_pictures(dataset: Any, column: str) -> Any:
    """Convert a column of arrays, file bytes or paths to undecoded pictures."""
    if array_of((dataset.features or {}).get(column)) is None:
        return dataset.cast_column(column, Image(decode=False))
    features = Features({**dataset.features, column: Image(decode=False)})

    def encoded(value: Any, row: int) -> dict[str, Any]:
        return {column: encode_array(value, f"row {row} of column {column!r}")}

    return dataset.map(encoded, with_indices=True, input_columns=[column], features=features)


def _undecoded(dataset: Any, columns: tuple[str, str], group: str | None = None) -> Any:
    """Reduce a dataset, on disk or streamed, to an undecoded column `image` and raw columns `label` and, if there is
    one, `group`."""
    roles = dict(zip(("image", "label", "group"), (*columns, group), strict=True))
    kept = {role: column for role, column in roles.items() if column is not None}
    dataset = _as_pictures(dataset.select_columns(list(kept.values())), columns[0])
    renamed = {column: role for role, column in kept.items() if column != role}
    return dataset.rename_columns(renamed) if renamed else dataset


def _by_position(
    dataset: Dataset | IterableDataset, name: str, table: Table, published: Published, intensity: Intensity
) -> ImageSplit:
    """Return a published split with access by position; a streamed split is read to its end for that."""
    encoding = table.encoding.of_split((dataset.features or {}).get(table.columns[1]))
    if isinstance(dataset, IterableDataset):
        image = table.columns[0]
        undecoded = _as_pictures(dataset, image)
        stored = store_split(undecoded, table.columns, table.annotations, published.found, published.files)
        if name in published.expected_sizes:
            published.expected_sizes[name].check(len(stored.images))
        labels = encoding.encode(stored.labels, name)
        rows = np.arange(len(labels))
        return ImageSplit(name, stored.images, rows, labels, stored.annotations, intensity=intensity)
    rows = _undecoded(dataset, table.columns)
    labels = encoding.encode(rows["label"][:], name)
    annotations = Annotations.of_dataset(dataset, table.annotations, published.files)
    images = rows.select_columns(["image"])
    return ImageSplit(name, images, np.arange(len(labels)), labels, annotations, published.files, intensity)


def usable(split: ImageSplit, arguments: DomainArguments, notes: list[str]) -> ImageSplit:
    """Skip undecodable images if requested; at least one image must remain."""
    if arguments.skip_corrupt:
        split, skipped = split.without_corrupt()
        if skipped:
            notes.append(f"{skipped} images of split '{split.name}' could not be decoded and were left out")
    if len(split) == 0:
        raise InputError(f"split {split.name!r} is empty; every split needs at least one image")
    return split


def read_split(
    published: Published, name: str, table: Table, arguments: DomainArguments, notes: list[str]
) -> ImageSplit:
    """Return a published split by position, skipping undecodable images if requested, with a note."""
    split = _by_position(published.splits[name], name, table, published, asked_intensity(arguments))
    return usable(split, arguments, notes)


def read_stream(
    published: Published, name: str, table: Table, arguments: DomainArguments, held_out_fraction: float
) -> ImageStream:
    """Return a published split to be streamed.

    Raises:
        InputError: a label budget is given, which a stream can't meet.
    """
    budgets = (arguments.samples_per_class, arguments.max_train_samples, arguments.label_fraction)
    if any(budget is not None for budget in budgets):
        raise InputError(
            "samples_per_class, label_fraction and max_train_samples can't reduce a stream; drop --streaming"
        )
    group = table.annotations.group
    group = None if group == table.columns[1] else group  # whole classes can't be held out
    return ImageStream(
        name,
        _undecoded(published.splits[name], table.columns, group),
        table.encoding,
        held_out_fraction,
        arguments.split_seed,
        arguments.shuffle_buffer_size,
        arguments.skip_corrupt,
        published.found,
        published.expected_sizes.get(name),
        published.files,
        asked_intensity(arguments),
        group,
    )
