"""What a forward pass of a network costs on this machine: time, operations, memory.

Times on a shared machine vary, so a batch is timed several times, and the fastest and slowest are kept beside the
median. Memory on a GPU is what torch allocated at most. On a CPU, tensors are counted: all that are alive at once,
weights and input included, without the workspace of single operations. That number is linear in the images of a batch,
so two small batches tell that of a large one.
"""

import os
import statistics
import time
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from hf_sslgen.analysis.forward_cost_values import ALLOCATED, COUNTED, ForwardCost
from hf_sslgen.processes import usable_processors

TIMED_SECONDS = 1.0
"""Total time of the timed batches."""

MOST_BATCHES, FEWEST_BATCHES = 20, 5


def count_flops(model: Any, pixels: Tensor) -> float:
    """Return the floating-point operations of a pass, a multiplication and an addition counting as two."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(pixels)
    return float(counter.get_total_flops())


def forward_cost(model: nn.Module, image_size: int, batch_size: int) -> ForwardCost:
    """Measure a network in evaluation mode where its weights are, on random pixels.

    Args:
        image_size: side of its input, in pixels.
        batch_size: images in a batch at most; fewer where a batch would take long.
    """
    device = next(model.parameters()).device
    load = _load()
    pixels = torch.rand(batch_size, 3, image_size, image_size, generator=torch.Generator().manual_seed(0)).to(device)
    flops = count_flops(model, pixels[:1])
    with torch.inference_mode():
        _seconds(model, pixels[:1])
        one = _seconds(model, pixels[:1])
        pixels = pixels[: max(1, min(batch_size, int(TIMED_SECONDS / FEWEST_BATCHES / one)))]
        _seconds(model, pixels)
        seconds = _timed(model, pixels)
    memory, method = _peak_memory(model, image_size, batch_size)
    rates = [len(pixels) / each for each in seconds]
    return ForwardCost(
        images_per_second=statistics.median(rates),
        slowest=min(rates),
        fastest=max(rates),
        num_batches=len(rates),
        batch_size=len(pixels),
        threads=torch.get_num_threads(),
        load=load,
        multiply_adds=flops / 2,
        peak_memory=memory,
        memory_batch_size=batch_size,
        memory_method=method,
    )


def _load() -> float:
    try:
        return os.getloadavg()[0] / usable_processors()
    except OSError:
        return -1.0


def _timed(model: nn.Module, pixels: Tensor) -> Sequence[float]:
    seconds: list[float] = []
    while len(seconds) < MOST_BATCHES and (len(seconds) < FEWEST_BATCHES or sum(seconds) < TIMED_SECONDS):
        seconds.append(_seconds(model, pixels))
    return seconds


def _seconds(model: nn.Module, pixels: Tensor) -> float:
    started = time.perf_counter()
    for output in tree_leaves(model(pixels)):
        if isinstance(output, Tensor):
            output.cpu()  # waits for the device
    return time.perf_counter() - started


def _peak_memory(model: nn.Module, image_size: int, batch_size: int) -> tuple[int, str]:
    device = next(model.parameters()).device
    if device.type != "cuda":
        one, two = (counted_memory(model, torch.zeros(n, 3, image_size, image_size, device=device)) for n in (1, 2))
        return one + (batch_size - 1) * (two - one), COUNTED
    torch.cuda.reset_peak_memory_stats(device)
    with torch.inference_mode():
        model(torch.zeros(batch_size, 3, image_size, image_size, device=device))
    return torch.cuda.max_memory_allocated(device), ALLOCATED


def counted_memory(model: nn.Module, pixels: Tensor) -> int:
    """Return the most bytes of tensors that are alive at once during a pass."""
    with torch.no_grad(), _LiveTensors() as live:
        for tensor in (*model.parameters(), *model.buffers(), pixels):
            live.add(tensor)
        model(pixels)
    return live.peak


class _LiveTensors(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive, each storage once; `peak` is their largest sum."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = self._now = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for each in tree_leaves(output):
            if isinstance(each, Tensor):
                self.add(each)
        return output

    def add(self, tensor: Tensor) -> None:
        """Count a tensor until its storage is freed."""
        storage = tensor.untyped_storage()
        key, size = storage.data_ptr(), storage.nbytes()
        if key in self._alive or not size:
            return
        self._alive.add(key)
        self._now += size
        self.peak = max(self.peak, self._now)
        weakref.finalize(storage, self._drop, key, size)

    def _drop(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._now -= size
