"""Take the files that were dropped onto the page: their names are checked, their number and size bounded."""

import re
import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hf_sslgen.app.zip_archive import unpack
from hf_sslgen.domains.local.file_survey import METADATA_NAMES, SYSTEM_FOLDERS, picture_suffixes
from hf_sslgen.errors import InputError

TOKEN = re.compile(r"[0-9a-f]{32}")
"""Names a drop; made by the page."""

TABLE_SUFFIXES = frozenset({".parquet", ".arrow"})
ZIP = ".zip"
LONGEST_NAME_BYTES = 200
DEEPEST = 16
KEPT_DROPS = 4
"""Number of drops that are kept, for as many open pages; the oldest is removed first."""

NAME_A_FOLDER = "put them into a folder on this machine and name that folder"

UNNAMED = "my images"
"""Name of a domain whose pictures lie in no common folder."""


@dataclass(frozen=True)
class Limits:
    """The most that one drop may hold, packed or unpacked."""

    files: int = 20_000
    total_bytes: int = 2 * 10**9

    def require(self, files: int, total_bytes: int) -> None:
        """Raise InputError if there is more."""
        if files > self.files:
            raise InputError(f"there are more than {self.files:,} files; {NAME_A_FOLDER}")
        if total_bytes > self.total_bytes:
            raise InputError(f"the files hold more than {self.total_bytes / 1e9:g} GB; {NAME_A_FOLDER}")


def safe_parts(name: str) -> tuple[str, ...]:
    """Return the folders and the file that a relative name states.

    Raises:
        InputError: the name leads out of its folder, or is invalid for a file.
    """
    parts = tuple(unicodedata.normalize("NFC", name).split("/"))
    shown = name if len(name) <= 80 else f"{name[:77]}..."
    if len(parts) > DEEPEST:
        raise InputError(f"{shown!r} lies more than {DEEPEST} folders deep; drop the folder that holds the pictures")
    for part in parts:
        if part in ("", ".", "..") or "\\" in part or not part.isprintable():
            raise InputError(f"{shown!r} is not a name of a file below the dropped folder; rename it")
        if len(part.encode(errors="replace")) > LONGEST_NAME_BYTES:
            raise InputError(f"the name {shown!r} is too long; rename it")
    return parts


def is_kept(parts: tuple[str, ...]) -> bool:
    """Whether a file is part of a data set: a picture, a table of metadata or of pictures, and nothing hidden."""
    if any(part.startswith(".") or part in SYSTEM_FOLDERS for part in parts):
        return False
    suffix = PurePosixPath(parts[-1]).suffix.lower()
    return suffix in picture_suffixes() or suffix in TABLE_SUFFIXES or parts[-1].lower() in METADATA_NAMES


@dataclass
class _Drop:
    """What has arrived of one drop."""

    folder: Path
    files: int = 0
    total_bytes: int = 0


class DropArea:
    """A folder with a subfolder for each drop; it can be removed as a whole."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self._drops: dict[str, _Drop] = {}
        self.in_use = Path()
        """Folder of a drop that is being compared on, which is not removed for others."""

    def _drop(self, token: str) -> _Drop:
        if not TOKEN.fullmatch(token):
            raise InputError("a drop is named by 32 hexadecimal digits")
        if token not in self._drops:
            free = [each for each, drop in self._drops.items() if drop.folder not in self.in_use.parents]
            if len(self._drops) >= KEPT_DROPS:
                self.forget(free[0])
            self._drops[token] = _Drop(self.folder / token)
        return self._drops[token]

    def forget(self, token: str) -> None:
        """Remove the files of a drop."""
        drop = self._drops.pop(token, None)
        if drop is not None:
            shutil.rmtree(drop.folder, ignore_errors=True)

    @contextmanager
    def receiving(self, token: str, name: str) -> Iterator[Callable[[bytes], object] | None]:
        """Yield a function that appends to the file of this name; None if such a file is not kept.

        The file exists once the block ends without error.

        Raises:
            InputError: the name is invalid or taken, or the drop exceeds a limit.
        """
        parts, drop = safe_parts(name), self._drop(token)
        drop.files += 1
        self.limits.require(drop.files, drop.total_bytes)
        if not (is_kept(parts) or (len(parts) == 1 and parts[0].lower().endswith(ZIP))):
            yield None
            return
        path = drop.folder.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = path.open("xb")
        except OSError as error:
            raise InputError(f"{name!r} was dropped twice, or as a file and as a folder; drop it once") from error
        try:
            with opened as file:

                def write(part: bytes) -> None:
                    drop.total_bytes += len(part)
                    self.limits.require(drop.files, drop.total_bytes)
                    file.write(part)

                yield write
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def gathered(self, token: str) -> Path:
        """Unpack a drop's zip archives and return the folder of its files, which gives the domain its name.

        Raises:
            InputError: there are no files, or an archive is damaged, dangerous or too large.
        """
        drop = self._drops.get(token)
        if drop is None or not drop.folder.is_dir():
            raise InputError("nothing usable was dropped; drop pictures, a folder of them, or a zip of them")
        for archive in sorted(drop.folder.glob("*")):
            if archive.suffix.lower() == ZIP and archive.is_file():
                unpack(archive, drop.folder / archive.stem, is_kept, safe_parts, self.limits.require)
                archive.unlink()
        return domain_folder(drop.folder)


def domain_folder(folder: Path) -> Path:
    """Return the one folder that holds everything in a folder, after creating it if there are several or files."""
    inside = sorted(folder.iterdir())
    if len(inside) == 1 and inside[0].is_dir():
        return inside[0]
    named = folder / UNNAMED
    if named not in inside:
        named.mkdir()
        for each in inside:
            each.rename(named / each.name)
    return named
