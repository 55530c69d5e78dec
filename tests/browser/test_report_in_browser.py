"""What only a browser can tell of the report: errors, requests, layout, and what a reader can do with it."""

import json
from pathlib import Path

import pytest
from packed_pages import UNFOLD
from waiting import wait_for

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
SIZES = [("comparison", 390), ("comparison", 1280), ("study", 390), ("study", 1920)]
ENTER, ESCAPE, TAB = "\ue007", "\ue00c", "\ue004"

SEE_ALL = """
const done = arguments[0];
const sections = [...document.querySelectorAll("section[data-section]")];
const next = () => {
  const section = sections.shift();
  if (!section) { scrollTo(0, 0); return setTimeout(done, 50); }
  section.scrollIntoView();
  const look = () => section.querySelector(".charts svg, .charts > p") ? next() : setTimeout(look, 20);
  setTimeout(look, 20);
};
next();
"""

VIOLATIONS = """
const done = arguments[0];
axe.run(document, { resultTypes: ["violations"] }).then(found => done(found.violations.flatMap(violation =>
  violation.nodes.slice(0, 3).map(({ html, failureSummary }) =>
    `${violation.id}: ${html.slice(0, 160)} ${failureSummary.slice(0, 200)}`))));
"""


def shown(browser, selector: str) -> list[str]:
    """The texts of the elements that are not hidden or folded away."""
    texts = browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].filter(e => e.getClientRects().length)"
        ".map(e => e.innerText.trim())",
        selector,
    )
    return [text for text in texts if text]


@pytest.mark.parametrize(("page", "width"), SIZES)
def test_nothing_is_logged_nothing_requested_and_nothing_scrolls_sideways(visit, page: str, width: int) -> None:
    browser = visit(page, width)
    browser.execute_async_script(SEE_ALL)
    size = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    inner, outer = browser.execute_script(size)
    assert inner <= outer
    browser.execute_async_script(UNFOLD)
    inner, outer = browser.execute_script(size)
    assert inner <= outer
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url[:60] for url in urls if not url.startswith(("file:", "data:", "about:"))] == []
    assert any(url.startswith("file:") for url in urls)  # the log does record requests


@pytest.mark.parametrize(("page", "width", "scheme"), [("comparison", 390, "dark"), ("study", 1280, "light")])
def test_axe_finds_no_violation(visit, page: str, width: int, scheme: str) -> None:
    browser = visit(page, width, scheme)
    browser.execute_async_script(SEE_ALL)
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    assert browser.execute_async_script(VIOLATIONS) == []
    browser.execute_script("document.querySelector('[data-cell]').click()")
    wait_for(lambda: shown(browser, "dialog .cell-details > *"), "the details of a cell")
    assert browser.execute_async_script(VIOLATIONS) == []


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_the_first_screen_has_verdict_scorecard_and_control(visit, width: int, height: int) -> None:
    browser = visit("comparison", width)
    bottoms = browser.execute_script(
        "return ['.verdict', '.scorecard tr.control']"
        ".map(selector => document.querySelector(selector).getBoundingClientRect().bottom)"
    )
    assert 0 < bottoms[0] < bottoms[1] < height


def test_every_link_has_a_target_and_keeps_the_chosen_view(visit) -> None:
    browser = visit("study", fragment="#domain=similar-domain-0")
    targets = browser.execute_script("return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert len(targets) > 8
    assert (
        browser.execute_script("return arguments[0].filter(t => !document.getElementById(t.slice(1)))", targets) == []
    )
    browser.execute_script("document.querySelector('nav a[href=\"#methods\"]').click()")
    wait_for(lambda: "at=methods" in browser.current_url, "the place is part of the view's address")
    assert "domain=similar-domain-0" in browser.current_url


def test_filters_choose_what_is_shown_and_stand_in_the_address(visit) -> None:
    browser = visit("study")
    domains = "section.domain > h3"
    everything = shown(browser, domains)
    assert len(everything) == 4
    browser.execute_script("document.getElementById('filters').open = true")
    select = browser.find_element("css selector", "#filters select[name=domain]")
    select.send_keys("similar-domain-1")
    wait_for(lambda: len(shown(browser, domains)) == 1, "only one domain")
    assert shown(browser, domains)[0].startswith("similar-domain-1")
    assert shown(browser, "#filters .chosen") == ["similar-domain-1"]
    address = browser.current_url
    assert address.endswith("#domain=similar-domain-1")
    visit("study", fragment=address[address.index("#") :] + "&protocol=linear&labels=10%25")
    assert len(shown(browser, domains)) == 1
    browser.execute_async_script(SEE_ALL)
    assert shown(browser, "#accuracy .multiples figcaption")[0] == "similar-domain-1: linear probe, 10% of the labels"
    assert len(shown(browser, "#accuracy .charts > .multiples:first-of-type figure")) == 1
    browser.execute_script(
        "[...document.querySelectorAll('#filters button')].find(b => b.textContent === 'Show all').click()"
    )
    assert shown(browser, domains) == everything and "=" not in browser.current_url


def test_an_objective_with_several_runs_is_chosen_with_all_of_them(visit) -> None:
    browser = visit("study")
    maps = "th[data-backbone]"
    everywhere = shown(browser, maps)
    browser.execute_script("document.getElementById('filters').open = true")
    browser.find_element("css selector", "#filters select[name=backbone]").send_keys("SimCLR")
    wait_for(lambda: set(shown(browser, ".scorecard .name")) == {"SimCLR"}, "only rows of SimCLR")
    chosen = shown(browser, maps)
    assert 0 < len(chosen) < len(everywhere) and all("simclr" in name for name in chosen)


def test_charts_show_the_numbers_of_their_table(visit) -> None:
    browser = visit("comparison")
    browser.execute_async_script(SEE_ALL)
    browser.execute_script("document.querySelector('#accuracy .charts > details > summary').click()")
    wait_for(lambda: shown(browser, "#accuracy table.chart-table"), "the chart's table")
    rows = browser.execute_script(
        "return [...document.querySelector('#accuracy table.chart-table').tBodies[0].rows]"
        ".map(row => [...row.cells].map(cell => cell.innerText))"
    )
    tips = browser.execute_script(
        "return [...document.querySelectorAll('#accuracy .means > *')].map(e => e.dataset.tip)"
    )
    assert len(rows) == len(tips) == 6
    for (name, domain, _, _, value, interval, n), tip in zip(rows, tips, strict=True):
        assert tip.startswith(f"{name}: {value}%\n95% interval {interval}\nn = {n}") and domain in tip


def test_a_dot_opens_its_cell_by_keyboard_and_escape_closes_it(visit) -> None:
    browser = visit("comparison")
    browser.execute_async_script(SEE_ALL)
    browser.execute_script("document.querySelector('#accuracy .means > *').focus()")
    assert shown(browser, "#tip")[0].count("\n") >= 2
    browser.switch_to.active_element.send_keys(ENTER)
    wait_for(lambda: shown(browser, "dialog h2"), "the dialog")
    assert " on photo-patches" in shown(browser, "dialog h2")[0] and "cell=" in browser.current_url
    wait_for(lambda: shown(browser, "dialog .cell-details > *"), "its details")
    assert "Accuracy (%)" in shown(browser, "dialog tbody th")
    browser.switch_to.active_element.send_keys(ESCAPE)
    wait_for(lambda: not shown(browser, "dialog"), "the dialog is closed")
    wait_for(lambda: "cell=" not in browser.current_url, "the address without the cell")


def test_a_packed_part_is_there_when_it_is_unfolded(visit) -> None:
    browser = visit("study")
    assert browser.find_elements("css selector", ".packed")
    browser.execute_script("document.querySelector('details.domain > summary').click()")
    wait_for(lambda: shown(browser, "details.domain table.results"), "the tables of a domain")
    assert shown(browser, "details.domain .copy button")[:3] == ["CSV", "LaTeX", "Markdown"]


@pytest.mark.parametrize("key", [ENTER, " "], ids=["Enter", "Space"])
def test_tables_sort_by_keyboard(visit, key: str) -> None:
    browser = visit("comparison")
    values = (
        "return [...document.querySelector('.scorecard').tBodies[0].rows].map(r => Number(r.cells[2].dataset.sort))"
    )
    button = browser.find_elements("css selector", ".scorecard thead button.sort")[2]
    for state, reverse in (("ascending", False), ("descending", True)):
        button.send_keys(key)
        assert browser.execute_script(values) == sorted(browser.execute_script(values), reverse=reverse)
        assert button.find_element("xpath", "..").get_attribute("aria-sort") == state


def test_tables_are_copied_with_all_digits_and_without_harm(visit) -> None:
    browser = visit("comparison")
    copied = {
        kind: browser.execute_script(f"return copies.{kind}(document.querySelector('.scorecard'))")
        for kind in ("CSV", "LaTeX", "Markdown")
    }
    stored = browser.execute_script(
        "return [...document.querySelectorAll('.scorecard')][0].querySelector('data').value"
    )
    assert stored in copied["CSV"] and len(stored) > 8
    assert copied["LaTeX"].startswith("\\begin{tabular}{lrrrrr}\n\\toprule\n") and "\\%" in copied["LaTeX"]
    assert copied["Markdown"].splitlines()[1] == "|---|---|---|---|---|---|"
    harm = (
        "return [csvField('=1+1'), csvField('-0.5'), csvField('a\"b,c'), "
        "latexField('50% & $x_1'), markdownField('<b>|')]"
    )
    assert browser.execute_script(harm) == ["'=1+1", "-0.5", '"a""b,c"', "50\\% \\& \\$x\\_1", "&lt;b&gt;\\|"]


def test_terms_are_explained_on_focus_and_escape_hides_it(visit) -> None:
    browser = visit("comparison")
    browser.execute_script("document.querySelectorAll('.scorecard thead [data-term]')[0].focus()")
    assert shown(browser, "#tip")[0].startswith("Accuracy: Share of test images")
    assert browser.switch_to.active_element.get_attribute("aria-describedby") == "tip"
    browser.switch_to.active_element.send_keys(ESCAPE)
    assert shown(browser, "#tip") == []


def test_first_tab_offers_to_skip_to_the_results(visit) -> None:
    browser = visit("study")
    browser.find_element("tag name", "body").send_keys(TAB)
    focused = browser.switch_to.active_element
    assert focused.text == "Skip to the results" and focused.location["x"] >= 0


def test_without_a_script_the_scorecard_is_there(pages, browser) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        address = pages["comparison"].as_uri()
        browser.get("about:blank")
        browser.get(address)
        assert "leads" in browser.find_element("css selector", ".verdict").text
        assert browser.find_element("css selector", ".scorecard .dot").size["width"] > 5
        assert "tables by domain" in browser.find_element("css selector", "#accuracy noscript").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_accuracy_is_drawn_against_speed_with_a_tip_for_each_backbone(visit) -> None:
    browser = visit("comparison", 1280)
    dots = (
        "return [...document.querySelectorAll('#tradeoff .tradeoffs > *')].map(dot => dot.getAttribute('aria-label'))"
    )
    found = browser.execute_script(dots)
    assert len(found) == 2 and all("images per second" in text for text in found)
    assert any(text.endswith("no other is both more accurate and faster") for text in found)
    assert any("900 images per second" in text or "450 images per second" in text for text in found)
    rows = shown(browser, "table.cost tbody th")
    assert len(rows) == 2 and "The machine was busy" in " ".join(shown(browser, "#cost ~ ul li, section li"))
