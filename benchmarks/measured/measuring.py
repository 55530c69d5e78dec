"""Times and memory of contenders, measured in a fresh process with nothing else loaded."""

import ctypes
import gc
import importlib.util
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from measured.cases import CASES, Call, Contender, Inputs

Result = TypeVar("Result")
STATUS = Path("/proc/self/status")
CLEAR_REFERENCES = Path("/proc/self/clear_refs")


def is_installed(contender: Contender) -> bool:
    return not contender.package or importlib.util.find_spec(contender.package) is not None


GIVE_BACK = {"MALLOC_TRIM_THRESHOLD_": "1000000"}
"""Makes the C library of Linux return freed memory at once. By default it keeps some, depending on the order in which
blocks of many sizes are allocated and freed: up to twice the memory in use, even for plain forward passes."""


def in_fresh_process(
    function: Callable[..., Result], *arguments: object, environment: Mapping[str, str] | None = None
) -> Result:
    """Run the function in a new interpreter, with these additions to the environment, and return its result."""
    before = dict(os.environ)
    os.environ.update(environment or {})
    try:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            return pool.submit(function, *arguments).result()
    finally:
        os.environ.clear()
        os.environ.update(before)


def median_seconds(case_name: str, quick: bool, rounds: int) -> dict[str, float]:
    """Return the median of `rounds` calls per contender; contenders take turns to share the machine's load equally."""
    case = CASES[case_name]
    inputs = case.make(*(case.quick_sizes if quick else case.sizes))
    calls = {name: _built(contender, inputs) for name, contender in case.contenders.items() if is_installed(contender)}
    seconds = seconds_in_turns(calls, rounds)
    return {name: statistics.median(found) / case.contenders[name].share for name, found in seconds.items()}


def seconds_in_turns(calls: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Return the time of each of `rounds` calls; all take turns to share the machine's load equally."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:  # the first one warms up
                seconds[name].append(time.perf_counter() - start)
    return seconds


def peak_growth(case_name: str, contender_name: str, quick: bool) -> float:
    """Return the growth in bytes of the process's peak resident memory over that with the inputs loaded."""
    case = CASES[case_name]
    contender = case.contenders[contender_name]
    _built(contender, case.make(*case.quick_sizes))()  # imports and one-time buffers are not part of the measurement
    call = _built(contender, case.make(*(case.quick_sizes if quick else case.sizes)))
    before = peak_resident()
    call()
    return peak_resident() - before


def settle_memory() -> None:
    """Return free memory to the system and reset the peak, so that growth is counted from the memory in use."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
    if CLEAR_REFERENCES.exists():
        CLEAR_REFERENCES.write_text("5")


def resident() -> float:
    """Return resident memory in bytes, or its peak if the system does not report the current value."""
    return _status("VmRSS:") if STATUS.exists() else peak_resident()


def peak_resident() -> float:
    """Return bytes, on Linux from /proc, because getrusage includes the parent process there."""
    if STATUS.exists():
        return _status("VmHWM:")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak if sys.platform == "darwin" else 1024 * peak)


def _status(name: str) -> float:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return 1024.0 * int(line.split()[1])


def _built(contender: Contender, inputs: Inputs) -> Call:
    if contender.share == 1.0:
        return contender.build(inputs)
    return contender.build({name: array[: round(contender.share * len(array))] for name, array in inputs.items()})
