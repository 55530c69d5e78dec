"""Records are read from a file once and held in less room than their tables take."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_study import BACKBONES, clean_records, invariance_records

from hf_sslgen.study.cells.held_records import HeldRecords

DOMAIN = "photo-patches"


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Of files that have every kind of column, with and without rows that lack it."""
    tables = [
        pd.concat([clean_records(backbone, DOMAIN), invariance_records(backbone, DOMAIN)], ignore_index=True)
        for backbone in BACKBONES[:2]
    ]
    tables[0]["correct"] = tables[0]["correct"].map({1.0: True, 0.0: False})
    tables.append(clean_records(BACKBONES[2], DOMAIN).astype({"correct": bool}).assign(sample_id=np.arange(240)))
    found = [tmp_path / f"{index}.parquet" for index in range(len(tables))]
    for path, table in zip(found, tables, strict=True):
        table.to_parquet(path, index=False)
    return found


@pytest.fixture
def count_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    read: list[Path] = []
    read_table = pq.read_table

    def counted(path: Path, **options: Any) -> Any:
        read.append(path)
        return read_table(path, **options)

    monkeypatch.setattr(pq, "read_table", counted)
    return lambda: len(read)


def test_what_is_held_equals_the_file(paths: list[Path], count_reads: Callable[[], int]) -> None:
    held, tables = HeldRecords(), [pd.read_parquet(path) for path in paths]
    before = count_reads()
    for _ in range(3):
        for path, table in zip(paths, tables, strict=True):
            pd.testing.assert_frame_equal(held.read(path), table, check_exact=True)
    assert count_reads() - before == len(paths)


def test_a_table_that_is_changed_is_not_the_one_held(paths: list[Path]) -> None:
    held = HeldRecords()
    for _ in range(2):
        table = held.read(paths[0])
        assert not table["confidence"].isna().all()
        table["confidence"] = np.nan


def test_a_link_leads_to_what_is_held(paths: list[Path], count_reads: Callable[[], int], tmp_path: Path) -> None:
    link = tmp_path / "link.parquet"
    link.symlink_to(paths[0])
    held = HeldRecords()
    pd.testing.assert_frame_equal(held.read(paths[0]), held.read(link))
    assert count_reads() == 1


def test_records_without_room_are_read_again(paths: list[Path], count_reads: Callable[[], int]) -> None:
    held, table = HeldRecords(most_bytes=0), pd.read_parquet(paths[0])
    before = count_reads()
    for _ in range(2):
        pd.testing.assert_frame_equal(held.read(paths[0]), table)
    assert count_reads() - before == 2


def test_columns_take_no_room_where_they_have_no_value(tmp_path: Path) -> None:
    """2,000 images with eight variants of 1,000 of them, and as many columns as real cells have."""
    num_images, num_rows = 2_000, 10_000
    generator = np.random.default_rng(0)
    is_clean = np.arange(num_rows) < num_images
    of_images = {f"of_images_{index}": np.where(is_clean, generator.random(num_rows), np.nan) for index in range(20)}
    of_moved = {f"of_moved_{index}": np.where(is_clean, np.nan, generator.random(num_rows)) for index in range(5)}
    variants = np.where(is_clean, "", [f"variant-{row // 1000}" for row in range(num_rows)])
    table = pd.DataFrame({"sample_id": np.arange(num_rows), "transform": variants, **of_images, **of_moved})
    table.to_parquet(tmp_path / "large.parquet", index=False)
    numbers = 8 * (num_rows + 20 * num_images + 5 * (num_rows - num_images))
    held = HeldRecords(most_bytes=int(1.1 * numbers))
    held.read(tmp_path / "large.parquet")
    (tmp_path / "large.parquet").unlink()
    pd.testing.assert_frame_equal(held.read(tmp_path / "large.parquet"), table, check_dtype=False)
    assert table.memory_usage(deep=True).sum() > 2.5 * numbers
