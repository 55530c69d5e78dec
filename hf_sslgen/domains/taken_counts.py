"""Count the images used from a dataset, once its splits are read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Value

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.sources import Published
from hf_sslgen.domains.split_roles import SPLIT_COLUMN, role_of
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.domains.taken import LeftOut, Taken, TakenSplit


def taken(
    arguments: DomainArguments,
    published: Published,
    columns: tuple[str, str],
    class_names: tuple[str, ...],
    splits: Mapping[str, ImageSplit | ImageStream],
    notes: Sequence[str],
) -> Taken:
    """Record the images used in each split, and those left out.

    Args:
        columns: the image and label columns.
        splits: the splits, by role.
        notes: what was carved, drawn and skipped.
    """
    used = {name for split in splits.values() for name in split.name.split("+")}
    unused = [
        LeftOut(f"split {name!r}", len(rows) if isinstance(rows, Dataset) else None)
        for name, rows in published.splits.items()
        if name not in used
    ]
    return Taken(
        domain_name(arguments),
        columns[0],
        published.labels_from or f"column {columns[1]!r}",
        class_names,
        tuple(_taken_split(role, split, len(class_names)) for role, split in splits.items()),
        tuple(notes),
        (*published.left_out, *unused),
        (*published.remarks, *_unread_splits(published, sorted(used & published.splits.keys()), columns)),
    )


def _unread_splits(published: Published, used: Sequence[str], columns: tuple[str, str]) -> Iterator[str]:
    """Describe columns named like a split column whose values contradict the split they are in."""
    features = published.splits[used[0]].features or {}
    for column, feature in features.items():
        if column.casefold() != SPLIT_COLUMN or column in columns or not isinstance(feature, Value | ClassLabel):
            continue
        for name in used:
            rows = published.splits[name]
            values = rows.unique(column) if isinstance(rows, Dataset) else None
            if values is not None and isinstance(feature, ClassLabel):
                values = [None if value is None else feature.int2str(value) for value in values]
            if values is None or any(not _says(value, name) for value in values):
                found = "" if values is None else f" has {', '.join(map(repr, values[:3]))} in split {name!r} and"
                yield f"column {column!r}{found} is not read: the splits are those of the files and folders"
                break


def _says(value: Any, split: str) -> bool:
    return isinstance(value, str) and (value == split or (role_of(value) or value) == role_of(split))


def _taken_split(role: str, split: ImageSplit | ImageStream, num_classes: int) -> TakenSplit:
    if isinstance(split, ImageStream):
        return TakenSplit(role, split.name, None, ())
    counts = np.bincount(split.labels, minlength=num_classes)
    return TakenSplit(role, split.name, len(split), tuple(counts.tolist()))
