"""Count the images that pass a trunk while something is measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class TrunkPasses:
    """Number of images that have passed a trunk."""

    images: int = 0


_counted: ContextVar[TrunkPasses | None] = ContextVar("trunk passes", default=None)


@contextmanager
def counted_passes() -> Iterator[TrunkPasses]:
    """Count the passes through a trunk within the block.

    Training is not counted, nor are the further passes of attribution methods other than Grad-CAM.
    """
    passes = TrunkPasses()
    token = _counted.set(passes)
    try:
        yield passes
    finally:
        _counted.reset(token)


_told: ContextVar[Callable[[int], None] | None] = ContextVar("told of trunk passes", default=None)


@contextmanager
def passes_told_to(listener: Callable[[int], None]) -> Iterator[None]:
    """Call a listener with the number of images of every pass within the block, as soon as it has been made."""
    token = _told.set(listener)
    try:
        yield
    finally:
        _told.reset(token)


def are_followed() -> bool:
    """Return whether a listener is told of passes, and so shows how they advance."""
    return _told.get() is not None


def count_passes(num_images: int) -> None:
    """Add images to the count, if there is one, and tell the listener, if there is one."""
    listener = _told.get()
    if listener is not None:
        listener(num_images)
    passes = _counted.get()
    if passes is not None:
        passes.images += num_images
