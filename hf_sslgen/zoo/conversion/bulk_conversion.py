"""Convert many registered backbones from their publishers' files: each is downloaded, converted, checked and kept."""

import contextlib
import logging
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hf_sslgen.errors import DiskFullError, InputError, SslgenError, hinted, reworded
from hf_sslgen.files import create_folder, remove_abandoned
from hf_sslgen.shortages import shortage_of
from hf_sslgen.work_claims import kept_alive, try_claim
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone, known_backbone_ids, twin_sets
from hf_sslgen.zoo.conversion.convert_file import CardWriter, convert_checkpoint
from hf_sslgen.zoo.conversion.download import fetch_published_file
from hf_sslgen.zoo.converted_rows import converted_folder, holds_converted_files

logger = logging.getLogger(__name__)

Result = Literal["converted", "present", "failed", "left out"]

CLAIMS = ".claims"
POLL_SECONDS = 1.0
PARAMETER_BYTES = 4


@dataclass(frozen=True)
class BulkSettings:
    """Where converted folders and originals go, and what is done with a conversion.

    Attributes:
        root: holds a folder for each row.
        originals: holds the downloaded files, which are removed once they are converted unless `keep_originals`.
        check: looks at an unfinished folder; returns remarks, or raises InputError if it must not be kept.
    """

    root: Path
    originals: Path
    keep_originals: bool
    write_card: CardWriter | None
    check: Callable[[Path], str]

    def folder(self, row: Backbone) -> Path:
        return self.root / converted_folder(row).name


@dataclass(frozen=True)
class RowOutcome:
    """What became of a row.

    Attributes:
        size: bytes of the original; None if it was not needed.
        reason: why it failed or was left out, or what is remarkable about the conversion.
    """

    row: Backbone
    result: Result
    size: int | None = None
    seconds: float = 0.0
    reason: str = ""


def chosen_rows(names: Sequence[str]) -> list[Backbone]:
    """Return the rows to convert of twin sets, and those given by name, each once.

    Raises:
        InputError: a name is unknown, or that of a backbone or set that loads without conversion.
    """
    rows: dict[str, Backbone] = {}
    sets = twin_sets()
    for name in names:
        row = find_backbone(name)
        if row is None and name not in sets:
            raise InputError(hinted(f"{name!r} is not a twin set or backbone", name, [*sets, *known_backbone_ids()]))
        some = [row] if row is not None else list(sets[name].backbones)
        converted = {each.id: each for each in some if each.needs_conversion}
        if not converted:
            raise InputError(f"{name!r} needs no conversion; use it directly")
        rows |= converted
    return list(rows.values())


def convert_rows(rows: Sequence[Backbone], settings: BulkSettings) -> Iterator[RowOutcome]:
    """Convert rows, yielding each outcome as it is known; a failure does not stop the others.

    A row whose folder is complete costs nothing. Several processes may convert the same rows at once: each row is
    converted by one of them, for which the others wait.

    Raises:
        DiskFullError: the disk has no room for them, as far as their sizes are known.
    """
    settings.root.mkdir(parents=True, exist_ok=True)
    remove_abandoned(settings.root)
    _require_room(rows, settings)
    needed = Counter(row.url for row in rows)
    waiting, said = list(rows), False
    while waiting:
        busy = []
        for row in waiting:
            keeps = settings.keep_originals or needed[row.url] > 1
            outcome = _convert_if_free(row, settings, keeps)
            if outcome is None:
                busy.append(row)
                continue
            needed[row.url] -= 1
            yield outcome
        if busy and busy == waiting:
            if not said:
                logger.info("another process converts %s; waiting for it", ", ".join(row.id for row in busy))
            said = True
            time.sleep(POLL_SECONDS)
        waiting = busy


def bytes_to_write(rows: Sequence[Backbone], settings: BulkSettings) -> int:
    """Return how much space the rows that are not converted yet need at most, as far as their sizes are known."""
    missing = [row for row in rows if not holds_converted_files(settings.folder(row))]
    originals = [row.file_size or 0 for row in missing]
    downloads = sum(originals) if settings.keep_originals else max(originals, default=0)
    return downloads + sum(PARAMETER_BYTES * (row.parameters or 0) for row in missing)


def _require_room(rows: Sequence[Backbone], settings: BulkSettings) -> None:
    wanted, free = bytes_to_write(rows, settings), shutil.disk_usage(settings.root).free
    if wanted > free:
        raise DiskFullError(
            f"output_dir {str(settings.root)!r} needs {wanted / 1e9:.1f} GB for these {len(rows)} backbones, and "
            f"{free / 1e9:.1f} GB are free; free some space, convert fewer, or give another --output_dir"
        )


def _convert_if_free(row: Backbone, settings: BulkSettings, keeps_original: bool) -> RowOutcome | None:
    """Return what became of the row; None while another process is converting it."""
    folder = settings.folder(row)
    if holds_converted_files(folder):
        return RowOutcome(row, "present")
    if row.url is None:
        return RowOutcome(row, "left out", reason=f"its file has no known address ({row.note})")
    claim = try_claim(settings.root / CLAIMS, folder.name, without_links=True)
    if claim is None:
        return None
    with kept_alive(claim):
        if holds_converted_files(folder):  # by another process, a moment ago
            return RowOutcome(row, "present")
        return _convert(row, row.url, settings, keeps_original)


def _convert(row: Backbone, url: str, settings: BulkSettings, keeps_original: bool) -> RowOutcome:
    started, size = time.monotonic(), None
    logger.info("%s: from %s", row.id, url)
    try:
        _require_vacant(settings.folder(row))
        original = fetch_published_file(url, settings.originals, row.checksum, row.file_size)
        size = original.stat().st_size
        remarks = _make_folder(row, original, settings)
    except (SslgenError, OSError, MemoryError) as error:
        return RowOutcome(row, "failed", size, time.monotonic() - started, str(shortage_of(error) or error))
    if not keeps_original and original.is_relative_to(settings.originals):
        remove_download(original, settings.originals)
    return RowOutcome(row, "converted", size, time.monotonic() - started, remarks)


def _require_vacant(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder} holds something else than a converted checkpoint; remove it")


def _make_folder(row: Backbone, original: Path, settings: BulkSettings) -> str:
    """Convert and check in a temporary folder, which gets its name only if nothing is wrong; returns remarks."""
    with create_folder(settings.folder(row)) as unfinished:
        try:
            converted = convert_checkpoint(
                original, unfinished, row=row, source=row.url, licence=row.licence, write_card=settings.write_card
            )
            remarks = converted.other_size, settings.check(unfinished).replace(str(unfinished), row.id)
            return "; ".join(filter(None, remarks))
        except SslgenError as error:
            raise reworded(error, str(error).replace(str(unfinished), row.id)) from error


def remove_download(path: Path, top: Path) -> None:
    """Remove a downloaded file, and the folders above it that this leaves empty."""
    path.unlink(missing_ok=True)
    for parent in path.parents:
        if parent == top:
            return
        with contextlib.suppress(OSError):  # not empty
            parent.rmdir()
