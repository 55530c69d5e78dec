"""Growth of memory during one call, in a process of its own."""

from contextlib import ExitStack
from dataclasses import replace

import torch

from measured.cases import Call
from measured.measuring import peak_resident, resident, settle_memory
from measured.peer_stack import peer_stack
from measured.whole_analysis import OnePass, Setting, plain_passes

PLAIN, ONE_PASS, PEERS = "plain passes", "one pass", "peer stack"


def built(contender: str, setting: Setting, stack: ExitStack) -> Call:
    """Return a contender that is ready to be called inside `stack`."""
    if contender == PLAIN:
        return plain_passes(setting)
    if contender == ONE_PASS:
        return OnePass(setting, stack)
    return peer_stack(setting)


def growth_of_peak(contender: str, setting: Setting, num_threads: int) -> float:
    """Return the growth in bytes of peak memory over that with network and images loaded.

    On a GPU this is the memory allocated by torch, elsewhere the process's resident memory.
    """
    torch.set_num_threads(num_threads)
    with ExitStack() as stack:
        call = built(contender, setting, stack)
        small = replace(setting, num_images=2)
        with ExitStack() as other:
            built(contender, small, other)()  # imports and one-time buffers are not part of the measurement
        if setting.device.type == "cuda":
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = float(torch.cuda.memory_allocated())
            call()
            return torch.cuda.max_memory_allocated() - before
        settle_memory()
        before = resident()
        call()
        return peak_resident() - before
