"""Writing so that a file or folder exists whole or not at all."""

import errno
import json
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hf_sslgen.processes import is_abandoned, unfinished_name


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
def replace_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` that takes its place when the block ends without an error.

    After an error, or where the process dies inside the block, `folder` is as it was. A folder that is replaced is
    moved aside first and removed last, so there is never a part of it under its name.
    """
    with _unfinished_folder(folder) as unfinished:
        yield unfinished
        replaced = unfinished.with_suffix(".replaced.unfinished")
        if folder.exists():
            folder.rename(replaced)
        unfinished.rename(folder)
        shutil.rmtree(replaced, ignore_errors=True)


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
    """Let a file be read by whom the umask says: safetensors lets nobody but its owner read what it writes."""
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


def remove_abandoned(folder: Path) -> None:
    """Remove what writers that died left unfinished in a folder."""
    for path in folder.glob(".*.unfinished"):
        if not is_abandoned(path):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
