"""Batches that are halved when memory is short."""

import logging

import pytest
import torch

from hf_sslgen.analysis.batches import Batches
from hf_sslgen.errors import OutOfMemoryError


def limited(most: int, seen: list[int]):
    def run(part: slice) -> list[int]:
        seen.append(part.stop - part.start)
        if part.stop - part.start > most:
            raise torch.OutOfMemoryError("no memory for that many")
        return list(range(part.start, part.stop))

    return run


@pytest.mark.parametrize(("count", "size", "most"), [(10, 4, 4), (10, 64, 3), (7, 7, 1), (0, 8, 8)])
def test_every_image_is_run_once_in_order(count: int, size: int, most: int) -> None:
    batches = Batches(size)
    results = batches.map(slice(0, count), limited(most, []))
    assert [index for result in results for index in result] == list(range(count))
    assert count == 0 or batches.size <= max(most, size)


def test_a_part_keeps_its_place() -> None:
    batches = Batches(4)
    results = batches.map(slice(7, 17), limited(4, []))
    assert [index for result in results for index in result] == list(range(7, 17))


def test_what_fits_is_remembered_and_said(caplog: pytest.LogCaptureFixture) -> None:
    batches, seen = Batches(16), []
    with caplog.at_level(logging.WARNING):
        batches.map(slice(0, 32), limited(5, seen))
        batches.map(slice(0, 32), limited(5, seen))
    assert seen == [16, 8] + [4] * 16
    assert [record.getMessage() for record in caplog.records] == [
        "batch_size 16 does not fit into memory; continuing with 8",
        "batch_size 8 does not fit into memory; continuing with 4",
    ]


def test_a_cpu_that_is_full_is_known_by_its_message() -> None:
    def run(part: slice) -> int:
        if part.stop - part.start > 1:
            torch.empty(2**55, dtype=torch.uint8)
        return part.start

    assert Batches(2).map(slice(0, 2), run) == [0, 1]


def test_a_single_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(OutOfMemoryError, match=r"one image does not fit into memory.*--precision bf16"):
        Batches(8).map(slice(0, 3), limited(0, []))


def test_other_errors_are_raised_at_once() -> None:
    seen: list[int] = []

    def run(part: slice) -> None:
        seen.append(part.start)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        Batches(8).map(slice(0, 3), run)
    assert seen == [0]
