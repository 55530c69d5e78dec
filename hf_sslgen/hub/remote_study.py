"""Read a study's dataset repository: its layout, its content at one commit, and whether its cells equal ours.

README.md                      the card
cells/NAME/                    as in a study's folder: cell.json, results.json, records.parquet, examples.npz
tables/results/NAME.parquet    the cell's numbers, a row each
tables/records/NAME.parquet    its records, with columns that identify the cell
"""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.hf_api import RepoFile

from hf_sslgen.errors import HubError
from hf_sslgen.hub.cell_check import LARGEST
from hf_sslgen.hub_access.faults import INCOMPLETE, DamagedFileError
from hf_sslgen.hub_access.refusals import hub_sentence
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.study.cells.cell_folder import CELL_NAME

CELLS, TABLES, CARD = "cells", "tables", "README.md"
SHOWN = 5
"""Maximum number of cells named individually."""

KEY = ("metric", "stage", "transform", "severity")


@dataclass(frozen=True)
class RemoteStudy:
    """The content of a repository at one commit: files by path."""

    repository: str
    commit: str
    files: Mapping[str, RepoFile]
    kind: str = "dataset"

    @property
    def page(self) -> str:
        """Return the repository's name in messages."""
        return f"{self.kind}s/{self.repository}"

    def cells(self) -> dict[str, dict[str, RepoFile]]:
        """Return the files of each folder in `cells` by name; files at other depths are not part of a cell."""
        found: dict[str, dict[str, RepoFile]] = {}
        for path, file in self.files.items():
            parts = path.split("/")
            if len(parts) == 3 and parts[0] == CELLS:
                found.setdefault(parts[1], {})[parts[2]] = file
        return found


def look_at(api: HfApi, repository: str, kind: str = "dataset") -> RemoteStudy:
    """Return the current content of the repository's main branch."""
    commit = str(api.repo_info(repository, repo_type=kind).sha)
    entries = api.list_repo_tree(repository, repo_type=kind, revision=commit, recursive=True)
    return RemoteStudy(
        repository, commit, {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}, kind
    )


def has_content_of(file: RepoFile, path: Path) -> bool:
    """Whether a file on the Hub and a file on disk are the same, according to the Hub's hash."""
    if path.stat().st_size != file.size:
        return False
    if file.lfs is not None:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.lfs.sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == file.blob_id


def fetch(api: HfApi, remote: RemoteStudy, file: RepoFile, folder: Path) -> Path:
    """Download a file of the commit into a folder, bypassing the client's cache; returns its path.

    Raises:
        DamagedFileError: the file does not match the Hub's hash; the client itself checks only sizes.
        HubError: the Hub can't be reached, even after the client's retries.
    """
    where: dict[str, Any] = {"repo_type": remote.kind, "revision": remote.commit, "local_dir": folder}
    try:
        path = Path(api.hf_hub_download(remote.repository, file.path, **where))
    except LocalEntryNotFoundError as error:
        raise HubError(hub_sentence(error, remote.page)) from error
    except OSError as error:
        if INCOMPLETE in str(error):
            raise DamagedFileError(f"{file.path} arrived incomplete") from error
        raise
    if not has_content_of(file, path):
        path.unlink()
        raise DamagedFileError(f"{file.path} arrived damaged")
    return path


def other_numbers(api: HfApi, remote: RemoteStudy, file: RepoFile | None, ours: Path) -> str:
    """Describe how the numbers of a cell on the Hub differ from ours; empty if they do not.

    Args:
        file: the cell's `results.json` on the Hub.
        ours: readable `results.json` of the local cell of the same name.
    """
    if file is None:
        return "it has no results.json on the Hub"
    if has_content_of(file, ours):
        return ""
    here = _numbers(ours)
    if file.size > LARGEST["results.json"]:
        return f"its results.json on the Hub has {file.size:,} bytes, too many for a cell"
    with tempfile.TemporaryDirectory() as folder:
        path = fetch(api, remote, file, Path(folder))
        try:
            theirs = _numbers(path)
        except (ValueError, KeyError, TypeError, RecursionError):
            return "its results.json on the Hub can't be read"
    return _in_words(here, theirs)


def in_lines(cells: Mapping[str, str]) -> str:
    """Format cells with their descriptions: a line for each of the first few, and the number of the others."""
    shown = [(name if CELL_NAME.fullmatch(name) else repr(name), words) for name, words in list(cells.items())[:SHOWN]]
    lines = [f"  {name}: {words}" for name, words in shown]
    more = len(cells) - len(lines)
    return "\n".join(["", *lines, *([f"  and {more} more"] if more > 0 else [])])


def _numbers(path: Path) -> dict[tuple[str, ...], dict[str, Any]]:
    rows = json.loads(path.read_text(encoding="utf-8"))["numbers"]
    return {tuple(str(row[key]) for key in KEY): row for row in rows}


def _in_words(ours: dict[tuple[str, ...], dict[str, Any]], theirs: dict[tuple[str, ...], dict[str, Any]]) -> str:
    differing = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
    if not differing:
        return ""
    order = list(METRICS)
    key = min(differing, key=lambda key: order.index(key[0]) if key[0] in METRICS else len(order))
    here, there = (numbers.get(key, {}) for numbers in (ours, theirs))
    field = next(field for field in ("value", *here, *there) if here.get(field) != there.get(field))
    said = f"{field} is {here.get(field, 'missing')!r} here, {there.get(field, 'missing')!r} on the Hub"
    name = " ".join(word for word in key if word)
    return f"{len(differing)} of its {len(ours)} numbers differ, such as {name!r}: {said}"[:300]
