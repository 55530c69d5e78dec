"""Download a published file: resumed where it stopped, verified, and under its name complete or not at all."""

import hashlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub.utils import httpx

from hf_sslgen.errors import HubError, InputError
from hf_sslgen.files import flush_to_disk
from hf_sslgen.hub_access.other_servers import BY_HAND, server_sentence, shown_address
from hf_sslgen.hub_access.retries import may_pass, repeated
from hf_sslgen.shortages import raise_shortage
from hf_sslgen.work_claims import kept_alive, try_claim
from hf_sslgen.zoo.conversion.arrival import Download, arrive, begun_part, size_of
from hf_sslgen.zoo.conversion.published_addresses import hub_file, mirrored, published_path
from hf_sslgen.zoo.conversion.published_checksum import difference, read_checksum
from hf_sslgen.zoo.hub_files import fetch_file

logger = logging.getLogger(__name__)

CLAIMS = ".claims"
POLL_SECONDS = 0.2


def fetch_published_file(url: str, folder: Path, checksum: str | None = None, size: int | None = None) -> Path:
    """Return a published file's local copy, downloading what is missing of it.

    A file of the Hub goes to its own cache. Any other goes to `HOST/PATH` below `folder`, and is asked of the server
    in HF_SSLGEN_MIRROR if that is set. A partial download (`.part`) is continued if the server confirms that the file
    has not changed. Several processes may ask for the same file: one downloads it, and the others wait for it.

    Args:
        url: address with http or https.
        checksum: `md5:` or `sha256:` and the first digits, as published; None if none is published.
        size: bytes, as published; None if unknown.

    Raises:
        InputError: the server does not have the file or refuses it, or something else arrives.
        HubError: the server or the Hub is unavailable; the same command continues later.
        DiskFullError: the disk has no room for it.
    """
    if checksum is not None:
        read_checksum(checksum)
    found = hub_file(url)
    if found is not None:
        cached = fetch_file(found.repository, found.revision, found.filename)
        if (wrong := difference(cached, checksum, size)) is not None:
            raise InputError(f"{shown_address(url)} is not the published file: {wrong}; {BY_HAND}")
        return cached
    wanted = Download(url, folder / published_path(url), checksum, size)
    try:
        with _alone(wanted, folder):
            if not _is_present(wanted):
                _fetch(wanted)
    except OSError as error:
        raise_shortage(error)
        raise InputError(f"{folder} can't be written ({error.strerror}); give another folder") from error
    return wanted.path


@contextmanager
def _alone(wanted: Download, folder: Path) -> Iterator[None]:
    """Keep other processes from downloading the same file until the block ends."""
    name, said = hashlib.sha256(str(published_path(wanted.url)).encode()).hexdigest()[:16], False
    while (claim := try_claim(folder / CLAIMS, name, without_links=True)) is None:
        if not said:
            logger.info("another process is downloading %s; waiting for it", wanted.asked)
        said = True
        time.sleep(POLL_SECONDS)
    with kept_alive(claim):
        yield


def _is_present(wanted: Download) -> bool:
    if not wanted.path.is_file():
        return False
    wrong = difference(wanted.path, wanted.checksum, wanted.size)
    if wrong is not None:
        logger.warning("%s is downloaded again: %s", wanted.path, wrong)
    return wrong is None


def _fetch(wanted: Download) -> None:
    """Download the rest, or everything if a continued file proves to be another one, and give it its name."""
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    is_continued = begun_part(wanted) is not None
    _arrive_patiently(wanted)
    wrong = difference(wanted.part, wanted.checksum, wanted.size)
    if wrong is not None and is_continued:
        logger.warning("%s is downloaded from its beginning: %s", wanted.asked, wrong)
        wanted.discard()
        _arrive_patiently(wanted)
        wrong = difference(wanted.part, wanted.checksum, wanted.size)
    if wrong is not None:
        wanted.discard()
        raise InputError(f"{wanted.asked} is not the published file: {wrong}; {BY_HAND}")
    flush_to_disk(wanted.part)
    wanted.part.replace(wanted.path)
    wanted.notes.unlink(missing_ok=True)


def _arrive_patiently(wanted: Download) -> None:
    """Repeat the request as often as the policy allows, counting anew whenever some of the file has arrived."""
    while True:
        before = size_of(wanted.part)
        try:
            repeated(lambda: arrive(wanted), lambda error: server_sentence(error, mirrored(wanted.url)))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if may_pass(error) and size_of(wanted.part) > before:
                continue
            kind = HubError if may_pass(error) else InputError
            raise kind(server_sentence(error, mirrored(wanted.url))) from error
        return
