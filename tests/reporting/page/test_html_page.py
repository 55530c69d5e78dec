"""The page shows stored numbers only, escapes every name, and requests nothing."""

import base64
import html
import json
import re
import zlib
from collections import defaultdict
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from packed_pages import unpacked
from visible_sentences import num_words, sentences_of

from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.page.page_script import LIBRARY
from hf_sslgen.reporting.ranking_csv import ranking_frame
from hf_sslgen.reporting.results_csv import results_frame
from hf_sslgen.reporting.scorecard import scorecard
from hf_sslgen.reporting.study_report import write_study_report
from hf_sslgen.reporting.verdict import verdict
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
    "heat": {"target"},
}
"""Which rows of results.csv the numbers of a table are from."""


def data_of(page: str) -> dict:
    """The data that a page's charts are drawn from."""
    (content,) = re.findall(r'<script type="text/plain" id="page-data">([^<]*)</script>', page)
    return json.loads(zlib.decompress(base64.b64decode(content)))


def numbers_in(frame) -> set[float]:
    return {float(x) for x in frame.select_dtypes("number").to_numpy(dtype=float, na_value=NAN).ravel()}


@pytest.mark.parametrize("size", ["small", "large"])
def test_every_number_in_the_tables_is_in_the_results(size, results, large_results, page, large_page) -> None:
    shown_results = results if size == "small" else large_results
    frame, ranked = results_frame(shown_results), ranking_frame(shown_results.rankings)
    text = page if size == "small" else large_page
    stored = {table: numbers_in(frame[frame.kind.isin(kinds)]) for table, kinds in KINDS.items()}
    stored["ranking"] = numbers_in(ranked[ranked["kind"] == "backbone"])
    card = scorecard(shown_results)
    scores = [s for panel in (*card.panels, *card.averages) for row in panel.rows for s in row.scores if s is not None]
    stored["scorecard"] = {s.value for s in scores}
    numbers = Document(text).numbers
    assert len(numbers) > 200 and {table for table, _, _ in numbers} - {"groups"} == {
        *KINDS,
        "ranking",
        "scorecard",
    } - {"groups"}
    assert ("groups" in {table for table, _, _ in numbers}) == (size == "large")
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
    found = re.findall(
        r'<td class="number"[^>]*><data value="([^"]+)">[^<]*</data><span class="interval">([^<]+)<', large_page
    )
    assert len(found) > 1000
    for value, text in found:
        low, high = text.split(" to ")
        assert any(shown_as(ends[0], low) and shown_as(ends[1], high) for ends in by_value[float(value)]), text


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_data_of_the_charts_are_the_numbers_of_the_results(
    size, results, large_results, page, packed_page
) -> None:
    shown_results, text = (results, page) if size == "small" else (large_results, packed_page)
    data, frame = data_of(text), results_frame(shown_results)
    cells = frame[frame.kind == "cell"]
    known = defaultdict(list)
    for row in cells.itertuples():
        known[row.backbone, row.domain, row.metric, row.transform or ""].append((row.value, row.low, row.high, row.n))
    count = 0
    assert len(data["cells"]) == len(shown_results.cells)
    for cell in data["cells"]:
        for index, (*estimate, n) in ((i, value[:4]) for i, value in cell["values"].items()):
            number = data["numbers"][int(index)]
            wanted = (*(NAN if each is None else each for each in estimate), n)
            stored = known[cell["name"], cell["domain"], number["metric"], number["transform"]]
            assert any(all(a == b or (a != a and b != b) for a, b in zip(wanted, row, strict=True)) for row in stored)
            count += 1
    assert count > 30
    targets = frame[frame.kind == "target"]
    differences = {
        (row.domain, row.protocol, row.labels, row.metric, row.value, row.verdict) for row in targets.itertuples()
    }
    assert data["differences"]
    for d in data["differences"]:
        metric = data["numbers"][d["number"]]["metric"]
        assert (d["domain"], d["protocol"], d["labels"], metric, d["value"], d["verdict"]) in differences


def test_the_same_results_give_the_same_page(results, page: str) -> None:
    assert render_page(results, "Twins & others", ["One <cell> failed."]) == page


@pytest.mark.parametrize("size", ["small", "large"])
def test_no_sentence_is_longer_than_25_words(size, page, large_page) -> None:
    found = sentences_of(page if size == "small" else large_page)
    assert len(found) > 300
    assert [sentence for sentence in found if num_words(sentence) > 25] == []


def test_page_requests_nothing(page: str, document: Document) -> None:
    own = page.replace(LIBRARY.read_text(encoding="utf-8"), "")  # which names the namespaces of SVG
    markup = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+|[A-Za-z0-9+/=]{60,}", "", own)
    assert "http" not in markup.replace("http-equiv", "") and "@import" not in markup and 'src="//' not in markup
    for _, attributes in document.tags:
        for name in ("src", "href", "xlink:href"):
            assert str(attributes.get(name, "#")).startswith(("#", "data:image/webp;base64,"))
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", own))
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
    assert all("alt" in image for image in document.attributes("img"))
    tables = document.attributes("table")
    assert len(tables) == len(document.attributes("caption"))
    assert all(header.get("scope") for header in document.attributes("th"))
    containers = [a for tag, a in document.tags if tag == "div" and a.get("class") == "scroll"]
    cards = [table for table in tables if str(table["class"]).split()[0] in ("scorecard", "heat")]
    assert len(containers) == len(tables) - len(cards) and all(a["tabindex"] == "0" for a in containers)


def test_the_verdict_comes_first_and_what_supports_it_in_this_order(page: str, results) -> None:
    places = (
        "verdict",
        "cards",
        "done",
        "pictures-title",
        "accuracy-title",
        "cautions",
        "missing",
        "summary",
        "methods",
    )
    order = [re.search(rf'(?:id|class)="{place}"', page).start() for place in places]  # type: ignore[union-attr]
    assert order == sorted(order)
    assert verdict(results).sentence in html.unescape(page)
    assert "One &lt;cell&gt; failed." in page
    assert "2 backbones and an untrained control · 2 domains · 480 test images · 1 seed" in page
    assert "Learning rates were chosen by validation NLL from one grid." in page


def test_the_scorecard_ranks_and_marks(page: str, results) -> None:
    card = page[page.index('<table class="scorecard') :].split("</table>")[0]
    names = re.findall(r'<span class="name"[^>]*>([^<]+)</span>', card)
    assert names[-1] == "untrained" and "control" in card.split("untrained")[-1]
    first = scorecard(results).panels[0]
    assert names == [row.short_name for row in first.rows] and len(names) == 3
    columns = card.count('role="columnheader"') - 1
    assert columns == 5 and card.count('class="dot"') == card.count('class="base"') == 3 * columns
    places = [float(place) for place in re.findall(r'class="dot" style="left:([\d.]+)%"', card)]
    assert all(0 < place < 100 for place in places)
    accuracies = [float(value) for value in re.findall(r'class="score accuracy" data-sort="([^"]+)"', card)]
    assert accuracies[:-1] == sorted(accuracies[:-1], reverse=True)
    assert sorted(places[::columns]) == [place for _, place in sorted(zip(accuracies, places[::columns], strict=True))]


def test_several_domains_have_heat_maps_of_differences(page: str, large_page: str) -> None:
    assert page.count('<table role="table" class="heat"') == 5
    heat = large_page[large_page.index('class="card heat"') :].split("</table>")[0]
    assert heat.index("similar</th>") < heat.index("different</th>") and heat.count('colspan="3"') == 2
    assert re.search(r'class="heat plus-[2-4] decided"', large_page) and re.search(
        r'class="heat minus-[1-4]', large_page
    )


def test_many_domains_are_averaged_at_the_top(large_page: str) -> None:
    top = large_page[: large_page.index('class="done"')]
    assert top.count('<table class="scorecard') == 3 and "Mean of 6 domains" in top
    assert "Mean of 3 domains similar to the source" in top and "Mean of 3 domains significantly different" in top


def test_collapsed_encoders_are_named(page: str) -> None:
    warnings = page[page.index("Collapsed representation") :].split("</ul>")[0]
    assert warnings.count("<li>") == 2 and warnings.count("effective rank 1.4") == 2


def test_names_can_not_inject_markup(make_study, tmp_path: Path) -> None:
    attack = "<script>alert(1)</script>"
    quote = '"><img src=x onerror=alert(2)>'
    hostile = make_study(
        tmp_path / "store",
        names=(attack, f"simclr-x{quote}", "--><svg onload=alert(3)>\u2028</script>"),
        domains=((f"{attack}{quote}", "similar"),),
        class_names=(attack, quote, "'onmouseover=alert(4)", "{{ 7 * 7 }}", "&amp;"),
    )
    path = write_study_report(hostile.cells, tmp_path / "out", title=attack, missing=[attack])
    text = path.read_text(encoding="utf-8")
    found = Document(text)
    assert found.open == []
    scripts = found.attributes("script")
    assert [a for a in scripts if a.get("type") != "text/plain"] == [{}, {}]
    assert not any(name.startswith("on") for _, attributes in found.tags for name in attributes)
    assert all(str(image["src"]).startswith("data:image/webp") for image in found.attributes("img"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text and "<script>alert(1)" not in text
    assert attack in {cell["name"] for cell in data_of(text)["cells"]}


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
    visible = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert "–" in visible and "all maps are zero" in visible and "nothing shared" in text
    assert not re.search(r"\bnan\b", visible, re.IGNORECASE)


def test_one_backbone_needs_no_comparison(study) -> None:
    cells = [c for c in study.cells if c.backbone == "resnet50-simclr" and c.domain == "photo-patches"]
    text = render_page(infer(cells), "One")
    assert 'class="scorecard' in text and 'id="summary"' not in text and 'id="ranking"' not in text
    assert "What to make of it" not in text and "heat" not in text[text.index("<body>") : text.index("<script")]
    only_pretrained = [c for c in cells if c.protocol == "pretrained"]
    assert "Encoder as published" in render_page(infer(only_pretrained), "One")


def test_no_cell_is_an_error_a_person_can_act_on(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no cell"):
        write_study_report([], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_whole_study_stays_small_and_can_be_searched(large_page: str, packed_page: str, large_results) -> None:
    assert Document(large_page).open == []
    for words in ("Linear probe, 10% of the labels", "Few-shot prototypes, 5-shot", "the draws of episodes"):
        assert words in large_page
    assert len(packed_page) < 2_700_000
    plain = re.sub(r"<script.*?</script>", "", packed_page, flags=re.DOTALL)
    card = scorecard(large_results)
    for name in (*card.names, *card.names.values(), *(panel.domain for panel in card.panels)):
        assert html.escape(name) in plain
    for panel in card.panels:
        assert all(score is None or repr(score.value) in plain for row in panel.rows for score in row.scores)


def test_a_single_domain_of_a_kind_is_one_sentence(page: str, study) -> None:
    summary = page[page.index('id="summary"') : page.index('id="ranking"')]
    assert summary.count("A single domain is") == 2 and 'class="groups' not in summary


def test_the_page_says_by_which_method_and_for_which_class_maps_are(page: str, study) -> None:
    assert "Grad-CAM of the predicted class (its logit minus the mean logit)" in page
    assert "Occlusion of the embedding. It shows how far the image’s features move" in page
    settings = {"attribution_method": "integrated_gradients", "target": "logit", "attributed_class": "true"}
    cells = [replace(cell, identity={**cell.identity, "analysis": settings}) for cell in study.cells]
    text = render_page(infer([cell for cell in cells if cell.protocol == "linear"]), "Others")
    assert "Layer integrated gradients of the true class (its logit)" in text
    assert "Grad-CAM" not in text and "Occlusion of" not in text


def test_further_numbers_have_temperature_localisation_and_control(page: str) -> None:
    found = re.findall(r'<tr><th scope="row"><span data-term="[^"]+" tabindex="0">([^<]+)</span>', page)
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
    assert f"<li>supervised: {reason}<ul><li>Temperature</li></ul>" in text
