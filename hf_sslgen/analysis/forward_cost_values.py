"""The measured cost of a forward pass, as plain values."""

from dataclasses import dataclass

ALLOCATED, COUNTED = "allocated by torch", "tensors counted"


@dataclass(frozen=True)
class ForwardCost:
    """The cost of a network's forward pass in inference, in float32.

    Attributes:
        images_per_second: median over `num_batches` timed batches, after one that was not timed.
        slowest, fastest: the extremes, in images per second.
        batch_size: images in a timed batch.
        load: processes that wanted a processor before the measurement, for each processor; the one that measures can
            be among them. -1 where the system does not tell.
        multiply_adds: of one image.
        peak_memory: bytes at most, for a batch of `memory_batch_size`.
        memory_method: how it was found, `ALLOCATED` or `COUNTED`.
    """

    images_per_second: float
    slowest: float
    fastest: float
    num_batches: int
    batch_size: int
    threads: int
    load: float
    multiply_adds: float
    peak_memory: int
    memory_batch_size: int
    memory_method: str
