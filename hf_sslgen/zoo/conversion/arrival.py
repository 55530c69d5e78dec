"""One request for what is missing of a published file: it continues a partial file or begins anew."""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from huggingface_hub.utils import httpx
from tqdm.auto import tqdm

from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.files import write_json
from hf_sslgen.hub_access.other_servers import BY_HAND, shown_address
from hf_sslgen.zoo.conversion.published_addresses import mirrored

TIMEOUT = httpx.Timeout(30.0, read=60.0)
OWN_SPACE = 64 << 20
"""Bytes of the disk that a download leaves free."""

PARTIAL, UNSATISFIABLE = 206, 416
PAGE_BEGINS = (b"<!doctype html", b"<html")


@dataclass(frozen=True)
class Begun:
    """What the server said of the file whose beginning has arrived.

    Attributes:
        validator: a strong ETag or a time of modification, which identifies the content.
        total: bytes of the whole file.
    """

    url: str
    validator: str
    total: int | None


@dataclass(frozen=True)
class Download:
    """A published file that is wanted, its final path, and what its publisher states."""

    url: str
    path: Path
    checksum: str | None
    size: int | None

    @property
    def asked(self) -> str:
        """The address that is asked, which can be a mirror's, for messages."""
        return shown_address(mirrored(self.url))

    @property
    def part(self) -> Path:
        """The file that grows until everything has arrived."""
        return self.path.with_name(f"{self.path.name}.part")

    @property
    def notes(self) -> Path:
        """The file that says what `part` is the beginning of."""
        return self.path.with_name(f"{self.path.name}.part.json")

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def arrive(wanted: Download) -> None:
    """Ask once for what is missing, and append what arrives.

    Raises:
        HTTPError: the server refuses, is unreachable or sends less than it announces.
        InputError: the file can't be the published one.
        DiskFullError: the disk has no room for it.
    """
    begun = begun_part(wanted)
    have = size_of(wanted.part) if begun is not None else 0
    if begun is not None and begun.total == have:
        return
    headers = {"Accept-Encoding": "identity", "User-Agent": "hf-sslgen"}
    if begun is not None and have:
        headers |= {"Range": f"bytes={have}-", "If-Range": begun.validator}
    with (
        httpx.Client(follow_redirects=True, timeout=TIMEOUT) as client,
        client.stream("GET", mirrored(wanted.url), headers=headers) as response,
    ):
        if response.status_code in (PARTIAL, UNSATISFIABLE) and not (begun and _continues(response, begun, have)):
            wanted.discard()  # the next attempt begins anew
            raise httpx.RemoteProtocolError("the server's part of the file does not fit what has arrived")
        response.raise_for_status()
        _require_file(wanted, response)
        offset = have if response.status_code == PARTIAL else 0
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        _require_size(wanted, total)
        _require_room(wanted, total, offset)
        _append(wanted, response, offset, total)
    arrived = size_of(wanted.part)
    if total is not None and arrived != total:
        if arrived > total:
            wanted.discard()
        raise httpx.RemoteProtocolError(f"{arrived:,} of {total:,} bytes have arrived")


def _append(wanted: Download, response: httpx.Response, offset: int, total: int | None) -> None:
    if offset == 0:
        wanted.discard()
        validator = _validator(response)
        if validator is not None:
            write_json(wanted.notes, asdict(Begun(wanted.url, validator, total)))
    bar = tqdm(
        desc=wanted.path.name, total=total, initial=offset, unit="B", unit_scale=True, disable=None, leave=False
    )
    with bar, wanted.part.open("ab") as file:
        for data in response.iter_raw():
            if file.tell() == 0 and data.lstrip()[:16].lower().startswith(PAGE_BEGINS):
                wanted.discard()
                raise _page(wanted)
            file.write(data)
            bar.update(len(data))


def begun_part(wanted: Download) -> Begun | None:
    """Return what the partial file is the beginning of; None if there is none or if the server can't confirm it."""
    try:
        begun = Begun(**json.loads(wanted.notes.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return begun if begun.url == wanted.url and wanted.part.is_file() else None


def size_of(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _validator(response: httpx.Response) -> str | None:
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified")


def _continues(response: httpx.Response, begun: Begun, have: int) -> bool:
    """Whether a partial response is the rest of the same file; some servers ignore If-Range."""
    span = response.headers.get("Content-Range", "").partition("/")[0]
    return span.startswith(f"bytes {have}-") and _validator(response) == begun.validator


def _page(wanted: Download) -> InputError:
    return InputError(f"{wanted.asked} is a web page, not a checkpoint; {BY_HAND}")


def _require_file(wanted: Download, response: httpx.Response) -> None:
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise _page(wanted)
    if wanted.url.startswith("https:") and response.url.scheme != "https" and mirrored(wanted.url) == wanted.url:
        raise InputError(f"{wanted.asked} leads to an address without encryption; {BY_HAND}")
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding != "identity":
        raise InputError(f"{wanted.asked} arrives compressed as {encoding!r}; {BY_HAND}")


def _require_size(wanted: Download, total: int | None) -> None:
    if total is not None and wanted.size is not None and total != wanted.size:
        wanted.discard()
        raise InputError(
            f"{wanted.asked} is not the published file: it has {total:,} bytes instead of the published "
            f"{wanted.size:,}; {BY_HAND}"
        )


def _require_room(wanted: Download, total: int | None, offset: int) -> None:
    free = shutil.disk_usage(wanted.path.parent).free
    if total is not None and total - offset + OWN_SPACE > free:
        raise DiskFullError(
            f"{wanted.asked} needs {(total - offset) / 1e6:,.0f} MB more, and {free / 1e6:,.0f} MB are "
            f"free in {wanted.path.parent}; free some space and run the command again"
        )
