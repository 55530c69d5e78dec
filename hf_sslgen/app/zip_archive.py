"""Unpack a zip archive that somebody else has made: nothing outside its folder, no links, no more than announced."""

import lzma
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from hf_sslgen.errors import InputError

CHUNK_BYTES = 2**20
END_BYTES = 22 + 2**16
"""Longest end record of an archive, with its comment."""

END, ZIP64_LOCATOR = b"PK\x05\x06", b"PK\x06\x07"
LOCATOR_BYTES = 20
DIRECTORY_BYTES = 64 * 2**20
"""Most bytes of an archive's table of contents, which is read into memory as a whole."""

UNPACKED_IS_BETTER = "unpack it and drop the folder"

Parts = tuple[str, ...]


def unpack(
    archive: Path,
    folder: Path,
    is_kept: Callable[[Parts], bool],
    safe_parts: Callable[[str], Parts],
    require_within: Callable[[int, int], None],
) -> None:
    """Unpack an archive into a new folder, which appears only when it is complete.

    Args:
        is_kept: whether a file is unpacked, by its path; others are skipped.
        safe_parts: a name's folders and file; raises InputError for a name that leads elsewhere.
        require_within: raises InputError for too large a number of files and of bytes.

    Raises:
        InputError: the archive is damaged or encrypted, has a dangerous entry, or unpacks to too much.
    """
    partial = folder.with_name(f".{folder.name}.unpacking")
    try:
        _require_small_directory(archive)
        with zipfile.ZipFile(archive) as opened:
            written = 0
            files = [entry for entry in opened.infolist() if not entry.is_dir()]
            require_within(len(files), 0)
            for entry in files:
                parts = safe_parts(entry.filename)
                _require_plain(entry)
                if is_kept(parts):
                    written = _unpack_file(
                        opened, entry, partial.joinpath(*parts), written, len(files), require_within
                    )
        if not partial.is_dir():
            raise InputError("it holds no pictures")
        partial.rename(folder)
    except InputError as error:
        raise InputError(f"the archive {archive.name!r} can't be used: {error}") from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError) as error:
        raise InputError(f"the archive {archive.name!r} can't be read ({error}); {UNPACKED_IS_BETTER}") from error
    except OSError as error:
        raise InputError(f"the archive {archive.name!r} can't be unpacked: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_small_directory(archive: Path) -> None:
    """Raise InputError if the table of contents is too large to be read, or the end record does not state its size."""
    with archive.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - END_BYTES - LOCATOR_BYTES))
        tail = file.read()
    at = tail.rfind(END)
    if at < 0 or len(tail) < at + 22:
        raise InputError(f"it is not a zip archive; {UNPACKED_IS_BETTER}")
    if tail[max(0, at - LOCATOR_BYTES) : at].startswith(ZIP64_LOCATOR):
        raise InputError(f"it has the 64-bit format for very large archives; {UNPACKED_IS_BETTER}")
    if int.from_bytes(tail[at + 12 : at + 16], "little") > DIRECTORY_BYTES:
        raise InputError(f"its table of contents is larger than {DIRECTORY_BYTES >> 20} MiB; {UNPACKED_IS_BETTER}")


def _require_plain(entry: zipfile.ZipInfo) -> None:
    """Raise InputError for a link, a device, or an encrypted file."""
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        what = "a link" if kind == stat.S_IFLNK else "not a file"
        raise InputError(f"{entry.filename[:80]!r} is {what}; {UNPACKED_IS_BETTER}")
    if entry.flag_bits & 1:
        raise InputError(f"it is encrypted; {UNPACKED_IS_BETTER}")


def _unpack_file(
    opened: zipfile.ZipFile,
    entry: zipfile.ZipInfo,
    path: Path,
    written: int,
    num_files: int,
    require_within: Callable[[int, int], None],
) -> int:
    """Unpack one file; returns the bytes written so far, which the archive's own statements can't exceed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        target = path.open("xb")
    except FileExistsError as error:
        raise InputError(f"{entry.filename[:80]!r} occurs twice; {UNPACKED_IS_BETTER}") from error
    with opened.open(entry) as source, target:
        while part := source.read(CHUNK_BYTES):
            written += len(part)
            require_within(num_files, written)
            target.write(part)
    return written
