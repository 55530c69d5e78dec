"""Addresses of published files: their mirror, their place in a folder of downloads, and those that the Hub serves."""

import hashlib
import os
import re
from pathlib import PurePosixPath
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from huggingface_hub import constants

from hf_sslgen.errors import InputError
from hf_sslgen.hub_access.other_servers import shown_address

MIRROR_VARIABLE: Final = "HF_SSLGEN_MIRROR"
"""Environment variable with the address of a server that has published files under `HOST/PATH`."""

HUB_HOSTS = ("huggingface.co", "www.huggingface.co", "hf.co")
RESOLVED = re.compile(r"/(?P<repository>[^/]+/[^/]+)/(?:resolve|blob)/(?P<revision>[^/]+)/(?P<filename>.+)")
UNUSUAL = re.compile(r"[^\w.=+-]")
LONGEST_NAME = 200


class HubFile(NamedTuple):
    """A file of a model's repository on the Hub."""

    repository: str
    revision: str
    filename: str


def is_address(text: str) -> bool:
    """Whether a text is the address of a file on a server."""
    return text.startswith(("http://", "https://"))


def hub_file(url: str) -> HubFile | None:
    """Return the file that an address names on the Hub; None for other servers."""
    parts = urlsplit(url)
    hosts = (*HUB_HOSTS, urlsplit(constants.ENDPOINT).netloc)
    found = RESOLVED.fullmatch(parts.path) if parts.netloc.lower() in hosts else None
    return HubFile(*(unquote(text) for text in found.group("repository", "revision", "filename"))) if found else None


def published_path(url: str) -> PurePosixPath:
    """Return a file's path in a folder of downloads, `HOST/PATH`, which differs between addresses.

    >>> str(published_path("https://dl.fbaipublicfiles.com/vicreg/resnet50.pth"))
    'dl.fbaipublicfiles.com/vicreg/resnet50.pth'

    Raises:
        InputError: the address has no server or no file name.
    """
    parts = urlsplit(url)
    names = [name for name in unquote(parts.path).split("/") if name not in ("", ".", "..")]
    if not is_address(url) or not parts.hostname or not names:
        raise InputError(f"{shown_address(url)} is not the address of a file; give http(s)://server/path/file")
    if parts.query and parts.query != "dl=1":  # such as Dropbox's request for the file instead of its page
        names[-1] = f"{hashlib.sha256(parts.query.encode()).hexdigest()[:8]}-{names[-1]}"
    host = parts.hostname if parts.port is None else f"{parts.hostname}_{parts.port}"
    return PurePosixPath(host, *(UNUSUAL.sub("_", name)[-LONGEST_NAME:] for name in names))


def mirrored(url: str) -> str:
    """Return the address to ask: that of HF_SSLGEN_MIRROR if it is set, else the published one.

    Raises:
        InputError: the variable is not an address.
    """
    mirror = os.environ.get(MIRROR_VARIABLE, "").strip()
    if not mirror:
        return url
    if not is_address(mirror):
        raise InputError(f"{MIRROR_VARIABLE} is {shown_address(mirror)!r}; set it to http(s)://server[/path]")
    return f"{mirror.rstrip('/')}/{quote(str(published_path(url)))}"
