"""The page shows stored numbers only, escapes every name, and requests nothing."""

import re
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from packed_pages import unpacked

from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.ranking_csv import ranking_frame
from hf_sslgen.reporting.results_csv import results_frame
from hf_sslgen.reporting.study_report import write_study_report
from hf_sslgen.study.inference.study_results import StudyResults, infer

NAN = float("nan")
SCALES = {metric.words.scale for metric in METRICS.values()}
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
    folder = tmp_path_factory.mktemp("report")
    path = write_study_report(study.cells, folder, title="Twins & others", missing=["One <cell> failed."])
    assert path == folder / "report" / "index.html" and [p.name for p in path.parent.iterdir()] == ["index.html"]
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def packed_page(large_results: StudyResults) -> str:
    return render_page(large_results, "A whole study")


@pytest.fixture(scope="module")
def large_page(packed_page: str) -> str:
    return unpacked(packed_page)


@pytest.fixture(scope="module")
def document(page: str) -> Document:
    return Document(page)


def shown_as(value: float, text: str) -> bool:
    """Whether `text` is `value` rounded, at the scale of some metric, or in millions of parameters."""
    number = re.sub(r"[^\d.]", "", text)
    decimals = len(number.partition(".")[2])
    sign = -1 if text.startswith("−") else 1
    return any(
        f"{abs(value * scale):.{decimals}f}" == number and (sign * value >= 0 or float(number) == 0)
        for scale in ([1e-6] if text.endswith("M") else SCALES)
    )


KINDS = {
    "results": {"cell"},
    "comparisons": {"difference"},
    "targets": {"target"},
    "groups": {"group", "interaction"},
}
"""Which rows of results.csv the numbers of a table are from."""


@pytest.mark.parametrize("size", ["small", "large"])
def test_every_number_in_the_tables_is_in_the_results(size, results, large_results, page, large_page) -> None:
    shown_results = results if size == "small" else large_results
    frame, ranked = results_frame(shown_results), ranking_frame(shown_results.rankings)
    text = page if size == "small" else large_page
    numeric = frame.select_dtypes("number").columns
    stored = {
        table: {float(x) for x in frame[frame.kind.isin(kinds)][numeric].to_numpy(dtype=float, na_value=NAN).ravel()}
        for table, kinds in KINDS.items()
    }
    of_backbones = ranked[ranked["kind"] == "backbone"].select_dtypes("number")
    stored["ranking"] = {float(x) for x in of_backbones.to_numpy(dtype=float, na_value=NAN).ravel()}
    numbers = Document(text).numbers
    assert len(numbers) > 200 and {table for table, _, _ in numbers} == {*KINDS, "ranking"}
    for table, value, shown in numbers:
        assert value in stored[table], (table, value)
        assert shown_as(value, shown), (value, shown)


def test_every_interval_in_the_tables_is_in_the_results(large_results, large_page: str) -> None:
    frame, ranked = results_frame(large_results), ranking_frame(large_results.rankings)
    ranks = ranked[["average_rank", "average_rank_low", "average_rank_high"]].dropna()
    by_value = defaultdict(list)
    for rows in (frame[["value", "low", "high"]], ranked[["value", "low", "high"]], ranks):
        for stored, *ends in rows.itertuples(index=False):
            by_value[stored].append(ends)
    found = re.findall(r'<data value="([^"]+)">[^<]*</data><span class="interval">\[([^\]]+)\]', large_page)
    assert len(found) > 1000
    for value, text in found:
        low, high = text.split(", ")
        assert any(shown_as(ends[0], low) and shown_as(ends[1], high) for ends in by_value[float(value)]), text


def test_every_number_of_the_answer_is_in_the_results(large_results, large_page: str) -> None:
    frame = results_frame(large_results)
    frame = frame[frame.kind.isin({"group", "interaction", "target"})]
    answer = large_page[large_page.index('id="answer"') : large_page.index('id="summary"')]
    found = re.findall(r"(−?[\d.]+)(?: points?)?, 95% interval (−?[\d.]+) to (−?[\d.]+)", answer)
    assert len(found) > 50
    for spoken in found:
        assert any(
            all(shown_as(stored, text) for stored, text in zip(row, spoken, strict=True))
            for row in frame[["value", "low", "high"]].itertuples(index=False)
        ), spoken


def test_page_requests_nothing(page: str, document: Document) -> None:
    markup = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", page)  # which may spell any four letters
    assert "http" not in markup.replace("http-equiv", "") and "@import" not in markup and 'src="//' not in markup
    for _, attributes in document.tags:
        for name in ("src", "href", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/webp;base64,"))
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
    texts = ("Question.", 'class="answer"', 'id="missing"', 'id="summary"', '<h3 id="domain-1"', 'id="methods"')
    order = [page.index(text) for text in texts]
    assert order == sorted(order)
    assert "One &lt;cell&gt; failed." in page
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
    path = write_study_report(hostile.cells, tmp_path / "out", title=attack, missing=[attack])
    text = path.read_text(encoding="utf-8")
    found = Document(text)
    assert found.open == []
    assert len(found.attributes("script")) == 1
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert all(str(image["src"]).startswith("data:image/webp") for image in found.attributes("img"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script>alert(1)" not in text


def test_missing_numbers_are_dashes_with_their_reason(study) -> None:
    cells = [
        replace(
            cell,
            numbers=tuple(replace(n, value=NAN, low=NAN, high=NAN, reason="all maps are zero") for n in cell.numbers),
            provenance={**cell.provenance, "parameters": None, "seconds": None, "licence": None},
        )
        for cell in study.cells
        if cell.domain == "photo-patches"
    ]
    unknown = {"value": NAN, "low": NAN, "high": NAN, "reason": "nothing shared"}
    inferred = infer(cells)
    differences, targets = (
        tuple(replace(d, **unknown) for d in found) for found in (inferred.differences, inferred.targets)
    )
    text = render_page(StudyResults(tuple(cells), differences, targets, (), ()), "Nothing")
    visible = re.sub(r"<(style|script|svg)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert "–" in visible and "all maps are zero" in visible and "nothing shared" in visible
    assert not re.search(r"\bnan\b", visible, re.IGNORECASE)


def test_one_backbone_needs_no_comparison(study) -> None:
    cells = [c for c in study.cells if c.backbone == "resnet50-simclr" and c.domain == "photo-patches"]
    text = render_page(infer(cells), "One")
    assert "there is nothing to compare" in text and "<svg" in text and 'id="summary"' not in text
    only_pretrained = [c for c in cells if c.protocol == "pretrained"]
    assert "Encoder as published" in render_page(infer(only_pretrained), "One")


def test_no_cell_is_an_error_a_person_can_act_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cell"):
        write_study_report([], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_whole_study_stays_readable(large_page: str, packed_page: str) -> None:
    found = Document(large_page)
    assert found.open == []
    domains = [a for tag, a in found.tags if tag == "details" and a.get("class") == "domain"]
    assert len(domains) == 6 and not any("open" in a for a in domains)
    for words in ("Linear probe, 10% of the labels", "Few-shot prototypes, 5-shot", "the draws of episodes"):
        assert words in large_page
    assert "Of several fine-tuning seeds and pretraining seeds, only the lowest is drawn." in large_page
    assert "mean of 4 runs from 2 pretraining seeds" in large_page
    assert "0.05 is out of reach" in large_page
    assert len(large_page) < 8_500_000 and len(packed_page) < 2_300_000


def test_domains_are_unfolded_where_they_are_few(document: Document) -> None:
    domains = [a for tag, a in document.tags if tag == "details" and a.get("class") == "domain"]
    assert len(domains) == 2 and all("open" in a for a in domains)


def test_the_page_says_by_which_method_and_for_which_class_maps_are(page: str, study) -> None:
    assert "Grad-CAM of the predicted class (its logit minus the mean logit)" in page
    assert "Occlusion of the embedding: how far the image’s features move" in page
    settings = {"attribution_method": "integrated_gradients", "target": "logit", "attributed_class": "true"}
    cells = [replace(cell, identity={**cell.identity, "analysis": settings}) for cell in study.cells]
    text = render_page(infer([cell for cell in cells if cell.protocol == "linear"]), "Others")
    assert "Layer integrated gradients of the true class (its logit)" in text
    assert "Grad-CAM" not in text and "Occlusion of" not in text


def test_published_encoders_that_were_looked_at_have_their_own_part(page: str) -> None:
    photo, specimen = page.split('<h3 id="domain-2"')
    assert "<h4>Where the published encoder looks, and invariance</h4>" in photo
    assert "<h4>Where the published encoder looks" not in specimen and "<h4>Invariance</h4>" in specimen
    assert 'id="domain-1-published-overlays"' in photo and 'id="domain-2-published-overlays"' not in specimen
    assert (
        "Where the published encoder looks</th>" in photo and "Where the published encoder looks</th>" not in specimen
    )
    assert "Attribution on the object" in photo.rpartition('id="domain-1"')[2]
    specimen_table = specimen[: specimen.index("Further numbers")]
    assert "Lift on the object" not in specimen_table


def test_maps_that_are_the_published_encoders_own_are_shown_once(study) -> None:
    settings = {"attribution_method": "occlusion"}
    cells = [
        replace(cell, identity={**cell.identity, "analysis": settings})
        for cell in study.cells
        if cell.domain == "photo-patches"
    ]
    text = render_page(infer(cells), "Frozen")
    assert text.count("-overlays") == 1 and "Where the published encoder looks" not in text
    alone = render_page(infer([cell for cell in cells if cell.protocol == "pretrained"]), "Alone")
    assert alone.count("-overlays") == 1 and "Lift on the object" in alone


def test_further_numbers_have_temperature_localisation_and_control(page: str) -> None:
    found = re.findall(r'<tr><th scope="row">([^<]+)<span class="interval">', page)
    for title in (
        "Temperature",
        "Confidence gap after temperature scaling (pt)",
        "Mass on the object (%)",
        "Lift over the re-initialised control",
        "Gini of the re-initialised control",
        "Lift on the object of the re-initialised control",
    ):
        assert title in found, title


def test_a_missing_temperature_is_said_with_its_reason(study) -> None:
    reason = "validation images were trained on, so none is left to fit a temperature on"
    cells = [
        replace(
            cell,
            numbers=tuple(
                replace(n, value=NAN, reason=reason) if n.metric == "temperature" else n for n in cell.numbers
            ),
        )
        for cell in study.cells
    ]
    text = render_page(infer(cells), "Unscaled")
    assert f"Not measured: Temperature of resnet50-supervised ({reason})" in text
