"""Notice that files have changed without reading them: by their names, sizes and times."""

import hashlib
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SETTLED_SECONDS = 2.0
"""Files changed less than this ago could change again with the same times, whose resolution is limited."""


@dataclass(frozen=True)
class Signature:
    """What identifies some content without reading it.

    Attributes:
        digest: the same for the same content in the same place.
        is_final: whether other content would have another digest.
    """

    digest: str
    is_final: bool


UNKNOWN = Signature("", is_final=False)


def file_signature(path: Path) -> Signature:
    """Return the signature of a file, or of a folder with everything below it; `UNKNOWN` if part of it is unreadable.

    It includes the time at which the system last changed anything about a file. Programs can't set that, so even a
    file that is rewritten in place and given back its size and modification time is noticed. Links are followed,
    except those to a folder that contains them.
    """
    digest, newest = hashlib.blake2b(digest_size=16), 0.0
    try:
        state = path.stat()
        found = _below(str(path), "", (_identity(state),)) if stat.S_ISDIR(state.st_mode) else [("", state)]
        for name, state in found:
            newest = max(newest, state.st_mtime, state.st_ctime)
            content = f"{name}\0{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}\n"
            digest.update(content.encode(errors="surrogateescape"))
    except OSError:
        return UNKNOWN
    return Signature(digest.hexdigest(), is_final=time.time() - newest > SETTLED_SECONDS)


def _identity(state: os.stat_result) -> tuple[int, int]:
    return state.st_dev, state.st_ino


def _below(folder: str, name: str, around: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the relative name and the state of each file below a folder, in order of names.

    Args:
        around: what identifies the folder and those that contain it.
    """
    with os.scandir(folder) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        inner = f"{name}/{entry.name}"
        try:
            state = entry.stat()
        except FileNotFoundError:
            state = entry.stat(follow_symlinks=False)  # a link that leads nowhere
        if not stat.S_ISDIR(state.st_mode):
            yield inner, state
        elif entry.name != ".git" and _identity(state) not in around:
            yield from _below(entry.path, inner, (*around, _identity(state)))
