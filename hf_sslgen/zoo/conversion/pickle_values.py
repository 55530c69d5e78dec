"""What a pickle is allowed to contain: plain values, names, and values made in two steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Maker = Callable[[tuple[Any, ...]], Any]
"""Turns a call's arguments, as the pickle states them, into a plain value."""

KEYS = (str, int, float, bytes, type(None))


class RefusedPickleError(ValueError):
    """A pickle asks for more than plain values; the message says for what."""


@dataclass(frozen=True)
class Named:
    """A class or function that a pickle refers to, by its full name."""

    name: str


class Unfinished:
    """A value that a pickle makes in two steps, of which the second supplies its state."""

    def finished(self, state: Any) -> Any:
        """Return the value with this state."""
        raise NotImplementedError


class Ignored(Unfinished):
    """A value that no network needs, such as a training framework's settings; its content is dropped."""

    def finished(self, state: Any) -> Any:
        return self


def words(value: Any) -> str:
    """Describe a value in a refusal."""
    return repr(value.name) if isinstance(value, Named) else f"a value of type {type(value).__name__}"


def safe_key(value: Any) -> Any:
    """Return a value that is safe to hash, which Python does recursively, without a limit on the depth of tuples."""
    flat = isinstance(value, tuple) and all(isinstance(each, (Named, *KEYS)) for each in value)
    if not flat and not isinstance(value, (Named, *KEYS)):
        raise RefusedPickleError(f"{words(value)} as a key")
    return value
