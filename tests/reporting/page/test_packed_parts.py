"""A large page is small, and holds all that it would hold otherwise."""

import pytest
from packed_pages import PACKED, unpacked

from hf_sslgen.reporting.page import packed_parts
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.page.packed_parts import MARK, PackedParts
from hf_sslgen.study.inference.study_results import StudyResults


def test_a_packed_page_holds_the_same(results: StudyResults, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = render_page(results, "A study")
    assert not PACKED.search(plain) and not MARK.search(plain)
    monkeypatch.setattr(packed_parts, "PLAIN_UP_TO", 1000)
    packed = render_page(results, "A study")
    assert len(PACKED.findall(packed)) >= 2 and unpacked(packed) == plain
    assert len(packed) < len(plain) - 80_000


def test_only_large_parts_of_large_pages_are_packed() -> None:
    parts = PackedParts()
    inner = parts.add("<p>inner</p>" * packed_parts.WORTH_PACKING)
    small = parts.add("<p>é</p>")
    outer = parts.add(f"<div>{inner}{small}</div>" + "<p>outer</p>" * packed_parts.PLAIN_UP_TO)
    page = parts.put_in(f"<main>{outer}{small}</main>")
    assert page.startswith("<main><p class") and page.endswith("<p>é</p></main>") and len(page) < 100_000
    assert unpacked(page) == (
        "<main><div>" + "<p>inner</p>" * packed_parts.WORTH_PACKING + "<p>é</p></div>"
        "" + "<p>outer</p>" * packed_parts.PLAIN_UP_TO + "<p>é</p></main>"
    )
