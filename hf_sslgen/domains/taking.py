"""Counting what of a data set was taken, once its splits are there."""

from collections.abc import Mapping, Sequence

import numpy as np
from datasets import Dataset

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.sources import Published
from hf_sslgen.domains.streams import ImageStream
from hf_sslgen.domains.taken import LeftOut, Taken, TakenSplit


def taken(
    arguments: DomainArguments,
    published: Published,
    columns: tuple[str, str],
    class_names: tuple[str, ...],
    splits: Mapping[str, ImageSplit | ImageStream],
    notes: Sequence[str],
) -> Taken:
    """What of a data set was taken, split by split, and what was not.

    Args:
        columns: of the images and the labels.
        splits: by role.
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
    )


def _taken_split(role: str, split: ImageSplit | ImageStream, num_classes: int) -> TakenSplit:
    if isinstance(split, ImageStream):
        return TakenSplit(role, split.name, None, ())
    counts = np.bincount(split.labels, minlength=num_classes)
    return TakenSplit(role, split.name, len(split), tuple(counts.tolist()))
