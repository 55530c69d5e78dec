"""Check a command's output folder before anything is computed, and claim it."""

import errno
import logging
import os
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_sslgen.errors import DiskFullError, InputError, WorkerError
from hf_sslgen.files import finish_replacement, is_disk_full, remove_abandoned
from hf_sslgen.processes import unfinished_name
from hf_sslgen.work_claims import (
    LEASE_SECONDS,
    Claim,
    Owner,
    find_claim,
    is_at_work,
    kept_alive,
    seconds_untouched,
    still_held,
    try_claim,
)

logger = logging.getLogger(__name__)

CLAIM = ".claim"
LONGEST_INSIDE = 400
"""Bytes reserved for paths in the folder: the longest names of a cell and of an unfinished file in it."""

PROBE_BYTES = 4096
NOT_OURS = ("lost+found",)
"""Entries at the top of an empty disk; hidden files do not count either."""

POLL_SECONDS = 1.0


def require_output_folder(
    given: str | Path,
    own: Collection[str] | None = None,
    leftovers: Collection[str] = (),
    argument: str = "output_dir",
) -> Path:
    """Check that a command can write its results into a folder, which need not exist and is not created.

    Args:
        own: names of files or folders of which the command's own output has at least one; None allows any content.
        leftovers: names that may exist without any of `own`.
        argument: the option that named the folder.

    Returns:
        The folder, without `..`, which would require the parent folders to exist.

    Raises:
        InputError: the name is invalid, a file is in the way, the folder holds something else, or it can't be written
            (no permission, a read-only or full disk).
    """
    said = f"{argument} {str(given)!r}"
    folder = _resolved(given, said)
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise InputError(
            f"{said} is a file; give a folder" if existing == folder else f"{said} lies below {existing}, a file"
        )
    if existing == folder and own is not None:
        _require_own(folder, own, leftovers, said)
    _require_writable(existing, said)
    return folder if ".." in Path(given).parts else Path(given)


def _resolved(given: str | Path, said: str) -> Path:
    """Resolve the absolute path without links."""
    if not str(given).strip():
        raise InputError(f"{said} is empty; give a folder")
    try:
        folder = Path(given).resolve()
        too_long = [part for part in folder.parts if len(os.fsencode(part)) > os.pathconf("/", "PC_NAME_MAX")]
        links = [path for path in (Path(given), *Path(given).parents) if path.is_symlink() and not path.exists()]
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, or an invalid character
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{said} has a name that is too long for a folder; give a shorter one") from error
        raise InputError(f"{said} is not a valid folder ({error}); give another one") from error
    if too_long or len(os.fsencode(folder)) + LONGEST_INSIDE > os.pathconf("/", "PC_PATH_MAX"):
        raise InputError(f"{said} has a name that is too long for a folder; give a shorter one")
    if links:
        raise InputError(f"{said} leads through {links[0]}, a broken link; give another one")
    return folder


def _require_own(folder: Path, own: Collection[str], leftovers: Collection[str], said: str) -> None:
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"{said} can't be read ({error.strerror}); give another one") from error
    foreign = [name for name in names if not name.startswith(".") and name not in (*leftovers, *NOT_OURS)]
    if foreign and not set(own) & set(names):
        raise InputError(
            f"{said} holds other files ({foreign[0]}) and no results of this command; give an empty or new folder"
        )


def _require_writable(existing: Path, said: str) -> None:
    """Write and remove a small file, because permissions do not reveal quotas, full disks or a server's refusal."""
    probe = existing / unfinished_name("probe")
    try:
        probe.mkdir()
        (probe / "file").write_bytes(bytes(PROBE_BYTES))
    except OSError as error:
        kind = DiskFullError if is_disk_full(error) else InputError
        raise kind(f"{said} can't be written ({error.strerror}); give another one") from error
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def require_free(folder: Path) -> None:
    """Raise InputError if a process on this machine is working in a folder, before time is spent on loading."""
    found = find_claim(folder, CLAIM)
    if found is not None and is_at_work(found):
        raise _in_use(folder, found.owner)


def _in_use(folder: Path, owner: Owner | None) -> InputError:
    return InputError(
        f"output_dir {str(folder)!r} is in use by {_words(owner)}; wait until that has ended, or give another "
        "--output_dir"
    )


def claim_folder(folder: Path) -> Claim:
    """Claim a folder for this process, creating it if necessary.

    The owner of a claim from another machine, or of a suspended process, may be working or dead, so the claim is
    watched until it is touched or expires.

    Raises:
        InputError: another process is working in the folder (names it).
    """
    folder.mkdir(parents=True, exist_ok=True)
    watched: tuple[str, float] | None = None
    while (claim := try_claim(folder, CLAIM, without_links=True)) is None:
        found = find_claim(folder, CLAIM)
        if found is None:
            continue  # released at this moment
        sign = (found.owner.token if found.owner is not None else "", _touched(found.path))
        if is_at_work(found) or watched not in (None, sign):
            raise _in_use(folder, found.owner)
        if watched is None:
            rest = max(0.0, LEASE_SECONDS - seconds_untouched(found.path))
            logger.warning(
                "output_dir %s was claimed by %s; waiting up to %.0f s to see whether it is still at work",
                folder,
                _words(found.owner),
                rest,
            )
            watched = sign
        time.sleep(POLL_SECONDS)
    return claim


def _touched(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _words(owner: Owner | None) -> str:
    if owner is None:
        return "another process"
    return f"process {owner.process} on {owner.host} (since {owner.since})"


@contextmanager
def working_in(folder: Path, claim: Claim) -> Iterator[None]:
    """Keep the claim on a folder until the block ends, after removing leftovers of killed processes."""
    with kept_alive(claim):
        remove_abandoned(folder)
        finish_replacement(folder)
        yield


def require_held(claim: Claim) -> None:
    """Raise WorkerError if another process has superseded the claim, so that its results are not overwritten."""
    if not still_held(claim):
        raise WorkerError(
            f"output_dir {str(claim.path.parent)!r} was taken over by another process while this one was suspended or "
            "disconnected; this one stops writing there",
            of_one_process=True,
        )
