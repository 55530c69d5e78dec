"""How much memory can still be allocated."""

from collections.abc import Iterator
from pathlib import Path

PROCESSES, CONTROL_GROUPS = Path("/proc"), Path("/sys/fs/cgroup")

UNREPORTED = 2 * 1024**3
"""Assumed where the system does not report it (other than Linux)."""

UNLIMITED = 2**62

RECLAIMABLE = ("inactive_file", "total_inactive_file")
"""What control groups call cached files that are dropped when memory is needed, in their second and first version."""


def available_memory(processes: Path = PROCESSES, groups: Path = CONTROL_GROUPS) -> int:
    """Return the bytes that can be allocated without swapping, as limited by control groups (containers, SLURM)."""
    reported = processes / "meminfo"
    if not reported.is_file():
        return UNREPORTED
    line = next(line for line in reported.read_text().splitlines() if line.startswith("MemAvailable:"))
    return max(0, min(1024 * int(line.split()[1]), *_left_by_groups(processes / "self" / "cgroup", groups)))


def _left_by_groups(own: Path, groups: Path) -> Iterator[int]:
    """Yield what each control group around this process leaves of its limit."""
    yield UNLIMITED
    for line in own.read_text().splitlines() if own.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, limit, used = groups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            root, limit, used = groups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        folder = root / path.lstrip("/")
        for each in (folder, *folder.parents):
            most = _number(each / limit)
            if most is not None:
                yield most - (_number(each / used) or 0) + _reclaimable(each)
            if each == root:
                break


def _number(path: Path) -> int | None:
    """Return the number in a file, or None if there is none: `max` stands for no limit."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable(folder: Path) -> int:
    try:
        rows = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max((int(value) for name, value in rows if name in RECLAIMABLE), default=0)
    except (OSError, ValueError):
        return 0
