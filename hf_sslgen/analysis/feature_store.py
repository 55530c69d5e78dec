"""Keep the outputs of frozen trunks on disk, so that no picture passes the same trunk twice.

A *table* holds the outputs of one trunk under one preparation of its input; its name is a digest of everything the
outputs depend on (`stored_outputs.table_name`). Its rows are found by the digests of the pictures, so splits that
share pictures share rows, whatever the seed, the label budget or the protocol, and a changed picture is a new one.

    features/<table>/<block>.safetensors   some rows, with a digest of the content
    features/claims/                       which process computes which block (`work_claims`)

Files are written completely or not at all and verified when a process first reads them; a damaged one is removed and
its rows are computed again. Any number of processes fill a table together, block by block. If the store outgrows its
limit, the files that have not been read for the longest time are removed.
"""

import functools
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor
from tqdm.auto import tqdm

from hf_sslgen.analysis.tensor_files import is_whole, write_tensors
from hf_sslgen.analysis.trunk_passes import are_followed
from hf_sslgen.files import is_disk_full
from hf_sslgen.work_claims import kept_alive, try_claim

logger = logging.getLogger(__name__)

PICTURES = "pictures"
"""The column of the pictures' digests."""

CLAIMS = "claims"
"""Folder of claims on blocks in progress."""

POLL_SECONDS = 0.5

KEPT_SHARE = 0.9
"""Share of the limit to which a full store is reduced, so that not every new block has to make room."""

Signature = tuple[int, int]
"""Size and inode of a file; its time of change is that of the last reading, by which files are removed."""

Rows = tuple[NDArray[np.int64], dict[str, Tensor]]
"""Positions among the requested pictures, and their rows of each column."""


@dataclass(frozen=True, eq=False)
class Request:
    """Rows requested from a table.

    Attributes:
        table: the table's name.
        pictures: (N,) digests of the pictures.
        blocks: (N,) number of the block in which each picture is computed if it is missing.
        split: name of the pictures' split, which tells blocks of different splits apart.
        columns: names of the columns.
        compute: function that computes rows of at least these columns, for some positions.
        description: description of the progress bar.
    """

    table: str
    pictures: NDArray[np.uint64]
    blocks: NDArray[np.int64]
    split: str
    columns: tuple[str, ...]
    compute: Callable[[NDArray[np.int64]], dict[str, Tensor]]
    description: str


def _signature(path: Path) -> Signature:
    found = path.stat()
    return found.st_size, found.st_ino


@functools.lru_cache(maxsize=100_000)
def _contents(path: Path, _: Signature) -> tuple[NDArray[np.uint64], frozenset[str]]:
    """Return the pictures and columns of a file, read once; raises SafetensorError if it is damaged."""
    with safe_open(path, framework="pt") as file:
        pictures = file.get_tensor(PICTURES).numpy().view(np.uint64).copy()  # a view would keep the file open
        return pictures, frozenset(file.offset_keys())


@functools.lru_cache(maxsize=100_000)
def _verify(path: Path, _: Signature) -> None:
    """Read a whole file, once for each process; raises SafetensorError if it is damaged."""
    if not is_whole(path):
        raise SafetensorError(f"{path} is damaged")


def _read(path: Path, rows: Sequence[int], columns: tuple[str, ...]) -> dict[str, Tensor] | None:
    """Read rows of a file by memory map; None if it was removed or is damaged, and it is then removed."""
    try:
        _verify(path, _signature(path))
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_slice(name)[:][list(rows)] for name in columns}
        os.utime(path)
    except FileNotFoundError:
        return None
    except SafetensorError:
        path.unlink(missing_ok=True)
        return None
    return found


@dataclass(frozen=True)
class FeatureStore:
    """Outputs of frozen trunks in a folder, which is created when needed and may be removed at any time.

    Attributes:
        max_bytes: size above which the files that were not read for the longest time are removed.
    """

    folder: Path
    max_bytes: int

    def rows(self, request: Request) -> Iterator[Rows]:
        """Yield the rows of all pictures in some order; missing ones are computed and kept.

        A full disk keeps nothing and is only logged, since the rows are computed anyway.
        """
        unique, firsts, inverse = np.unique(request.pictures, return_index=True, return_inverse=True)

        def everywhere(found: NDArray[np.int64], tensors: dict[str, Tensor]) -> Rows:
            """Repeat rows of unique pictures for every position at which they were requested."""
            if len(unique) == len(inverse):
                return firsts[found], tensors
            row_of = np.full(len(unique), -1)
            row_of[found] = np.arange(len(found))
            rows = row_of[inverse]
            positions = np.flatnonzero(rows >= 0)
            return positions, {name: tensor[rows[positions]] for name, tensor in tensors.items()}

        missing = np.ones(len(unique), dtype=bool)
        hidden = True if are_followed() else None
        with tqdm(total=len(unique), desc=request.description, unit="image", disable=hidden, leave=False) as progress:
            while missing.any():
                for path, found, rows in self._stored(request, unique, missing):
                    tensors = _read(path, rows, request.columns)
                    if tensors is not None:
                        missing[found] = False
                        progress.update(len(found))
                        yield everywhere(found, tensors)
                computed = self._compute_a_block(request, unique, firsts, missing)
                if computed is not None:
                    missing[computed[0]] = False
                    progress.update(len(computed[0]))
                    yield everywhere(*computed)
                elif missing.any() and not any(self._stored(request, unique, missing)):
                    time.sleep(POLL_SECONDS)  # other processes are computing all of them

    def _stored(
        self, request: Request, unique: NDArray[np.uint64], missing: NDArray[np.bool_]
    ) -> Iterator[tuple[Path, NDArray[np.int64], list[int]]]:
        """Yield the files that contain missing pictures, with the pictures' positions in `unique` and their rows."""
        found = missing.copy()
        for path in sorted((self.folder / request.table).glob("*.safetensors")):
            try:
                pictures, columns = _contents(path, _signature(path))
            except FileNotFoundError:  # removed by another process
                continue
            except SafetensorError:
                path.unlink(missing_ok=True)
                logger.warning("%s is damaged and will be recomputed", path)
                continue
            if not columns.issuperset(request.columns):
                continue
            places = np.searchsorted(unique, pictures).clip(max=len(unique) - 1)
            rows = np.flatnonzero((unique[places] == pictures) & found[places])
            if len(rows):
                found[places[rows]] = False
                yield path, places[rows], rows.tolist()

    def _compute_a_block(
        self,
        request: Request,
        unique: NDArray[np.uint64],
        firsts: NDArray[np.int64],
        missing: NDArray[np.bool_],
    ) -> tuple[NDArray[np.int64], dict[str, Tensor]] | None:
        """Compute the missing pictures of the first block that no other process is computing.

        Returns:
            Positions in `unique`, and their rows; None if there is no such block.
        """
        blocks = request.blocks[firsts]
        for block in np.unique(blocks[missing]).tolist():
            name = hashlib.sha256(f"{request.table} {request.split} {block} {request.columns}".encode()).hexdigest()
            claim = try_claim(self.folder / CLAIMS, name[:32])
            if claim is None:
                continue
            with kept_alive(claim):
                wanted = missing & (blocks == block)
                for _, found, _ in self._stored(request, unique, wanted):  # written before the claim was taken
                    wanted[found] = False
                chosen = np.flatnonzero(wanted)
                if not len(chosen):
                    continue
                chosen = chosen[np.argsort(firsts[chosen])]
                tensors = request.compute(firsts[chosen])
                self._keep(request, unique[chosen], tensors)
            return chosen, {column: tensors[column] for column in request.columns}
        return None

    def _keep(self, request: Request, pictures: NDArray[np.uint64], tensors: dict[str, Tensor]) -> None:
        name = hashlib.sha256(pictures.tobytes() + " ".join(sorted(tensors)).encode()).hexdigest()[:32]
        path = self.folder / request.table / f"{name}.safetensors"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, {PICTURES: torch.from_numpy(pictures.view(np.int64).copy()), **tensors})
        except (OSError, SafetensorError) as error:
            if not is_disk_full(error):
                raise
            logger.warning("no disk space left in %s: these features are not kept", self.folder)
            return
        self._make_room()

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield the time of the last reading, the size and the path of each file."""
        for path in self.folder.glob("*/*.safetensors"):
            try:
                found = path.stat()
            except FileNotFoundError:
                continue
            yield found.st_mtime_ns, found.st_size, path

    def _make_room(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        if total <= self.max_bytes:
            return
        for _, size, path in files:
            if total <= KEPT_SHARE * self.max_bytes:
                break
            path.unlink(missing_ok=True)
            total -= size
