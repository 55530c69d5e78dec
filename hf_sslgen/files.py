"""Writing so that a file or folder exists whole or not at all."""

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_sslgen.errors import DiskFullError
from hf_sslgen.processes import is_abandoned, unfinished_name

COMMITTED = ".committed"
"""Inside a folder: new contents that are whole and only have to be moved to their own names."""

FILE_LIST = ".files.json"
"""In `COMMITTED`: the relative paths of all the new files, moved already or not, and patterns of obsolete ones."""


FULL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FULL_DISK_WORDS = (
    "No space left",
    "Not enough disk space",
    "File too large",
    "quota exceeded",
    "PytorchStreamWriter failed writing",
    ". unexpected pos ",
    "iostream error",
)
"""How safetensors, datasets and torch (the last three) say it, in errors without a number."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that no room is left for a file."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    return any(
        isinstance(each, DiskFullError)
        or (isinstance(each, OSError) and each.errno in FULL_DISK_ERRORS)
        or any(words in str(each) for words in FULL_DISK_WORDS)
        for each in chain
    )


@contextmanager
def _unfinished_folder(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(unfinished_name(folder.name))
    try:
        unfinished.mkdir()
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def replace_files(folder: Path, obsolete: Sequence[str] = ()) -> Iterator[Path]:
    """Yield an empty folder inside `folder` whose files take their places in it when the block ends without an error.

    All of them or none: after an error, or where the process dies inside the block, `folder` is as it was. Where it
    dies later, while the files move to their own names, the next call or `finish_replacement` moves the rest.

    A folder that is there never moves, so it may be a link, a mount point or the current folder, and other files in it
    stay. Of several processes only one may do this to a folder at a time, which has to claim it.

    Args:
        obsolete: patterns, such as `figures/*.png`, of files that are removed where the block did not write them.
    """
    if not folder.exists():
        with create_folder(folder) as unfinished:
            yield unfinished
        return
    finish_replacement(folder)
    with _unfinished_folder(folder / "contents") as unfinished:
        yield unfinished
        files = sorted(path for path in unfinished.rglob("*") if path.is_file())
        names = [path.relative_to(unfinished).as_posix() for path in files]
        write_json(unfinished / FILE_LIST, {"files": names, "obsolete": list(obsolete)})
        for path in (*files, unfinished / FILE_LIST, unfinished):
            flush_to_disk(path)
        while True:
            try:
                unfinished.rename(folder / COMMITTED)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                finish_replacement(folder)  # of another writer
            else:
                break
    finish_replacement(folder)


def finish_replacement(folder: Path) -> None:
    """Move what a writer that was killed in `replace_files` had finished to its own names."""
    committed = folder / COMMITTED
    try:
        listed = json.loads((committed / FILE_LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:  # nothing is left to be moved
        _remove_empty(committed)
        return
    for name in listed["files"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # moved before
            (committed / name).replace(folder / name)
    for path in [path for pattern in listed["obsolete"] for path in folder.glob(pattern)]:
        if not path.is_dir() and path.relative_to(folder).as_posix() not in listed["files"]:
            path.unlink(missing_ok=True)
    shutil.rmtree(committed, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    """Remove empty folders, this one and those below it; files, which another writer may just have put there, stay."""
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextmanager
def create_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that becomes it when the block ends without an error.

    A folder that stands there by then, with something in it, stays, and the block's is dropped.
    """
    with _unfinished_folder(folder) as unfinished:
        yield unfinished
        try:
            unfinished.rename(folder)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a path beside `path`; what the block wrote there takes its place when it ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(unfinished_name(path.name))
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def give_usual_mode(path: Path) -> None:
    """Give a file the permissions that the umask leaves: safetensors lets only the owner read what it writes."""
    usual = path.with_name(unfinished_name(path.name))
    try:
        usual.touch()
        path.chmod(stat.S_IMODE(usual.stat().st_mode))
    finally:
        usual.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON; NaN and infinity are refused, because no other JSON reader takes them."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_file(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def flush_to_disk(path: Path) -> None:
    """Return when a file's content, or a folder's list of names, would survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems that do not offer it, mostly for folders
            raise
    finally:
        os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove what writers that died left unfinished in a folder."""
    for path in folder.glob(".*.unfinished"):
        if not is_abandoned(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
