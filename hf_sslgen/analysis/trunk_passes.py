"""Count the images that pass a trunk while something is measured."""

from collections.abc import Iterator
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


def count_passes(num_images: int) -> None:
    """Add images to the count, if there is one."""
    passes = _counted.get()
    if passes is not None:
        passes.images += num_images
