"""Names that people gave their classes: when two are the same, and how lists of them are shown."""

import unicodedata
from collections.abc import Iterable, Sequence

SHOWN_NAMES = 12


def canonical(name: str) -> str:
    """One form for what Unicode can write in several: file systems and editors differ in which they keep (NFC).

    >>> canonical("cafe\\u0301") == canonical("caf\\u00e9")
    True
    """
    return unicodedata.normalize("NFC", name)


def listed_names(names: Sequence[str]) -> str:
    """The first of them in quotes, and how many there are where that is not all."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown}, ... ({len(names)} in all)"


def alike(name: str, known: Iterable[str]) -> str | None:
    """The known name that differs from a name only in case or spaces, if there is one."""
    folded = {_folded(each): each for each in known}
    return folded.get(_folded(name))


def _folded(name: str) -> str:
    return " ".join(canonical(name).casefold().split())
