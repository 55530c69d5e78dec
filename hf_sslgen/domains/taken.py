"""What of a data set was taken, and what was left out: printed by every command and kept with every result."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN_CLASSES = 6
"""Classes named in a printed line; records have all of them."""


@dataclass(frozen=True)
class LeftOut:
    """Pictures, files or splits that were not taken, and how many images or files that is where it is known."""

    what: str
    count: int | None

    def __str__(self) -> str:
        return self.what if self.count is None else f"{self.what} ({self.count:,})"


@dataclass(frozen=True)
class TakenSplit:
    """A part of the domain.

    Attributes:
        role: `train`, `validation` or `test`.
        split: the published split that its images come from.
        images: None for a stream, whose length is not known before its end.
        class_counts: images of each class, in the order of the classes; empty for a stream.
    """

    role: str
    split: str
    images: int | None
    class_counts: tuple[int, ...]

    def __str__(self) -> str:
        count = "a stream" if self.images is None else f"{self.images:,} images"
        return f"{self.role} {count} ({self.split!r})"


@dataclass(frozen=True)
class Taken:
    """What a domain consists of.

    Attributes:
        name: the domain's.
        label_column: where the labels are from; `folders` where it is the names of the folders.
        carved: what was cut off another split, drawn from it or skipped in it, in words.
        remarks: what else may be meant otherwise than it was read, in words.
    """

    name: str
    image_column: str
    label_column: str
    class_names: tuple[str, ...]
    splits: tuple[TakenSplit, ...]
    carved: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...] = ()

    def _classes_of(self, role: str) -> set[int]:
        return {
            index
            for split in self.splits
            if split.role == role
            for index, count in enumerate(split.class_counts)
            if count > 0
        }

    @property
    def untrained_classes(self) -> tuple[str, ...]:
        """Classes without a training image; none are named where the training split is a stream."""
        if any(split.role == "train" and split.images is None for split in self.splits):
            return ()
        trained = self._classes_of("train")
        return tuple(name for index, name in enumerate(self.class_names) if index not in trained)

    @property
    def untested_classes(self) -> tuple[str, ...]:
        """Classes without a test image."""
        tested = self._classes_of("test")
        return tuple(name for index, name in enumerate(self.class_names) if index not in tested)

    @property
    def headline(self) -> str:
        """The splits with how many images each has."""
        return f"{self.name}: {', '.join(str(split) for split in self.splits)}"

    def with_classes(self, kept: Sequence[str], note: str) -> "Taken":
        """What is left of it with the images of these classes alone; the note says that of the others."""
        positions = [self.class_names.index(name) for name in kept]
        splits = []
        for split in self.splits:
            counts = tuple(split.class_counts[position] for position in positions)
            splits.append(dataclasses.replace(split, images=sum(counts), class_counts=counts))
        carved = (*self.carved, note)
        return dataclasses.replace(self, class_names=tuple(kept), splits=tuple(splits), carved=carved)

    def lines(self) -> list[str]:
        """A few short lines for people."""
        lines = [
            self.headline,
            f"  {len(self.class_names)} classes, from {self.label_column}: {self._largest()}",
        ]
        lines += [f"  {each}" for each in (*self.carved, *self.remarks)]
        for names, lack in ((self.untrained_classes, "training"), (self.untested_classes, "test")):
            if names:
                lines.append(f"  classes without {lack} images: {_few(names)}")
        if self.left_out:
            lines.append(f"  left out: {'; '.join(map(str, self.left_out))}")
        return lines

    def _largest(self) -> str:
        """The classes with how many training images each has, or their names alone where that is not known."""
        counts = next((split.class_counts for split in self.splits if split.role == "train"), ())
        if not counts:
            return _few(self.class_names)
        return _few([f"{name} ({count:,})" for name, count in zip(self.class_names, counts, strict=True)])

    def as_json(self) -> dict[str, Any]:
        """For records: JSON values, with no path of this machine."""
        values = dataclasses.asdict(self)
        return {**values, "untrained_classes": self.untrained_classes, "untested_classes": self.untested_classes}


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_CLASSES])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > SHOWN_CLASSES else shown


def print_taken(domains: Iterable[Taken]) -> None:
    """Print what was taken of each domain: once in full, and of other budgets of labels the sizes alone."""
    headlines: dict[str, set[str]] = {}
    for taken in domains:
        known = headlines.get(taken.name)
        if known is None:
            print("\n".join(taken.lines()), flush=True)
        elif taken.headline not in known:
            print(taken.headline, flush=True)
        headlines.setdefault(taken.name, set()).add(taken.headline)
