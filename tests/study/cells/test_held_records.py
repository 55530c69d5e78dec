"""Records are read from a file once, as arrays that take less room than their tables."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_study import BACKBONES, clean_records, invariance_records

from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.cells.held_records import HeldRecords
from hf_sslgen.study.cells.record_columns import RecordColumns
from hf_sslgen.study.cells.record_files import columns_of_frame, read_columns

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
    opened = pq.ParquetFile.__init__

    def counted(file: pq.ParquetFile, path: Path, **options: Any) -> None:
        read.append(path)
        opened(file, path, **options)

    monkeypatch.setattr(pq.ParquetFile, "__init__", counted)
    return lambda: len(read)


def test_what_is_held_equals_the_file(paths: list[Path], count_reads: Callable[[], int]) -> None:
    held, tables = HeldRecords(), [pd.read_parquet(path) for path in paths]
    before = count_reads()
    for _ in range(3):
        for path, table in zip(paths, tables, strict=True):
            columns = held.columns(path)
            require_equal(columns, table)
            # Images, of any number of variants, and the cells of a domain share their sample ids.
            assert all(rows.sample_ids is columns.clean.sample_ids for rows in columns.variants.values())
    assert count_reads() - before == len(paths)
    assert held.columns(paths[0]).clean.sample_ids is held.columns(paths[1]).clean.sample_ids


def require_equal(columns: RecordColumns, table: pd.DataFrame) -> None:
    """The arrays hold every row and value of the table, and nothing else."""
    assert sum(rows.num_images for rows in columns.variants.values()) == len(table)
    for (transform, severity), of_variant in table.groupby(["transform", "severity"]):
        rows, expected = columns.of((transform, severity)), of_variant.set_index("sample_id").sort_index()
        assert rows.sample_ids.tolist() == expected.index.tolist()
        assert rows.keys() == {"stage", *columns.names} == set(expected) - {"transform", "severity"}
        assert rows.stages.tolist() == expected["stage"].tolist()
        for name in columns.names:
            np.testing.assert_array_equal(rows[name].astype(float), expected[name].astype(float))
            assert (name in rows.filled) == expected[name].notna().any()
            assert rows.num_defined(name) == expected[name].notna().sum()
    assert columns.of(("rotation", "none")).num_images == 0


def test_rows_in_any_order_are_sorted_by_image_and_variant(paths: list[Path], tmp_path: Path) -> None:
    for path in paths:
        table = pd.read_parquet(path).sample(frac=1, random_state=0)
        table.to_parquet(tmp_path / "shuffled.parquet", index=False)
        require_equal(read_columns(tmp_path / "shuffled.parquet"), table)
        assert {v: r.equals(read_columns(path).of(v)) for v, r in columns_of_frame(table).variants.items()} == (
            dict.fromkeys(read_columns(path).variants, True)
        )
        assert not columns_of_frame(table).equals(columns_of_frame(table.iloc[1:]))
        spoilt = table.assign(confidence=table["confidence"] / 2)
        assert not columns_of_frame(table).equals(columns_of_frame(spoilt))


def test_a_link_leads_to_what_is_held(paths: list[Path], count_reads: Callable[[], int], tmp_path: Path) -> None:
    link = tmp_path / "link.parquet"
    link.symlink_to(paths[0])
    held = HeldRecords()
    assert held.columns(paths[0]) is held.columns(link) and count_reads() == 1


def test_records_without_room_are_read_again(paths: list[Path], count_reads: Callable[[], int]) -> None:
    sizes = [read_columns(path).num_bytes for path in paths[:2]]
    held = HeldRecords(most_bytes=sum(sizes) - 1)
    before = count_reads()
    for path in (paths[0], paths[0], paths[1], paths[1], paths[0]):
        require_equal(held.columns(path), pd.read_parquet(path))
    assert count_reads() - before == 3


def test_columns_take_no_room_where_they_have_no_value(tmp_path: Path) -> None:
    """2,000 images with eight variants of 1,000 of them, and as many columns as real cells have."""
    num_images, num_rows = 2_000, 10_000
    generator = np.random.default_rng(0)
    is_clean = np.arange(num_rows) < num_images
    of_images = {f"of_images_{index}": np.where(is_clean, generator.random(num_rows), np.nan) for index in range(20)}
    of_moved = {f"of_moved_{index}": np.where(is_clean, np.nan, generator.random(num_rows)) for index in range(5)}
    variants = np.where(is_clean, "", [f"variant-{row // 1000}" for row in range(num_rows)])
    keys = {"sample_id": np.arange(num_rows), "stage": "pretrained", "transform": variants, "severity": ""}
    table = pd.DataFrame({**keys, **of_images, **of_moved})
    table.to_parquet(tmp_path / "large.parquet", index=False)
    columns = read_columns(tmp_path / "large.parquet")
    assert columns.num_bytes == 8 * (20 * num_images + 5 * (num_rows - num_images))
    assert table.memory_usage(deep=True).sum() > 3 * columns.num_bytes


@pytest.mark.parametrize(
    ("spoilt", "reason"),
    [
        (lambda table: table.iloc[:0], "it has no records"),
        (lambda table: table.drop(columns="severity"), "no column 'severity'"),
        (lambda table: table.assign(transform=0), "column 'transform' of the wrong type"),
        (
            lambda table: table.assign(stage=table["stage"].where(table.index > 3)),
            "do not name their image or variant",
        ),
        (lambda table: table.assign(confidence="high"), "column 'confidence' of the wrong type"),
        (lambda table: table.assign(confidence=None), "column 'confidence' of the wrong type"),
    ],
)
def test_other_tables_are_refused(spoilt: Callable[[pd.DataFrame], pd.DataFrame], reason: str) -> None:
    with pytest.raises(NoCellError, match=reason):
        columns_of_frame(spoilt(clean_records(BACKBONES[0], DOMAIN)))
