"""Record of the images used from a dataset and of those left out, printed by commands and stored with results."""

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

SHOWN_CLASSES = 6
"""Maximum number of classes named in a printed line; stored records name all of them."""


@dataclass(frozen=True)
class LeftOut:
    """Pictures, files or splits that were not used, with their number if known."""

    what: str
    count: int | None

    def __str__(self) -> str:
        return self.what if self.count is None else f"{self.what} ({self.count:,})"


@dataclass(frozen=True)
class TakenSplit:
    """One split of the domain.

    Attributes:
        role: `train`, `validation` or `test`.
        split: the published split that its images come from.
        images: number of images; None for a stream, whose length is unknown until its end.
        class_counts: number of images per class, in class order; empty for a stream.
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
    """The images a domain consists of.

    Attributes:
        name: the domain's name.
        label_column: source of the labels; `folders` if they are the folder names.
        carved: parts carved off, drawn from or skipped in a split, in words.
        remarks: other parts that may be meant differently than they were read, in words.
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
        """Classes without a training image; empty if the training split is a stream."""
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
        """The splits with their numbers of images."""
        return f"{self.name}: {', '.join(str(split) for split in self.splits)}"

    def with_classes(self, kept: Sequence[str], note: str) -> "Taken":
        """Restrict the record to these classes, with a note on the others."""
        positions = [self.class_names.index(name) for name in kept]
        splits = []
        for split in self.splits:
            counts = tuple(split.class_counts[position] for position in positions)
            splits.append(dataclasses.replace(split, images=sum(counts), class_counts=counts))
        carved = (*self.carved, note)
        return dataclasses.replace(self, class_names=tuple(kept), splits=tuple(splits), carved=carved)

    def lines(self) -> list[str]:
        """Summarise the record in a few short lines."""
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
        """List the classes with their numbers of training images, or only their names if those are unknown."""
        counts = next((split.class_counts for split in self.splits if split.role == "train"), ())
        if not counts:
            return _few(self.class_names)
        return _few([f"{name} ({count:,})" for name, count in zip(self.class_names, counts, strict=True)])

    def as_json(self) -> dict[str, Any]:
        """Convert to JSON values for storage, without local paths."""
        values = dataclasses.asdict(self)
        return {**values, "untrained_classes": self.untrained_classes, "untested_classes": self.untested_classes}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Taken":
        """Read what `dataclasses.asdict` and JSON have made of a record; raises KeyError or TypeError if damaged."""
        lists = {key: tuple(content[key]) for key in ("class_names", "carved", "remarks")}
        splits = tuple(
            TakenSplit(**{**each, "class_counts": tuple(each["class_counts"])}) for each in content["splits"]
        )
        left_out = tuple(LeftOut(**each) for each in content["left_out"])
        return cls(**{**content, **lists, "splits": splits, "left_out": left_out})


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:SHOWN_CLASSES])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > SHOWN_CLASSES else shown


def print_taken(domains: Iterable[Taken]) -> None:
    """Print the images used from each domain: once in full, and only the sizes for other label budgets."""
    headlines: dict[str, set[str]] = {}
    for taken in domains:
        known = headlines.get(taken.name)
        if known is None:
            print("\n".join(taken.lines()), flush=True)
        elif taken.headline not in known:
            print(taken.headline, flush=True)
        headlines.setdefault(taken.name, set()).add(taken.headline)
