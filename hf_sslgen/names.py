"""Compare user-given names, and format them for display."""

import unicodedata
from collections.abc import Iterable, Sequence

SHOWN_NAMES = 12
ELLIPSIS = "…"


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


def shorten(text: str, width: int) -> str:
    """Shorten to `width` characters in the middle, because names of one family differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}{ELLIPSIS}{text[-tail:]}"


def printable(text: str) -> str:
    """Replace what is not printed, so that no name can move the cursor, hide text or reverse its direction."""
    return "".join(
        character if character.isprintable() and unicodedata.category(character) != "Cf" else "?" for character in text
    )
