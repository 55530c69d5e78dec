"""Compare user-given class names, and format lists of them."""

import unicodedata
from collections.abc import Iterable, Sequence

SHOWN_NAMES = 12


def canonical(name: str) -> str:
    """Return a name's canonical Unicode form (NFC), because file systems and editors differ in the form they keep.

    >>> canonical("cafe\\u0301") == canonical("caf\\u00e9")
    True
    """
    return unicodedata.normalize("NFC", name)


def listed_names(names: Sequence[str]) -> str:
    """Quote the first names, with the total number if some are left out."""
    shown = ", ".join(repr(name) for name in names[:SHOWN_NAMES])
    return shown if len(names) <= SHOWN_NAMES else f"{shown}, ... ({len(names)} in all)"


def alike(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that differs from a name only in case or spaces, if there is one."""
    folded = {_folded(each): each for each in known}
    return folded.get(_folded(name))


def _folded(name: str) -> str:
    return " ".join(canonical(name).casefold().split())
