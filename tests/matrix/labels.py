"""Names of classes, and ways to store which class a picture is of."""

import unicodedata
from dataclasses import dataclass

from tests.matrix.pictures import NUM_CLASSES


@dataclass(frozen=True)
class ClassNames:
    """Names by class number.

    Attributes:
        ordinary: whether refusing them would be a fault.
        test_names: names of the same classes as the test split spells them, where that differs.
    """

    kind: str
    names: tuple[str, ...]
    ordinary: bool = True
    test_names: tuple[str, ...] | None = None

    def of(self, split: str) -> tuple[str, ...]:
        """The names as this split spells them."""
        return self.test_names if split == "test" and self.test_names is not None else self.names


def _form(form: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize(form, name) for name in names)  # type: ignore[arg-type]


ACCENTED = ("épagneul", "chat", "bœuf à l'ange")

CLASS_NAMES = {
    each.kind: each
    for each in (
        ClassNames("plain", ("dog", "cat", "bus")),
        ClassNames("splits", ("train", "test_tube", "validation")),
        ClassNames("numbers", ("10", "9", "0")),
        ClassNames("missing", ("NA", "None", "nan")),
        ClassNames("spaced", ("polar bear", "a, b; c", 'it\'s "1"')),
        ClassNames("formulas", ("=1+1", "-x", "@home")),
        ClassNames("hidden", ("__background__", ".none", "cell"), ordinary=False),
        ClassNames("composed", _form("NFC", ACCENTED)),
        ClassNames("decomposed", _form("NFC", ACCENTED), test_names=_form("NFD", ACCENTED)),
        ClassNames("upper", ("DOG", "Cat", "bus.png")),
    )
}

STORAGES = ("class-label", "class-label-other-order", "strings", "integers", "class-label-then-strings")
"""Of a table's label column: a ClassLabel; one whose test split lists the classes in another order; plain strings;
plain integers; a ClassLabel in one split and strings in the other."""

NOT_ORDINARY = ("class-label-then-strings",)


def integers(class_index: int) -> int:
    """The number that stands for a class where labels are integers, of which not all follow one another."""
    return (7, 3, 12)[class_index]


assert all(len(each.names) == NUM_CLASSES for each in CLASS_NAMES.values())
