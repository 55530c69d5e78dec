"""Bound what a file's content unfolds to, so that whoever walks through it ends."""

from collections.abc import Iterable
from typing import Any

from hf_sslgen.zoo.conversion.pickle_values import RefusedPickleError

DEEPEST = 64
MOST_VALUES = 4_000_000


def require_bounded(content: Any) -> None:
    """Require that nested mappings and sequences are neither deep nor endless nor shared to unfold to many.

    Raises:
        RefusedPickleError: says which.
    """
    sizes: dict[int, int] = {}
    heights: dict[int, int] = {}
    open_above: set[int] = set()
    waiting: list[tuple[Any, bool]] = [(content, False)]
    while waiting:
        value, is_left = waiting.pop()
        inner = _inner(value)
        if inner is None or (not is_left and id(value) in sizes):
            continue
        if is_left:
            open_above.discard(id(value))
            sizes[id(value)] = 1 + sum(sizes.get(id(each), 1) for each in inner)
            heights[id(value)] = 1 + max((heights.get(id(each), 0) for each in inner), default=0)
            if heights[id(value)] > DEEPEST:
                raise RefusedPickleError(f"values nested more than {DEEPEST} deep")
            if sizes[id(value)] > MOST_VALUES:
                raise RefusedPickleError("values that are repeated without end")
            continue
        if id(value) in open_above:
            raise RefusedPickleError("a value that contains itself")
        open_above.add(id(value))
        waiting.append((value, True))
        waiting.extend((each, False) for each in inner)


def _inner(value: Any) -> list[Any] | None:
    """Return the values in a container; None for anything else."""
    inner: Iterable[Any] | None = None
    if isinstance(value, dict):
        inner = value.values()
    elif isinstance(value, (list, tuple)):
        inner = value
    return None if inner is None else list(inner)
