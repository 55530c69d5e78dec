"""A report from a study's folder, and how often it reads what is in there."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fake_study import BACKBONES, Setting, write_study
from matplotlib.figure import Figure

from hf_sslgen.commands.run_report import report_study
from hf_sslgen.reporting.results_csv import write_csv_files
from hf_sslgen.study import finished_cells
from hf_sslgen.study.cells.cell_form import RECORDS
from hf_sslgen.study.cells.held_records import HeldRecords
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.inference.study_results import infer

SETTINGS = (Setting("pretrained"), Setting("finetune", seeds=(0, 1)))
"""Published encoders, whose maps are drawn, and two seeds, which are averaged image by image."""

TABLES = ("results.csv", "comparisons.csv", "groups.csv", "cautions.csv", "ranking.csv")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_study(tmp_path / "study" / "cells", BACKBONES, (("photo-patches", "similar"),), settings=SETTINGS)
    return tmp_path / "study"


def test_a_report_draws_no_figures_and_repeats_itself(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", lambda *_, **__: pytest.fail("a figure is drawn, but the browser draws"))
    assert report_study(store) == []
    page = (store / "report" / "index.html").read_bytes()
    assert report_study(store) == [] and (store / "report" / "index.html").read_bytes() == page
    assert not (store / "figures").exists()


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a parquet file below each folder was read, by whatever way."""
    counts: Counter[str] = Counter()
    read_table, open_file = pq.read_table, pq.ParquetFile.__init__

    def counted_table(source: Any, *arguments: Any, **options: Any) -> Any:
        counts[Path(source).parent.name] += 1
        return read_table(source, *arguments, **options)

    def counted_file(self: Any, source: Any, *arguments: Any, **options: Any) -> None:
        counts[Path(source).parent.name] += 1
        open_file(self, source, *arguments, **options)

    monkeypatch.setattr(pq, "read_table", counted_table)
    monkeypatch.setattr(pq.ParquetFile, "__init__", counted_file)
    return counts


def test_records_of_a_cell_are_read_once(
    store: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = {folder.name for folder in (store / "cells").iterdir() if (folder / RECORDS).exists()}
    assert len(names) == 9
    assert report_study(store) == []
    assert reads == dict.fromkeys(names, 1)
    first = {name: (store / name).read_bytes() for name in TABLES}
    # Where nothing can be held, more is read and the same is found.
    monkeypatch.setattr(finished_cells, "HeldRecords", lambda: HeldRecords(most_bytes=0))
    tmp_path.joinpath("again").mkdir()
    write_csv_files(infer(finished_cells.read_study_results(Store(store)).cells), tmp_path / "again")
    assert min(reads.values()) > 3
    assert {name: (tmp_path / "again" / name).read_bytes() for name in TABLES} == first
