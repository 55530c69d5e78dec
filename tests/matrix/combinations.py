"""Every combination that makes sense, the same at each run, and what of it is a fault."""

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.matrix.checkpoints import PROCESSORS
from tests.matrix.encodings import ENCODINGS
from tests.matrix.labels import CLASS_NAMES, NOT_ORDINARY, STORAGES
from tests.matrix.layouts import FILES_ALONE, LAYOUTS, Content


@dataclass(frozen=True)
class Combination:
    """A data set's layout, encoding and labels, and the checkpoint that is measured on it."""

    layout: str
    encoding: str
    class_names: str
    storage: str
    processor: str

    @property
    def content(self) -> Content:
        return Content(ENCODINGS[self.encoding], CLASS_NAMES[self.class_names], self.storage)

    @property
    def must_be_read(self) -> bool:
        """Whether nothing in it gives a reason to refuse it."""
        return (
            LAYOUTS[self.layout].ordinary
            and LAYOUTS[self.layout].readable
            and ENCODINGS[self.encoding].ordinary
            and ENCODINGS[self.encoding].readable
            and CLASS_NAMES[self.class_names].ordinary
            and self.storage not in NOT_ORDINARY
            and self.class_names not in LAYOUTS[self.layout].not_for
        )

    @property
    def must_be_refused(self) -> bool:
        """Whether nobody can know what it means."""
        return not (LAYOUTS[self.layout].readable and ENCODINGS[self.encoding].readable)

    def __str__(self) -> str:
        return "/".join((self.layout, self.encoding, self.class_names, self.storage, self.processor))


def _storages(layout: str, class_names: str) -> tuple[str, ...]:
    if not LAYOUTS[layout].is_table:
        return ("folders",)
    if layout in FILES_ALONE:
        return ("strings",)
    if class_names == "decomposed":
        return tuple(each for each in STORAGES if each != "integers")
    return STORAGES


def combinations() -> list[Combination]:
    """All of them; processors take turns."""
    kinds = [
        (layout, encoding, class_names, storage)
        for layout in LAYOUTS
        for encoding in ENCODINGS
        for class_names in CLASS_NAMES
        for storage in _storages(layout, class_names)
    ]
    turns = itertools.cycle(PROCESSORS)
    return [Combination(*kind, next(turns)) for kind in kinds]


def _in_turns(values: Iterable[str], generator: random.Random) -> Iterator[str]:
    """Every value once in random order, again and again."""
    ordered = list(values)
    while True:
        generator.shuffle(ordered)
        yield from ordered


def drawn(number: int, seed: int = 0) -> list[Combination]:
    """So many different combinations; each layout, encoding, kind of names and processor comes up equally often."""
    generator = random.Random(seed)
    axes = [_in_turns(axis, generator) for axis in (LAYOUTS, ENCODINGS, CLASS_NAMES, PROCESSORS)]
    found: dict[Combination, None] = {}
    while len(found) < number:
        layout, encoding, class_names, processor = (next(axis) for axis in axes)
        storage = generator.choice(_storages(layout, class_names))
        found[Combination(layout, encoding, class_names, storage, processor)] = None
    return list(found)
