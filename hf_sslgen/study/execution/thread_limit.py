"""Limit the threads of a worker's libraries."""

import contextlib
from collections.abc import Iterator

import torch
from threadpoolctl import threadpool_limits


@contextlib.contextmanager
def limited_threads(num_threads: int | None) -> Iterator[None]:
    """Set the number of threads; sums are the same to the last bit only for equal numbers of threads."""
    if num_threads is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        with threadpool_limits(num_threads):
            yield
    finally:
        torch.set_num_threads(before)
