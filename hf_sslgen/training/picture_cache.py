"""Decoded pictures, made once and kept in memory, then in a file, for this process and its data loader workers.

Nothing depends on what is kept: a picture that does not fit, or whose bytes in the file changed, is made again.
"""

import logging
import mmap
import multiprocessing
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.free_memory import available_memory
from hf_sslgen.geometry import Geometry

logger = logging.getLogger(__name__)

MEMORY_SHARE = 0.5
"""Share of the available memory that the pictures of one machine's processes may fill."""

RESERVED_SHARE = 0.25
"""Share of the memory available at the start that is left to others: if less is left, no more memory is filled."""

DISK_SHARE = 0.5
MOST_DISK = 64 * 1024**3
"""Share of the free disk space, and number of bytes, that the file may take."""

CHECK_EVERY = 64 * 1024**2
"""Bytes of filled memory after which the available memory is looked at again."""

MEMORY_USED, DISK_USED, MEMORY_LIMIT, DISK_LIMIT, IS_SAID = range(5)


@dataclass(frozen=True)
class PictureSpace:
    """Bytes that decoded pictures may take in memory and in a file."""

    memory: int
    disk: int

    @classmethod
    def beside(cls, folder: Path, processes: int, gigabytes: float | None) -> "PictureSpace":
        """Return the space of one of a machine's `processes`, at most `gigabytes` in all unless that is None."""
        memory = int(MEMORY_SHARE * available_memory() / processes)
        free = shutil.disk_usage(folder).free if sys.platform != "win32" else 0
        disk = int(min(DISK_SHARE * free, MOST_DISK) / processes)
        if gigabytes is not None:
            most = int(gigabytes * 1e9 / processes)
            memory = min(memory, most)
            disk = min(disk, most - memory)
        return cls(memory, disk)


NO_SPACE = PictureSpace(0, 0)


def _shared(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> NDArray[Any]:
    """Return zeros that this process and those forked from it share; pages take memory once they are written."""
    count = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, max(1, count * np.dtype(dtype).itemsize)), dtype, count).reshape(shape)


class PictureStorage:
    """Space for bytes: memory, then a file without a name, which vanishes with the last process that has it open.

    Forked processes share it and fill it together.

    Args:
        folder: where the file is; None without one.
    """

    def __init__(self, space: PictureSpace, folder: Path | None) -> None:
        self.lock = multiprocessing.Lock()
        self._state = _shared(5, np.int64)
        self._state[MEMORY_LIMIT], self._state[DISK_LIMIT] = space.memory, 0 if folder is None else space.disk
        try:
            self._memory = _shared(space.memory, np.uint8)
        except (OSError, ValueError):  # the system promises no more memory than it has
            self._memory, self._state[MEMORY_LIMIT] = _shared(0, np.uint8), 0
        self._file = tempfile.TemporaryFile(dir=folder) if self._state[DISK_LIMIT] > 0 else None  # noqa: SIM115
        self._reserved = RESERVED_SHARE * available_memory()

    def keep(self, pixels: NDArray[np.uint8]) -> int:
        """Keep a copy; return its place, above 0 in memory and below 0 in the file, or 0 if there is no space left."""
        place = self._reserve(pixels.nbytes)
        if place > 0:
            self._memory[place - 1 : place - 1 + pixels.nbytes] = pixels.reshape(-1)
        elif place < 0:
            try:
                self._write(pixels, -1 - place)
            except OSError as error:
                logger.warning("decoded pictures are no longer kept on disk: %s", error)
                with self.lock:
                    self._state[DISK_LIMIT] = 0
                return 0
        return place

    def read(self, place: int, size: int, checksum: int) -> NDArray[np.uint8] | None:
        """Return the bytes at a place, or None if they are not those that were kept there."""
        if place > 0:
            return self._memory[place - 1 : place - 1 + size]
        assert self._file is not None
        content = np.empty(size, np.uint8)
        try:
            found = os.preadv(self._file.fileno(), [content.data], -1 - place)
        except OSError:
            return None
        return content if found == size and zlib.crc32(content.data) == checksum else None

    def close(self) -> None:
        """Give the space back; nothing can be kept or read any more."""
        self._state[MEMORY_LIMIT] = self._state[DISK_LIMIT] = 0
        self._memory = _shared(0, np.uint8)
        if self._file is not None:
            self._file.close()

    def _reserve(self, size: int) -> int:
        with self.lock:
            state = self._state
            used = int(state[MEMORY_USED])
            if used // CHECK_EVERY != (used + size) // CHECK_EVERY and available_memory() < self._reserved:
                state[MEMORY_LIMIT] = used
            if used + size <= state[MEMORY_LIMIT]:
                state[MEMORY_USED] += size
                return used + 1
            used = int(state[DISK_USED])
            if used + size <= state[DISK_LIMIT]:
                state[DISK_USED] += size
                return -used - 1
            is_said, state[IS_SAID] = bool(state[IS_SAID]), 1
        if not is_said:
            logger.info("no space is left for decoded pictures; the others are decoded anew in every epoch")
        return 0

    def _write(self, pixels: NDArray[np.uint8], start: int) -> None:
        assert self._file is not None
        rest = pixels.reshape(-1).data
        while rest:
            written = os.pwrite(self._file.fileno(), rest, start)
            rest, start = rest[written:], start + written


class CachedPictures:
    """Pictures by position, each made when it is first needed and then kept while there is space.

    A copy in a process that was not forked, such as a spawned data loader worker, keeps nothing.
    """

    def __init__(self, storage: PictureStorage, num_pictures: int) -> None:
        self._storage = storage
        self._places = _shared(num_pictures, np.int64)
        self._shapes = _shared((num_pictures, 3), np.int32)
        self._checksums = _shared(num_pictures, np.uint32)

    def __reduce__(self) -> tuple[Any, ...]:
        return nothing_kept, (len(self._places),)

    def get(self, position: int, make: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return the picture at a position, which `make` returns as three-dimensional bytes; not to be written to."""
        with self._storage.lock:  # what is written before a place is set is seen by whoever reads it afterwards
            place = int(self._places[position])
        if place != 0:
            shape = tuple(self._shapes[position].tolist())
            found = self._storage.read(place, int(np.prod(shape)), int(self._checksums[position]))
            if found is not None:
                return found.reshape(shape)
        pixels = np.ascontiguousarray(make(position))
        if place == 0:
            self._keep(position, pixels)
        return pixels

    def forget(self) -> None:
        """Make every picture anew from now on."""
        self._places[:] = 0

    def _keep(self, position: int, pixels: NDArray[np.uint8]) -> None:
        place = self._storage.keep(pixels)
        self._shapes[position] = pixels.shape
        self._checksums[position] = zlib.crc32(pixels.reshape(-1).data) if place < 0 else 0
        with self._storage.lock:
            self._places[position] = place


def nothing_kept(num_pictures: int) -> CachedPictures:
    """Return a cache without space, which makes every picture anew."""
    return CachedPictures(PictureStorage(NO_SPACE, None), num_pictures)


class DecodedPictures:
    """The caches of a run's splits, which share one space.

    Runs on the same splits, such as the candidates of a grid, can share them.
    """

    def __init__(self, space: PictureSpace, folder: Path | None) -> None:
        self._storage = PictureStorage(space, folder)
        self._caches: dict[tuple[int, Geometry | None], tuple[ImageSplit, CachedPictures]] = {}

    def of(self, split: ImageSplit, geometry: Geometry | None = None) -> CachedPictures:
        """Return the cache of a split's pictures as decoded, or as evaluated in this geometry.

        It must exist before data loader workers are started.
        """
        key = (id(split), geometry)  # the split is kept, so that no other gets its id
        if key not in self._caches:
            self._caches[key] = (split, CachedPictures(self._storage, len(split)))
        return self._caches[key][1]

    def close(self) -> None:
        """Give the space back; later pictures are made anew."""
        for _, cache in self._caches.values():
            cache.forget()
        self._storage.close()


@contextmanager
def kept_beside(folder: Path, processes: int = 1, gigabytes: float | None = None) -> Iterator[DecodedPictures]:
    """Keep decoded pictures in memory, then in a file in this folder (created if missing), until the block ends.

    Args:
        processes: number of this machine's processes that do so.
        gigabytes: limit for all of them, on memory and disk space together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with closing(DecodedPictures(PictureSpace.beside(folder, processes, gigabytes), folder)) as pictures:
        yield pictures
