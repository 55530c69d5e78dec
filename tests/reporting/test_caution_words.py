"""Cautions are summed up: a line per kind and backbone, however many cells they concern."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hf_sslgen.reporting.caution_words import TITLES, caution_blocks
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.results_csv import CAUTION_COLUMNS, cautions_frame, write_csv_files
from hf_sslgen.reporting.terminal_tables import caution_lines, terminal_table
from hf_sslgen.study.inference.cautions import Caution, CautionKind
from hf_sslgen.study.inference.study_results import StudyResults, infer


def caution(backbone: str, domain: str, kind: CautionKind = CautionKind.GRID_END, **changes) -> Caution:
    plain = Caution(kind, backbone, domain, "finetune", "100%", (0, 2), 3)
    return replace(plain, **changes)


@pytest.fixture
def many(large_results: StudyResults) -> StudyResults:
    """On all six domains, of every kind, for seven backbones, one with a long name."""
    domains = dict.fromkeys(cell.domain for cell in large_results.cells)
    names = [*(f"backbone-{index}" for index in range(6)), "x" * 90]
    return replace(
        large_results,
        cautions=tuple(caution(name, domain, kind) for kind in CautionKind for name in names for domain in domains),
    )


def test_domains_and_runs_are_counted_and_named(large_results: StudyResults) -> None:
    first, second = "similar-domain-0", "different-domain-1"
    found = (
        caution("a", first, hyper_parameter="learning_rate"),
        caution("a", second, hyper_parameter="learning_rate", protocol="full", labels="10%"),
        caution("a", first, hyper_parameter="inverse_regularisation", protocol="linear", seeds=(0,), num_seeds=1),
        caution("b", first, CautionKind.BELOW_LINEAR_PROBE, seeds=(0, 1), num_seeds=2, against="linear"),
    )
    grid, below = caution_blocks(replace(large_results, cautions=found))
    assert grid.lines == [
        "a, learning rate: on 2 of 6 domains (similar-domain-0, different-domain-1), in 4 of 6 runs (fine-tuning; "
        "fine-tuning (full), 10% of the labels)",
        "a, regularisation: on 1 of 6 domains (similar-domain-0), in 1 run (linear probe)",
    ]
    assert below.lines == ["b: on 1 of 6 domains (similar-domain-0), in all 2 runs (fine-tuning)"]
    assert (below.title, below.backbones) == (TITLES[CautionKind.BELOW_LINEAR_PROBE], ["b"])


def test_a_terminal_gets_one_line_per_kind(many: StudyResults) -> None:
    lines = caution_lines(many)
    assert len(lines) == 1 + len(CautionKind) and max(map(len, lines)) <= 160
    assert terminal_table(many).endswith("\n".join(lines))
    assert "backbone-0, backbone-1 and 5 more, on 6 of 6 domains" in lines[1]
    assert "\x1b" not in "".join(caution_lines(replace(many, cautions=(caution("\x1b[31m", "a"),))))
    assert caution_lines(replace(many, cautions=())) == []


def test_the_page_folds_long_lists_and_escapes_names(study) -> None:
    alone = infer([cell for cell in study.cells if cell.protocol == "pretrained"][:1])
    names = [*(f"backbone-{index}" for index in range(6)), "<b>x"]
    found = tuple(caution(name, "<i>y", kind) for kind in CautionKind for name in names)
    text = render_page(replace(alone, cautions=found), "Many")
    section = text[text.index('id="cautions"') :].split("</section>")[0]
    assert section.count("<li>") == len(CautionKind) * 7 and section.count("Show all 7") == len(CautionKind)
    assert text.index('href="#cautions">4 cautions') < text.index('id="cautions"')
    assert "&lt;b&gt;x" in section and "<b>x" not in text and "<i>y" not in text
    assert 'id="cautions"' not in render_page(alone, "None")


def test_the_table_has_a_row_per_caution(large_results: StudyResults, tmp_path: Path) -> None:
    found = (caution("a", "d", value=-0.25, low=-0.3, high=-0.2), caution("b", "d"))
    write_csv_files(replace(large_results, cautions=found), tmp_path)
    rows = pd.read_csv(tmp_path / "cautions.csv", keep_default_na=False, na_values=[""])
    assert list(rows.columns) == CAUTION_COLUMNS
    assert list(rows["seeds"]) == ["0 2", "0 2"] and list(rows["kind"]) == ["grid_end", "grid_end"]
    assert rows["value"].tolist()[0] == -0.25 and rows["low"].isna().tolist() == [False, True]
    nothing = cautions_frame(replace(large_results, cautions=()))
    assert nothing.empty and list(nothing.columns) == CAUTION_COLUMNS
