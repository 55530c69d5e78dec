"""Recognise exhausted memory and report it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hf_sslgen.errors import OutOfMemoryError

OUT_OF_MEMORY_WORDS = (
    "out of memory",
    "DefaultCPUAllocator",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "is killed by signal: Killed",  # a data loader worker killed by the system
)
"""Fragments of the messages of RuntimeErrors other than torch's OutOfMemoryError."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that the memory of a device or of the machine is exhausted."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY_WORDS)


@contextmanager
def naming_batch_size(option: str, size: int) -> Iterator[None]:
    """Convert exhausted memory in the block to an OutOfMemoryError that names the option to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise OutOfMemoryError(
            f"not enough memory for {option} {size}; give a smaller value, or a smaller --image_size ({reason})",
            of_one_process=True,
        ) from error
