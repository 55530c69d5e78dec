"""Read a streamed dataset shard by shard, every row once, retrying after temporary faults of the Hub."""

import atexit
import itertools
import queue
import tarfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from datasets import IterableDataset
from datasets.table import CastError

from hf_sslgen.domains.hub_datasets import HubDataset, from_hub
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.errors import InputError, SslgenError
from hf_sslgen.hub_access.faults import DamagedFileError
from hf_sslgen.randomness import derive_seed

Row = dict[str, Any]
Item = TypeVar("Item")

OPEN_SHARDS = 10
"""Number of shards that a shuffled pass interleaves, so that a single-class shard is not read in one piece."""

ENDING_SECONDS = 10.0
"""Seconds that the process waits on exit for a reading thread."""


class _Shard(Iterator[Row]):
    """Iterate over the rows of one shard, with the bytes of their pictures.

    After a fault the shard is reopened, and rows already returned are skipped.
    """

    def __init__(
        self, dataset: IterableDataset, image_column: str | None, found: HubDataset | None, files: PictureFiles
    ) -> None:
        self.dataset, self.image_column, self.found, self.files = dataset, image_column, found, files
        self.taken = 0
        self.rows: Iterator[Row] | None = None

    def __next__(self) -> Row:
        if self.found is None:
            try:
                row = self._next()
            except (pa.ArrowException, tarfile.TarError, CastError) as error:
                reason = str(error).strip().split("\n")[0]
                raise InputError(f"row {self.taken} of the streamed dataset can't be read: {reason}") from error
        else:
            try:
                row = from_hub(self._next_from_hub, self.found)
            except SslgenError as error:
                error.of_one_process = True
                raise
        if row is None:
            raise StopIteration
        return row

    def _next(self) -> Row | None:
        if self.rows is None:
            self.rows = itertools.islice(self.dataset, self.taken, None)
        row = next(self.rows, None)
        if row is None:
            return None
        if self.image_column is not None:
            row = {**row, self.image_column: self.files.read(row[self.image_column])}
        self.taken += 1
        return row

    def _next_from_hub(self) -> Row | None:
        try:
            return self._next()
        except (pa.ArrowException, tarfile.TarError, EOFError) as error:
            self.rows = None
            raise DamagedFileError(f"a file of {self.found} can't be read: {error}") from error
        except Exception:
            self.rows = None
            raise


def _shards(
    dataset: IterableDataset, image_column: str | None, found: HubDataset | None, files: PictureFiles
) -> list[_Shard]:
    count = dataset.num_shards
    parts = [dataset.shard(count, index) for index in range(count)] if count > 1 else [dataset]
    return [_Shard(part, image_column, found, files) for part in parts]


def stored_order(
    dataset: IterableDataset,
    image_column: str | None,
    found: HubDataset | None,
    files: PictureFiles = BYTES_ONLY,
) -> Iterator[Row]:
    """Iterate over every row, in the order of the files.

    Args:
        image_column: undecoded; the rows get the bytes of its pictures. None for rows without pictures.
        found: the dataset on the Hub; None for a local dataset, whose faults are never temporary.
        files: the files that the rows may refer to.

    Raises:
        HubError: the Hub stayed unreachable through all retries.
    """
    return itertools.chain.from_iterable(_shards(dataset, image_column, found, files))


def mixed_order(
    dataset: IterableDataset,
    image_column: str,
    found: HubDataset | None,
    seed: int,
    files: PictureFiles = BYTES_ONLY,
) -> Iterator[Row]:
    """Iterate over every row, interleaving `OPEN_SHARDS` shards in an order determined by the seed."""
    generator = np.random.default_rng(derive_seed(seed, "shards"))
    shards = _shards(dataset, image_column, found, files)
    return _by_turns([shards[index] for index in generator.permutation(len(shards))], generator)


def _by_turns(shards: Sequence[Iterator[Row]], generator: np.random.Generator) -> Iterator[Row]:
    waiting = iter(shards)
    opened = list(itertools.islice(waiting, OPEN_SHARDS))
    while opened:
        turn = int(generator.integers(len(opened)))
        row = next(opened[turn], None)
        if row is not None:
            yield row
        else:
            opened[turn : turn + 1] = itertools.islice(waiting, 1)


def through_buffer(items: Iterator[Item], size: int, seed: int) -> Iterator[Item]:
    """Shuffle the items with a buffer of `size` items; the seed determines the order."""
    generator = np.random.default_rng(derive_seed(seed, "buffer"))
    buffer = list(itertools.islice(items, size))
    for item in items:
        place = int(generator.integers(size))
        yield buffer[place]
        buffer[place] = item
    for place in generator.permutation(len(buffer)):
        yield buffer[place]


@dataclass(frozen=True)
class _End:
    """End marker that a reading thread puts behind the last item, with the error that ended it, if any."""

    error: BaseException | None


def read_ahead(items: Iterator[Item], count: int) -> Iterator[Item]:
    """Iterate over the items while a thread reads up to `count` of them ahead."""
    waiting: queue.Queue[Item | _End] = queue.Queue(maxsize=count)
    unwanted = threading.Event()

    def put(item: Item | _End) -> None:
        while not unwanted.is_set():
            try:
                waiting.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def read() -> None:
        end = _End(None)
        try:
            for item in items:
                put(item)
                if unwanted.is_set():
                    return
        except BaseException as error:  # re-raised to the consumer of the next item
            end = _End(error)
        put(end)

    def stop() -> None:
        unwanted.set()
        thread.join(ENDING_SECONDS)

    thread = threading.Thread(target=read, name="reading ahead", daemon=True)
    atexit.register(stop)  # Arrow calls Python from its own threads, which must not outlive the interpreter
    thread.start()
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        atexit.unregister(stop)
        stop()
