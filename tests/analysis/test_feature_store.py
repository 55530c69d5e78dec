"""The store of features: every picture computed once, by any number of processes, whatever happens to the files."""

import errno
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_sslgen.analysis import feature_store, tensor_files
from hf_sslgen.analysis.feature_store import CLAIMS, FeatureStore, Request
from hf_sslgen.work_claims import find_claims

PICTURES = np.array([7, 3, 3, 9, 2**63 + 5, 7, 1], dtype=np.uint64)
"""With duplicates, and a digest beyond the signed integers."""

GB = 10**9


def expected(pictures: np.ndarray) -> torch.Tensor:
    """The features (N, 2) that stand for pictures."""
    return torch.tensor([[float(picture % 1000), 1.0] for picture in pictures.tolist()])


class Trunk:
    """Computes features and notes for which pictures."""

    def __init__(self, pictures: np.ndarray, before: Callable[[list[int]], Any] = lambda _: None) -> None:
        self.pictures, self.before, self.passed = pictures, before, list[int]()

    def __call__(self, positions: np.ndarray) -> dict[str, torch.Tensor]:
        chosen = self.pictures[positions]
        self.before(chosen.tolist())
        self.passed += chosen.tolist()
        return {"features": expected(chosen), "tail": 2 * expected(chosen)}


def read(
    store: FeatureStore, trunk: Trunk, size: int = 2, columns: tuple[str, ...] = ("features",)
) -> dict[str, torch.Tensor]:
    """All rows, in order."""
    blocks = np.arange(len(trunk.pictures)) // size
    found: dict[str, Any] = {name: [None] * len(trunk.pictures) for name in columns}
    for positions, rows in store.rows(Request("table", trunk.pictures, blocks, "test", columns, trunk, "")):
        for name in columns:
            for position, row in zip(positions.tolist(), rows[name], strict=True):
                assert found[name][position] is None
                found[name][position] = row
    return {name: torch.stack(rows) for name, rows in found.items()}


def files(store: FeatureStore) -> list[Path]:
    return sorted(store.folder.glob("table/*"))


def assert_right(store: FeatureStore, trunk: Trunk, passed: Sequence[int]) -> None:
    torch.testing.assert_close(read(store, trunk)["features"], expected(trunk.pictures), rtol=0, atol=0)
    assert sorted(trunk.passed) == sorted(passed)


def test_each_picture_passes_once(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, GB)
    assert_right(store, Trunk(PICTURES), sorted(set(PICTURES.tolist())))
    assert_right(store, Trunk(PICTURES[::-1]), [])
    more = np.array([3, 11, 9, 12], dtype=np.uint64)
    assert_right(store, Trunk(more), [11, 12])
    assert read(store, Trunk(PICTURES), columns=("features", "tail"))["tail"].equal(2 * expected(PICTURES))
    assert not find_claims(tmp_path / CLAIMS)


@given(st.lists(st.lists(st.integers(0, 12), min_size=1, max_size=9), min_size=1, max_size=4), st.integers(1, 4))
def test_any_requests_share_what_they_have_in_common(
    tmp_path_factory: pytest.TempPathFactory, requests: list[list[int]], size: int
) -> None:
    store, known = FeatureStore(tmp_path_factory.mktemp("store"), GB), set[int]()
    for request in requests:
        trunk = Trunk(np.array(request, dtype=np.uint64))
        assert read(store, trunk, size)["features"].equal(expected(trunk.pictures))
        assert sorted(trunk.passed) == sorted(set(request) - known)
        known |= set(request)


@pytest.mark.parametrize("position", [-3, 12, 200])
def test_a_changed_byte_is_noticed(tmp_path: Path, position: int, caplog: pytest.LogCaptureFixture) -> None:
    store = FeatureStore(tmp_path, GB)
    assert_right(store, Trunk(PICTURES), sorted(set(PICTURES.tolist())))
    damaged = files(store)[0]
    content = bytearray(damaged.read_bytes())
    content[position] ^= 1
    damaged.write_bytes(content)
    trunk = Trunk(PICTURES)
    assert_right(store, trunk, trunk.passed)
    assert 0 < len(trunk.passed) <= 2
    assert "is damaged and will be recomputed" in caplog.text
    assert_right(store, Trunk(PICTURES), [])


def test_a_truncated_or_removed_file_is_computed_again(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, GB)
    read(store, Trunk(PICTURES))
    first, second, *_ = files(store)
    first.write_bytes(first.read_bytes()[:40])
    second.unlink()
    trunk = Trunk(PICTURES)
    assert_right(store, trunk, trunk.passed)
    assert 0 < len(trunk.passed) < len(set(PICTURES.tolist()))


def test_two_workers_divide_the_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "POLL_SECONDS", 0.01)
    pictures, both = np.arange(40, dtype=np.uint64), threading.Barrier(2)
    first_blocks = iter([True, True])

    def together(_: list[int]) -> None:
        if next(first_blocks, False):  # both have taken one before either finishes
            both.wait(timeout=60)

    trunks = [Trunk(pictures, together), Trunk(pictures, together)]
    results: list[torch.Tensor] = []
    threads = [
        threading.Thread(
            target=lambda trunk=trunk: results.append(read(FeatureStore(tmp_path, GB), trunk)["features"])
        )
        for trunk in trunks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(results) == 2 and all(result.equal(expected(pictures)) for result in results)
    assert all(trunk.passed for trunk in trunks)
    assert sorted(trunks[0].passed + trunks[1].passed) == pictures.tolist()


def test_a_killed_worker_leaves_whole_blocks_or_none(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, GB)

    def die(chosen: list[int]) -> None:
        if 9 in chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    worker = multiprocessing.get_context("fork").Process(target=read, args=(store, Trunk(PICTURES, die)))
    worker.start()
    worker.join(timeout=120)
    assert worker.exitcode == -signal.SIGKILL
    assert len(files(store)) == 1 and len(find_claims(tmp_path / CLAIMS)) == 1
    assert_right(store, Trunk(PICTURES), [1, 9, 2**63 + 5])


def test_a_full_disk_costs_only_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: Any, path: Path, **__: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(tensor_files, "save_file", full)
        assert_right(FeatureStore(tmp_path, GB), Trunk(PICTURES), sorted(set(PICTURES.tolist())))
    assert "no disk space left" in caplog.text
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_the_files_unread_for_longest_make_room(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, GB)
    pictures = np.arange(8, dtype=np.uint64)
    read(store, Trunk(pictures))
    size = files(store)[0].stat().st_size
    read(store, Trunk(pictures[:2]))  # the first block has been read last
    first = max(files(store), key=lambda path: path.stat().st_mtime_ns)
    small = FeatureStore(tmp_path, 3 * size)
    assert_right(small, Trunk(np.array([20, 21], dtype=np.uint64)), [20, 21])
    assert first in files(store) and len(files(store)) == 2
    assert_right(small, Trunk(pictures[:2]), [])
    large = np.arange(100, 140, dtype=np.uint64)
    assert_right(small, Trunk(large), large.tolist())  # larger than the store
    assert sum(path.stat().st_size for path in files(store)) <= 3 * size
