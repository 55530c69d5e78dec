"""Claims in a report: `claims.csv`, the page's section, the terminal's lines; nothing where no claim is asked."""

import math
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hf_sslgen.reporting.claims_csv import CLAIM_COLUMNS, claims_frame
from hf_sslgen.reporting.csv_files import read_csv
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.study_report import write_results
from hf_sslgen.reporting.terminal_tables import claim_lines
from hf_sslgen.study.inference.claims.claim_lines import NOT_TESTABLE
from hf_sslgen.study.inference.study_results import StudyResults, with_claims
from hf_sslgen.study.published_claims import stated_claims

ALL = stated_claims(["all"], "claims")


@pytest.fixture(scope="module")
def asked(results: StudyResults) -> StudyResults:
    """Two domains, one of each group, with every claim asked."""
    return with_claims(results, ALL)


@pytest.fixture(scope="module")
def frame(asked: StudyResults) -> pd.DataFrame:
    return claims_frame(asked)


def test_the_table_has_a_row_per_estimate_and_one_per_line_without(asked: StudyResults, frame: pd.DataFrame) -> None:
    assert list(frame.columns) == CLAIM_COLUMNS
    assert len(frame) == sum(max(1, len(line.parts)) for line in asked.claims)
    assert set(frame.line) == set(range(1, len(asked.claims) + 1))
    for number, line in enumerate(asked.claims, start=1):
        rows = frame[frame.line == number]
        assert set(rows.verdict) == {line.verdict} and set(rows.claim) == {line.claim.id}
        for row, part in zip(rows.itertuples(), line.parts, strict=False):
            scoped = part.within(line.scope)
            stored = (row.value, row.low, row.high, row.estimate_p_value)
            assert stored == pytest.approx((part.value, scoped.low, scoped.high, scoped.p_value), nan_ok=True)


@pytest.fixture(scope="module")
def small(asked: StudyResults) -> StudyResults:
    """The same verdicts with a single cell, whose page is drawn quickly."""
    return replace(asked, cells=asked.cells[:1], differences=(), targets=(), groups=(), interactions=())


def test_files_are_written_only_if_claims_are_asked(small: StudyResults, tmp_path: Path) -> None:
    write_results(small, tmp_path)
    written = read_csv(tmp_path / "claims.csv")
    assert list(written.columns) == CLAIM_COLUMNS and len(written) == len(claims_frame(small))
    nothing = replace(small, claims=())
    write_results(nothing, tmp_path)
    assert not (tmp_path / "claims.csv").exists() and (tmp_path / "results.csv").exists()
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert 'id="claims"' not in page and claim_lines(nothing) == []


def section_of(results: StudyResults) -> str:
    page = render_page(results, "Claims")
    assert page.count('href="#claims"') == 1
    return page[page.index('<h2 id="claims"') : page.index('<h2 id="domains"')]


def test_every_number_of_the_section_is_in_the_table(small: StudyResults, frame: pd.DataFrame) -> None:
    section = section_of(small)
    stored = {float(x) for x in frame.select_dtypes("number").to_numpy(dtype=float, na_value=math.nan).ravel()}
    shown = re.findall(r'<data value="([^"]+)">', section)
    assert len(shown) > 20 and {float(value) for value in shown} <= stored
    for claim in ALL:
        assert f"{claim.id}: " in section
    assert "needs shifted test sets, which no domain has" in section
    assert "for these weights, on these domains only" in section


def test_the_terminal_tells_verdicts_and_what_is_not_testable(asked: StudyResults) -> None:
    lines = claim_lines(asked)
    assert lines[0].startswith("Claims from the literature") and all(len(line) <= 160 for line in lines)
    told = " ".join(lines)
    for claim in ALL:
        assert claim.id in told
    accuracy = next(line for line in asked.claims if line.claim.id == "accuracy")
    assert f"  accuracy: {accuracy.verdict}" in lines[1]
    untested = [line.claim.id for line in asked.claims if line.verdict == NOT_TESTABLE]
    assert "underconfident-recent" in untested and lines[-1].endswith("small-targets")


def test_names_are_escaped(small: StudyResults) -> None:
    attack = "<script>alert(1)</script>"
    quote = '"><img src=x onerror=alert(2)>'
    hostile = replace(
        small,
        claims=tuple(
            replace(
                line,
                first=attack,
                source=quote,
                protocol=attack,
                reason=line.reason and quote,
                untested=quote,
                parts=tuple(replace(part, group=attack, domains=(quote,)) for part in line.parts),
            )
            for line in small.claims
        ),
    )
    section = section_of(hostile)
    assert section.count("&lt;script&gt;") > 10 and "&lt;img src=x" in section
    assert "<script" not in section and "<img" not in section


def test_a_collapsed_encoder_has_no_verdict_on_invariance(results: StudyResults) -> None:
    cells = [
        replace(cell, numbers=tuple(replace(n, value=1.0) if n.metric == "collapsed" else n for n in cell.numbers))
        if cell.objective == "simclr"
        else cell
        for cell in results.cells
    ]
    found = with_claims(replace(results, cells=tuple(cells)), stated_claims(["invariance"], "claims")).claims
    (line,) = found
    assert line.verdict == NOT_TESTABLE
    assert line.reason == "the encoder of resnet50-simclr has collapsed on photo-patches"
