"""Claims: which process is computing a cell, agreed on through files alone.

Any number of processes, on one machine or on many that share a file system, may claim cells of one store. A claim is a
file `<name>.<generation>.json` that is linked into place, which only one process can do. Its owner touches it while it
works. The claim of an owner that died is not removed but overtaken by the next generation, so that two processes that
notice the death at once can't both win, nor remove each other's new claim.

A claim is held to be dead where its process no longer runs (same machine), or where it was not touched for
`LEASE_SECONDS` (any machine). A machine that sleeps longer than that may find its cell computed by another process
when it wakes; it then drops its own result.
"""

import json
import os
import platform
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

LEASE_SECONDS = 300.0
TOUCH_SECONDS = 20.0


@dataclass(frozen=True)
class Owner:
    """The process behind a claim.

    Attributes:
        boot: identifies the machine since it started; empty where that can't be told.
        started: when the process started, in the machine's own units, so that a reused number is not taken for it.
        token: of this claim alone.
    """

    host: str
    boot: str
    process: int
    started: str
    token: str
    since: str


@dataclass(frozen=True)
class Claim:
    """A claim that was found, and the file it was read from."""

    name: str
    generation: int
    path: Path
    owner: Owner | None


def _boot() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text(encoding="ascii").strip() if path.exists() else ""


def _process_started(process: int) -> str | None:
    """When a process of this machine started; None where it does not run or is only waiting to be reaped."""
    if platform.system() == "Linux":
        try:
            text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        state, *fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
        return None if state in "ZX" else fields[18]
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""


def this_process() -> Owner:
    """The owner of a new claim."""
    return Owner(
        host=socket.gethostname(),
        boot=_boot(),
        process=os.getpid(),
        started=_process_started(os.getpid()) or "",
        token=uuid.uuid4().hex,
        since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _read_owner(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _same_machine(owner: Owner) -> bool:
    return owner.host == socket.gethostname() and owner.boot == _boot()


def seconds_untouched(path: Path, folder: Path) -> float:
    """How long ago a file was touched, by the clock of the file system and not of this machine."""
    probe = folder / f".clock.{os.getpid()}.{threading.get_ident()}.unfinished"
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except OSError:
        return 0.0
    finally:
        probe.unlink(missing_ok=True)


def is_alive(claim: Claim) -> bool:
    """Whether the process behind a claim is still at work."""
    owner = claim.owner
    if owner is not None and _same_machine(owner):
        return _process_started(owner.process) == owner.started
    return seconds_untouched(claim.path, claim.path.parent) < LEASE_SECONDS


def find_claim(folder: Path, name: str) -> Claim | None:
    """The latest generation of a claim, alive or dead."""
    generations = [
        (int(number), path)
        for path in folder.glob(f"{name}.*.json")
        if (number := path.name.removeprefix(f"{name}.").removesuffix(".json")).isdigit()
    ]
    if not generations:
        return None
    generation, path = max(generations)
    return Claim(name, generation, path, _read_owner(path))


def find_claims(folder: Path) -> list[Claim]:
    """The latest generation of every claim of a folder."""
    names = {path.name.rsplit(".", 2)[0] for path in folder.glob("*.json")}
    return [claim for name in sorted(names) if (claim := find_claim(folder, name)) is not None]


def try_claim(folder: Path, name: str) -> Claim | None:
    """Claim a name; None where a living process holds it, or where another one was quicker."""
    found = find_claim(folder, name)
    if found is not None and is_alive(found):
        return None
    generation = 1 if found is None else found.generation + 1
    owner = this_process()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.{generation}.json"
    written = folder / f".{owner.token}.unfinished"
    try:
        written.write_text(json.dumps(asdict(owner)) + "\n", encoding="utf-8")
        os.link(written, path)
    except FileExistsError:
        return None
    finally:
        written.unlink(missing_ok=True)
    return Claim(name, generation, path, owner)


def still_held(claim: Claim) -> bool:
    """Whether no other process overtook a claim."""
    found = find_claim(claim.path.parent, claim.name)
    return found is not None and found.owner == claim.owner


def release(claim: Claim) -> None:
    """Give a claim up, with the dead generations before it; one that was overtaken is left to its new owner."""
    if not still_held(claim):
        return
    for generation in range(
        1, claim.generation + 1
    ):  # the own one last, so that no dead one ever stands as the latest
        (claim.path.parent / f"{claim.name}.{generation}.json").unlink(missing_ok=True)


@contextmanager
def kept_alive(claim: Claim) -> Iterator[None]:
    """Touch a claim until the block ends, then release it."""
    done = threading.Event()

    def touch() -> None:
        while not done.wait(TOUCH_SECONDS):
            try:
                os.utime(claim.path)
            except OSError:  # overtaken, or the file system is away for a moment
                continue

    thread = threading.Thread(target=touch, name=f"claim {claim.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        release(claim)
