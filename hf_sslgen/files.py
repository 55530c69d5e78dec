"""Write files and folders atomically: each exists completely or not at all."""

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
"""Subfolder with complete new contents that only remain to be moved to their final names."""

FILE_LIST = ".files.json"
"""File in `COMMITTED` with the relative paths of all new files, moved or not, and patterns of obsolete files."""


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
"""Messages of safetensors, datasets, and torch (the last three), for a full disk, in errors without an errno."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one of its causes, means that the disk is full."""
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
    """Yield an empty folder inside `folder` whose files replace those in `folder` when the block ends without error.

    Either all files are replaced or none: after an error, or if the process dies inside the block, `folder` is
    unchanged. If it dies later, while files are being moved, the next call or `finish_replacement` moves the rest.

    An existing folder is never moved, so it may be a link, a mount point or the current folder, and its other files
    stay. Only one process at a time may do this to a folder, so it must hold a claim on it.

    Args:
        obsolete: patterns, such as `figures/*.png`, of files to remove unless the block writes them.
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
                finish_replacement(folder)  # started by another writer
            else:
                break
    finish_replacement(folder)


def finish_replacement(folder: Path) -> None:
    """Finish moving the files of a writer that was killed in `replace_files`."""
    committed = folder / COMMITTED
    try:
        listed = json.loads((committed / FILE_LIST).read_text(encoding="utf-8"))
    except FileNotFoundError:  # nothing left to move
        _remove_empty(committed)
        return
    for name in listed["files"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # already moved
            (committed / name).replace(folder / name)
    for path in [path for pattern in listed["obsolete"] for path in folder.glob(pattern)]:
        if not path.is_dir() and path.relative_to(folder).as_posix() not in listed["files"]:
            path.unlink(missing_ok=True)
    shutil.rmtree(committed, ignore_errors=True)


def _remove_empty(folder: Path) -> None:
    """Remove this folder and those below it if empty; files, which another writer may have just added, stay."""
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            path.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextmanager
def create_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that is renamed to `folder` when the block ends without error.

    If a non-empty `folder` exists by then, it stays, and the temporary folder is discarded.
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
    """Yield a temporary path; the file written there replaces `path` when the block ends without error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(unfinished_name(path.name))
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def give_usual_mode(path: Path) -> None:
    """Set a file's permissions according to the umask, because safetensors makes files readable only by the owner."""
    usual = path.with_name(unfinished_name(path.name))
    try:
        usual.touch()
        path.chmod(stat.S_IMODE(usual.stat().st_mode))
    finally:
        usual.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON; NaN and infinity are refused, because other JSON readers do not accept them."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_file(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def flush_to_disk(path: Path) -> None:
    """Flush a file's content, or a folder's list of names, so that it survives a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # unsupported by some file systems, mostly for folders
            raise
    finally:
        os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove unfinished files left in a folder by writers that died."""
    for path in folder.glob(".*.unfinished"):
        if not is_abandoned(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
