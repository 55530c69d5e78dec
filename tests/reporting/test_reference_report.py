"""Published results in a report: `reference.csv`, the page's section, the terminal's tables; nothing unless asked."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fake_study import FakeBackbone, build_study

from hf_sslgen.commands.run_report import report_study
from hf_sslgen.errors import InputError
from hf_sslgen.reporting.csv_files import read_csv
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.reference_csv import REFERENCE_COLUMNS
from hf_sslgen.reporting.reference_text import reference_tables_text
from hf_sslgen.reporting.study_report import write_results
from hf_sslgen.reporting.terminal_tables import TERMINAL_WIDTH
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.protocols.presets import PRESETS, protocol_settings
from hf_sslgen.study.reference.published_values import stated_references
from hf_sslgen.study.reference.reference_lines import compare_with_tables

TABLES = ("ssl-transfer-linear", "sfda-finetune")
BACKBONES = (
    FakeBackbone("timm/resnet50.tv_in1k", "supervised", 0.86, 0.75, source="ImageNet-1k"),
    FakeBackbone("swav-800ep-resnet50", "swav", 0.72, 0.85, source="ImageNet-1k"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    build_study(folder / "cells", BACKBONES, domains=[("cifar10", "similar"), ("dtd", "different")])
    return folder


@pytest.fixture(scope="module")
def asked(folder: Path) -> StudyResults:
    """Linear probes of two networks on two domains with both tables, and the cells of one network for a quick page."""
    from hf_sslgen.study.cells.cell_folder import read_cells

    settings = protocol_settings(PRESETS["ssl-transfer-linear"])
    selection = {"chosen": {"inverse_regularisation": 0.25}}

    def probed(cell: Cell) -> Cell:
        identity = {**cell.identity, "protocol": "ssl-transfer-linear", "protocol_settings": settings}
        return replace(cell, identity=identity, provenance={**cell.provenance, "selection": selection})

    cells = [probed(cell) for cell in read_cells(folder / "cells") if cell.protocol == "linear"]
    found = compare_with_tables(cells, stated_references(TABLES, "reference"))
    return StudyResults((cells[0],), (), (), (), (), references=found)


def test_the_table_has_a_row_per_counterpart(asked: StudyResults, tmp_path: Path) -> None:
    write_results(asked, tmp_path)
    frame = read_csv(tmp_path / "reference.csv")
    assert list(frame.columns) == REFERENCE_COLUMNS
    assert len(frame) == 4 and set(frame.table) == {"ssl-transfer-linear"}
    (row,) = [row for row in frame.itertuples() if (row.weights, row.domain) == (BACKBONES[0].name, "cifar10")]
    assert row.published == pytest.approx(0.9147) and row.n == 240
    assert row.difference == pytest.approx(row.value - 0.9147) and row.low < row.value < row.high
    assert row.published_inverse_regularisation == pytest.approx(0.0562341)
    assert float(row.inverse_regularisations) == 0.25
    assert "test images: ours 240, theirs 10,000; " in row.differences
    write_results(replace(asked, references=()), tmp_path)
    assert not (tmp_path / "reference.csv").exists()


def test_the_page_shows_each_number_beside_ours_and_every_difference_of_protocol(asked: StudyResults) -> None:
    page = render_page(asked, "Published")
    assert '<a href="#reference">Published results beside ours</a>' in page
    section = page.split('<section aria-labelledby="reference">')[1].split("</section>")[0]
    assert "4 of its 154 results have a counterpart in this study." in section
    assert "None of its 99 results has a counterpart in this study." in section
    assert "<li>Test images: ours 240, theirs 10,000 (cifar10).</li>" in section
    assert "<li>Their fits stop after 100 iterations whether or not they converged.</li>" in section
    nothing = render_page(replace(asked, references=()), "Published")
    assert 'id="reference"' not in nothing and "#reference" not in nothing


def test_the_terminal_shows_the_same(asked: StudyResults) -> None:
    linear, finetuned = reference_tables_text(asked)
    assert all(len(line) <= TERMINAL_WIDTH for line in linear.splitlines())
    (row,) = [line for line in linear.splitlines() if re.match(r"timm/resnet50\S* +cifar10 ", line)]
    assert " 91.47 " in row and " 0.0562 " in row and " 0.25 " in row and row.endswith("protocols differ")
    assert "  test images: ours 240, theirs 1,880 (dtd)" in linear.splitlines()
    assert "none of its 99 results has a counterpart" in finetuned and "differences of protocol" not in finetuned


def test_a_report_shows_what_it_is_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="reference: there is no table 'ssl-transfer'"):
        report_study(folder, reference=["ssl-transfer"])
    assert report_study(folder, verbose=True, reference=["ssl-transfer-linear"]) == []
    shown = capsys.readouterr().out
    assert "Published beside ours: How Well Do Self-Supervised Models Transfer?, linear" in shown
    assert read_csv(folder / "reference.csv").empty  # these cells don't record the settings of their protocol
    assert report_study(folder) == []
    assert not (folder / "reference.csv").exists() and (folder / "results.csv").exists()


def test_a_study_names_its_tables() -> None:
    content = {"backbones": ["twin-resnet18-simclr"], "domains": ["digits"], "reference": ["sfda-finetune"]}
    assert [table.name for table in parse_study(content, "study").references] == ["sfda-finetune"]
    assert parse_study({**content, "reference": []}, "study").references == ()
