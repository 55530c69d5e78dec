"""The page shows stored numbers only, escapes every name, and requests nothing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.reporting.page import write_report
from hf_sslgen.reporting.tables import differences_frame, results_frame
from hf_sslgen.reporting.vocabulary import METRICS

NAN = float("nan")
VOID = {"meta", "img", "br", "input", "link", "hr"}


class Document(HTMLParser):
    """Tags with their attributes, displayed numbers by class of table, and whether tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.numbers: list[tuple[str, float, str]] = []
        self.table = ""
        self.value: float | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.table = str(attributes["class"]).split()[0]
        if tag == "data":
            self.value = float(str(attributes["value"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "data":
            self.value = None

    def handle_data(self, data: str) -> None:
        if self.value is not None:
            self.numbers.append((self.table, self.value, data))

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page(study, tmp_path_factory) -> str:
    path = write_report(study.cells, study.differences, tmp_path_factory.mktemp("report"), title="Twins & others")
    assert path.name == "index.html" and [p.name for p in path.parent.iterdir()] == ["index.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def document(page: str) -> Document:
    return Document(page)


def shown_as(value: float, text: str) -> bool:
    """Whether `text` is `value` rounded, at the scale of some metric."""
    number = re.sub(r"[^\d.]", "", text)
    decimals = len(number.partition(".")[2])
    sign = -1 if text.startswith("−") else 1
    return any(
        f"{abs(value * words.scale):.{decimals}f}" == number and (sign * value >= 0 or float(number) == 0)
        for words in METRICS.values()
    )


def test_every_number_in_the_tables_is_in_the_csv_files(study, document: Document) -> None:
    stored = {
        "results": set(results_frame(study.cells)["value"]),
        "comparisons": set(differences_frame(study.differences)["value"]),
    }
    assert len(document.numbers) > 200
    for table, value, text in document.numbers:
        assert value in stored[table], (table, value)
        assert shown_as(value, text), (value, text)


def test_every_interval_in_the_tables_is_in_the_csv_files(study, page: str) -> None:
    frame = pd.concat([results_frame(study.cells), differences_frame(study.differences)])
    for value, text in re.findall(r'<data value="([^"]+)">[^<]*</data><span class="interval">\[([^\]]+)\]', page):
        rows = frame[frame.value == float(value)]
        low, high = text.split(", ")
        assert any(shown_as(row.low, low) and shown_as(row.high, high) for row in rows.itertuples()), text


def test_page_requests_nothing(page: str, document: Document) -> None:
    markup = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", page)  # which may spell any four letters
    assert "http" not in markup.replace("http-equiv", "") and "@import" not in markup and 'src="//' not in markup
    for _, attributes in document.tags:
        for name in ("src", "href", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/png;base64,"))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    policy = next(m["content"] for m in document.attributes("meta") if m.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'"


def test_page_is_balanced_and_ids_are_unique(document: Document) -> None:
    assert document.open == []
    ids = [str(attributes["id"]) for _, attributes in document.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [str(a["href"])[1:] for tag, a in document.tags if tag == "a"]
    assert links and set(links) <= set(ids)


def test_page_can_be_read_without_seeing_it(document: Document) -> None:
    assert document.attributes("html")[0]["lang"] == "en"
    assert len(document.attributes("h1")) == 1
    assert all(image["alt"] for image in document.attributes("img"))
    assert all(a["aria-label"] for _, a in document.tags if a.get("role") == "img")
    tables = document.attributes("table")
    assert len(tables) == len(document.attributes("caption"))
    assert all(header.get("scope") for header in document.attributes("th"))
    containers = [a for tag, a in document.tags if tag == "div" and a.get("class") == "scroll"]
    assert len(containers) == len(tables) and all(a["tabindex"] == "0" for a in containers)


def test_answer_comes_before_the_domains_and_limits_after(page: str) -> None:
    order = [page.index(text) for text in ("Question.", 'class="answer"', '<h2 id="domain-1"', 'id="methods"')]
    assert order == sorted(order)
    assert "Fewer than 3 domains" in page and "resnet50-simclr is less accurate than resnet50-supervised" in page
    assert "Learning rates were chosen by validation NLL from one grid." in page


def test_collapsed_encoders_are_named(page: str) -> None:
    warnings = re.findall(r'<div class="warning".*?</div>', page, re.DOTALL)
    assert len(warnings) == 2 and all("resnet50-untrained" in w and "1.4" in w for w in warnings)


def test_names_can_not_inject_markup(make_study, tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    quote = '"><img src=x onerror=alert(2)>'
    hostile = make_study(
        tmp_path / "store",
        names=(attack, f"simclr-x{quote}", "--><svg onload=alert(3)>"),
        domains=((f"{attack}{quote}", "similar"),),
        class_names=(attack, quote, "'onmouseover=alert(4)", "{{ 7 * 7 }}", "&amp;"),
    )
    text = write_report(hostile.cells, hostile.differences, tmp_path, title=attack).read_text(encoding="utf-8")
    found = Document(text)
    assert found.open == []
    assert len(found.attributes("script")) == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert all(str(image["src"]).startswith("data:image/png") for image in found.attributes("img"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script>alert(1)" not in text


def test_missing_numbers_are_dashes_with_their_reason(study, tmp_path: Path) -> None:
    cells = [
        replace(
            cell,
            numbers=tuple(replace(n, value=NAN, low=NAN, high=NAN, reason="all maps are zero") for n in cell.numbers),
            provenance={**cell.provenance, "parameters": None, "seconds": None, "licence": None},
        )
        for cell in study.cells
        if cell.domain == "photo-patches"
    ]
    differences = [replace(d, value=NAN, low=NAN, high=NAN, reason="nothing shared") for d in study.differences]
    text = write_report(cells, differences, tmp_path).read_text(encoding="utf-8")
    visible = re.sub(r"<(style|script|svg)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert "–" in visible and "all maps are zero" in visible and "nothing shared" in visible
    assert not re.search(r"\bnan\b", visible, re.IGNORECASE)


def test_one_backbone_needs_no_comparison(study, tmp_path: Path) -> None:
    cells = [c for c in study.cells if c.backbone == "resnet50-simclr" and c.domain == "photo-patches"]
    text = write_report(cells, [], tmp_path).read_text(encoding="utf-8")
    assert "nothing is compared" in text and "<svg" in text
    only_pretrained = [c for c in cells if c.protocol == "pretrained"]
    assert "Encoder as published" in write_report(only_pretrained, [], tmp_path).read_text(encoding="utf-8")


def test_no_cell_is_an_error_a_person_can_act_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cell"):
        write_report([], [], tmp_path)
    assert not list(tmp_path.iterdir())
