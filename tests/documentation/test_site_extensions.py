"""How the site reads docstrings and links, and that it notices what a page would load from elsewhere."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs" / "_site")


def test_formulas_are_literal_and_markdown_signs_mean_themselves() -> None:
    from markdown_docstrings import literal_paragraphs

    lines = [
        "Compute |a - b| as in `x | y`:",
        "",
        "    sum_b |acc_b|",
        "    more",
        "",
        "Args:",
        "    a: |A|.",
        "",
        "        An example.",
    ]
    expected = [
        r"Compute \|a - b\| as in `x | y`:",
        "",
        "::",
        "",
        "    sum_b |acc_b|",
        "    more",
        "",
        "Args:",
        r"    a: \|A\|.",
        "",
        "        An example.",
    ]
    assert literal_paragraphs(lines) == expected


def test_links_to_files_that_are_no_pages_become_their_paths() -> None:
    from outside_links import pointed

    text = "[How](../CONTRIBUTING.md), [twins](hf_sslgen/zoo/twins), [CITATION.cff](CITATION.cff), [hub](hub.md)"
    assert pointed(text) == "[How](contributing.md), twins (`hf_sslgen/zoo/twins`), `CITATION.cff`, [hub](hub.md)"


def test_what_is_loaded_from_elsewhere_is_found(tmp_path: Path) -> None:
    from self_contained import loaded_from_elsewhere

    (tmp_path / "page.html").write_text(
        '<a href="https://example.org">a link is no request</a><img src="_static/x.png">'
        '<script src="//cdn.example.org/x.js"></script><link rel="stylesheet" href="https://example.org/x.css">'
    )
    (tmp_path / "style.css").write_text("@import 'https://example.org/font.css'; a { background: url(local.png) }")
    assert list(loaded_from_elsewhere(tmp_path)) == [
        "page.html: //cdn.example.org/x.js",
        "page.html: https://example.org/x.css",
        "style.css: https://example.org/font.css",
    ]
