"""Errors a person can act on."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that can't be used: the message names it, what was found and what would work."""


class OneProcessError(InputError):
    """An error that the other processes of the same run may not meet, so that whoever meets it has to say it."""


class UnavailableError(InputError):
    """Something on the Hub is unavailable now: whatever needs it again in the same run need not ask again."""


class DivergedError(InputError):
    """Training whose loss, or whose model's predictions, are no longer finite."""


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> str:
    """A hint such as "did you mean 'cifar10'?", or an empty string where nothing known is near."""
    near = difflib.get_close_matches(name, list(known), n=limit)
    return f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""
