"""Orders of a stream, and reading it ahead in a thread."""

import itertools
import threading
import time

import pytest
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset
from huggingface_hub.utils import httpx

from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.streaming.stream_shards import (
    OPEN_SHARDS,
    mixed_order,
    read_ahead,
    stored_order,
    through_buffer,
)
from hf_sslgen.hub_access.retries import RetryPolicy

ROWS, SHARDS = 60, 15


@pytest.fixture(scope="module")
def stream():
    """Fifteen shards of four rows, all of a shard of one class."""
    rows = {"image": [{"bytes": bytes([row]), "path": None} for row in range(ROWS)]}
    rows["label"] = [row // 4 % 3 for row in range(ROWS)]
    features = Features({"image": Image(decode=False), "label": ClassLabel(names=["a", "b", "c"])})
    return Dataset.from_dict(rows, features=features).to_iterable_dataset(num_shards=SHARDS)


def _numbers(rows) -> list[int]:
    return [row["image"]["bytes"][0] for row in rows]


def test_every_row_comes_once_in_each_order(stream):
    assert _numbers(stored_order(stream, "image", None)) == list(range(ROWS))
    mixed = [_numbers(mixed_order(stream, "image", None, seed)) for seed in (0, 1, 0)]
    assert sorted(mixed[0]) == sorted(mixed[1]) == list(range(ROWS))
    assert mixed[0] == mixed[2] != mixed[1]
    assert len({number // 4 for number in mixed[0][:OPEN_SHARDS]}) > 4  # not one shard after another
    for number in range(0, ROWS, 4):  # within a shard in its order
        assert [each for each in mixed[0] if each // 4 == number // 4] == list(range(number, number + 4))


class BreakingShards:
    """Reads shards of four rows; the connection breaks before each row of odd number, once."""

    def __init__(self):
        self.broken = []

    def __call__(self, shards):
        for shard in shards:
            for row in range(4 * shard, 4 * shard + 4):
                if row % 2 and row not in self.broken:
                    self.broken.append(row)
                    raise httpx.ReadError("connection reset")
                yield {"image": {"bytes": bytes([row]), "path": None}}


def test_after_each_fault_in_the_middle_of_a_shard_its_rows_go_on(monkeypatch):
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.0,)))
    found = HubDataset("org/breaking", None, "0" * 40)
    features = Features({"image": Image(decode=False)})
    in_order, mixed = BreakingShards(), BreakingShards()
    streams = [
        IterableDataset.from_generator(each, features=features, gen_kwargs={"shards": list(range(SHARDS))})
        for each in (in_order, mixed)
    ]
    assert _numbers(stored_order(streams[0], "image", found)) == list(range(ROWS))
    assert sorted(_numbers(mixed_order(streams[1], "image", found, 0))) == list(range(ROWS))
    assert sorted(in_order.broken) == sorted(mixed.broken) == list(range(1, ROWS, 2))


@pytest.mark.parametrize("size", [1, 7, 60, 100])
def test_a_buffer_changes_the_order_alone(size):
    orders = [list(through_buffer(iter(range(60)), size, seed)) for seed in (0, 1, 0)]
    assert sorted(orders[0]) == list(range(60)) and orders[0] == orders[2]
    if size > 1:
        assert orders[0] != orders[1] and orders[0] != list(range(60))
    places = [abs(place - item) for place, item in enumerate(orders[0]) if item >= place]
    assert max(places) <= size - 1 + 1e-9  # nothing comes earlier than the buffer lets it


def test_reading_ahead_keeps_order_and_limit():
    read = []

    def items():
        for number in range(50):
            read.append(number)
            yield number

    ahead = read_ahead(items(), 5)
    assert next(ahead) == 0
    deadline = time.monotonic() + 600
    while len(read) < 7 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert len(read) == 7  # one was taken, five wait, one is at the door
    assert list(ahead) == list(range(1, 50))


def test_an_error_comes_behind_what_was_read_before_it():
    def items():
        yield from range(3)
        raise OSError("gone")

    ahead = read_ahead(items(), 10)
    assert list(itertools.islice(ahead, 3)) == [0, 1, 2]
    with pytest.raises(OSError, match="gone"):
        next(ahead)


def test_the_thread_ends_with_whoever_it_reads_for():
    ahead = read_ahead(itertools.count(), 5)
    next(ahead)
    assert "reading ahead" in {thread.name for thread in threading.enumerate()}
    ahead.close()
    assert "reading ahead" not in {thread.name for thread in threading.enumerate()}
