"""Run work in batches that fit into memory."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from hf_sslgen.errors import OutOfMemoryError
from hf_sslgen.memory import is_out_of_memory

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Batches:
    """Runs work batch by batch, permanently lowering the batch size when a batch does not fit into memory.

    Attributes:
        size: current number of images per batch.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def map(self, part: slice, run: Callable[[slice], Result]) -> list[Result]:
        """Return the results of `run` for consecutive slices that cover a part.

        Raises:
            OutOfMemoryError: a single image does not fit.
        """
        results: list[Result] = []
        start = part.start
        while start < part.stop:
            stop = min(start + self.size, part.stop)
            try:
                results.append(run(slice(start, stop)))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(stop - start, error)
                continue
            start = stop
        return results

    def _halve(self, tried: int, error: BaseException) -> None:
        if tried == 1:
            raise OutOfMemoryError(
                "one image does not fit into memory; give a smaller --image_size, --precision bf16 or a smaller "
                f"network ({error})"
            ) from error
        self.size = (tried + 1) // 2
        logger.warning("batch_size %d does not fit into memory; continuing with %d", tried, self.size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
