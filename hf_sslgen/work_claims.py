"""Claims by which processes agree, through files alone, on who computes a cell or works in a folder.

Any number of processes, on one machine or on many that share a file system, may claim names in one folder. A claim is
a file `<name>.<generation>.json` that is linked into place, which only one process can do. Its owner touches it while
it works. The claim of a dead owner is not removed but superseded by the next generation, so that two processes that
notice the death at the same time can neither both win nor remove each other's new claim.

A claim counts as dead if its process no longer runs (same machine), or if it was not touched for `LEASE_SECONDS`
(another machine, or a suspended process). An owner that resumes after that finds its claim superseded and discards its
own result.
"""

import errno
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

from hf_sslgen.errors import InputError
from hf_sslgen.interruption import deferred_interrupts
from hf_sslgen.processes import Process, find_process, process_table, unfinished_name

LEASE_SECONDS = 300.0
TOUCH_SECONDS = 20.0
NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@dataclass(frozen=True)
class Owner:
    """The process behind a claim.

    Attributes:
        boot: the process table that its number refers to (`process_table`).
        started: start time of the process, so that another process with the same number is not mistaken for it.
        token: unique to this claim.
    """

    host: str
    boot: str
    process: int
    started: str
    token: str
    since: str


@dataclass(frozen=True)
class Claim:
    """An existing claim and the file it was read from."""

    name: str
    generation: int
    path: Path
    owner: Owner | None


def this_process() -> Owner:
    """Return this process as the owner of a new claim."""
    process = find_process(os.getpid())
    return Owner(
        host=socket.gethostname(),
        boot=process_table(),
        process=os.getpid(),
        started=process.started if process is not None else "",
        token=uuid.uuid4().hex,
        since=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )


def _read_owner(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def seconds_untouched(path: Path, now: float | None = None) -> float:
    """Return how long ago a file was touched, by its file system's clock, which all machines share.

    A missing file gives 0. On a read-only file system this machine's clock is used instead.

    Args:
        now: what `file_system_time` returned a moment ago for the file's folder; asked for if not given.
    """
    now = file_system_time(path.parent) if now is None else now
    try:
        return now - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def file_system_time(folder: Path) -> float:
    """Return the time by the clock of a folder's file system."""
    clock = folder / unfinished_name("clock")
    try:
        clock.touch()
        now = clock.stat().st_mtime
        clock.unlink()
    except OSError:
        now = time.time()
    return now


def _is_of_this_machine(owner: Owner | None) -> TypeGuard[Owner]:
    return owner is not None and (owner.host, owner.boot) == (socket.gethostname(), process_table())


def is_at_work(claim: Claim) -> bool:
    """Whether the process behind a claim runs on this machine; False if unknown."""
    if not _is_of_this_machine(claim.owner):
        return False
    process = find_process(claim.owner.process)
    return process is not None and bool(process.started) and process == Process(claim.owner.started, stopped=False)


def is_alive(claim: Claim, now: float | None = None) -> bool:
    """Whether the process behind a claim appears to be still at work; `now` as for `seconds_untouched`."""
    if _is_of_this_machine(claim.owner):
        process = find_process(claim.owner.process)
        if process is None or process.started != claim.owner.started:
            return False
        if is_at_work(claim):
            return True
    return seconds_untouched(claim.path, now) < LEASE_SECONDS


def find_claim(folder: Path, name: str) -> Claim | None:
    """Return the latest generation of a claim, alive or dead."""
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
    """Return the latest generation of every claim in a folder, from one listing."""
    latest: dict[str, tuple[int, Path]] = {}
    for path in folder.glob("*.json"):
        name, number = path.name.removesuffix(".json").rpartition(".")[::2]
        if number.isdigit():
            latest[name] = max(latest.get(name, (0, path)), (int(number), path))
    return [Claim(name, number, path, _read_owner(path)) for name, (number, path) in sorted(latest.items())]


def find_living_claims(folder: Path) -> list[Claim]:
    """Return the claims in a folder whose processes appear to be still at work."""
    claims = find_claims(folder)
    now = file_system_time(folder) if claims else 0.0
    return [claim for claim in claims if is_alive(claim, now)]


def _link(owner: Owner, path: Path, without_links: bool) -> bool:
    """Link a claim's file into place; returns False if one exists already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(unfinished_name(path.name))
    content = json.dumps(asdict(owner)) + "\n"
    try:
        written.write_text(content, encoding="utf-8")
        try:
            os.link(written, path)
        except FileExistsError:
            return (
                written.stat().st_nlink > 1
            )  # NFS may repeat a successful link call and then report that the file exists
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if without_links:
                return _create(path, content)
            raise InputError(
                f"{path.parent} lies on a file system without hard links ({error.strerror}), which processes need to "
                "agree on their work; give an output_dir on another file system"
            ) from error
    finally:
        written.unlink(missing_ok=True)
    return True


def _create(path: Path, content: str) -> bool:
    """Write a file that must not exist yet; returns False if it does. Other processes may briefly see it empty."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        return False
    return True


def try_claim(folder: Path, name: str, without_links: bool = False) -> Claim | None:
    """Claim a name; returns None if a living process holds it or another process was faster.

    Args:
        without_links: whether to accept a file system without hard links. There, the claim of a process dying while
            claiming counts as alive until its lease ends.

    Raises:
        InputError: the file system has no hard links.
    """
    found = find_claim(folder, name)
    if found is not None and is_alive(found):
        return None
    generation = 1 if found is None else found.generation + 1
    claim = Claim(name, generation, folder / f"{name}.{generation}.json", this_process())
    assert claim.owner is not None
    if not _link(claim.owner, claim.path, without_links):
        return None
    # The dead claim may have been released in the meantime, and the name claimed again from generation 1 on.
    if still_held(claim) and (found is None or (found.path.exists() and _read_owner(found.path) == found.owner)):
        return claim
    claim.path.unlink(missing_ok=True)
    return None


def still_held(claim: Claim) -> bool:
    """Whether no other process has superseded a claim."""
    found = find_claim(claim.path.parent, claim.name)
    return found is not None and found.owner == claim.owner


def release(claim: Claim) -> None:
    """Release a claim and the dead generations before it; a superseded claim is left to its new owner."""
    if not still_held(claim):
        return
    for generation in range(1, claim.generation + 1):  # own claim last, so that a dead one is never the latest
        (claim.path.parent / f"{claim.name}.{generation}.json").unlink(missing_ok=True)


@contextmanager
def kept_alive(claim: Claim) -> Iterator[None]:
    """Touch a claim until the block ends, then release it."""
    done = threading.Event()

    def touch() -> None:
        while not done.wait(TOUCH_SECONDS):
            try:
                os.utime(claim.path)
            except OSError:  # superseded, or the file system is briefly unavailable
                continue

    thread = threading.Thread(target=touch, name=f"claim {claim.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        with deferred_interrupts() as request:  # one that came while the claim is released would leave it behind
            release(claim)
            done.set()
        request.obey()
        thread.join()
