"""Check whether local processes still run, and name unfinished files after their writers."""

import functools
import hashlib
import os
import platform
import re
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

ABANDONED_SECONDS = 86_400.0
"""Age at which an unfinished file from another machine, whose processes can't be checked, counts as abandoned."""

_UNFINISHED = re.compile(r"\.([0-9a-f]{8})-(\d+)-[0-9a-f]{8}\.unfinished$")


@dataclass(frozen=True)
class Process:
    """A running process.

    Attributes:
        started: start time in the machine's own units, to recognise a reused process number; empty if unknown.
        stopped: whether the process is suspended.
    """

    started: str
    stopped: bool


def usable_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if platform.system() == "Linux" else os.cpu_count() or 1


def find_process(number: int) -> Process | None:
    """Return the process with that number; None if there is none, or if it has ended and only waits to be reaped."""
    if platform.system() == "Linux":
        try:
            text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *fields = text.rpartition(")")[2].split()  # the name before it may contain spaces and brackets
        return None if state in "ZX" else Process(fields[18], state in "Tt")
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return Process("", False)


@functools.cache
def process_table() -> str:
    """Identify the process table that numbers refer to: that of this boot of the machine and this container."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if not boot.exists():
        return ""
    return f"{boot.read_text(encoding='ascii').strip()} {namespace.readlink() if namespace.is_symlink() else ''}"


def _machine() -> str:
    return hashlib.sha256(f"{socket.gethostname()} {process_table()}".encode()).hexdigest()[:8]


def unfinished_name(name: str) -> str:
    """Return a unique hidden name for the future `name`, from which `is_abandoned` can tell if its writer died."""
    return f".{name}.{_machine()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.unfinished"


def is_left_behind(path: Path) -> bool:
    """Whether a path is named by `unfinished_name` and its writer is a process of this machine that has ended."""
    match = _UNFINISHED.search(path.name)
    return match is not None and match[1] == _machine() and find_process(int(match[2])) is None


def is_abandoned(path: Path) -> bool:
    """Whether a path is named by `unfinished_name` and its writer is dead or the path is a day old."""
    if _UNFINISHED.search(path.name) is None:
        return False
    if is_left_behind(path):
        return True
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:
        return False
