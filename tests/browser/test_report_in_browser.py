"""What only a browser can tell of the report: errors, requests, sorting, layout, contrast, and what is read aloud."""

import json

import pytest

SIZES = [("comparison", 390), ("comparison", 1280), ("study", 390), ("study", 1280)]

CONTRASTS = """
const channel = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
const parse = text => text.match(/[\\d.]+/g).map(Number);
const behind = element => {
  for (let e = element; e; e = e.parentElement) {
    const color = parse(getComputedStyle(e).backgroundColor);
    if (color.length < 4 || color[3] > 0) return color;
  }
  return [255, 255, 255];
};
const low = [];
for (const element of document.querySelectorAll("body *:not(script):not(style)")) {
  if (element.closest("svg") || !element.getClientRects().length) continue;
  if (![...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
  const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${element.tagName} ${element.textContent.slice(0, 40)}`);
}
return low;
"""

COLUMN = """
const [table, column] = arguments;
return [...document.querySelectorAll(table)[0].tBodies[0].rows].map(row => row.cells[column].dataset.sort);
"""


def column_of(browser, table: str, title: str) -> int:
    headers = browser.execute_script(
        "return [...document.querySelector(arguments[0]).tHead.rows].at(-1).innerText.split(/\\t|\\n/)"
        ".map(text => text.trim()).filter(Boolean)",
        table,
    )
    return next(index for index, text in enumerate(headers) if text.startswith(title))


def button(browser, table: str, column: int):
    return browser.execute_script(
        "const headers = [...document.querySelector(arguments[0]).tHead.rows].at(-1).cells;"
        "return headers[arguments[1]].querySelector('button')",
        table,
        column,
    )


def sorted_state(browser, table: str, column: int) -> str | None:
    return button(browser, table, column).find_element("xpath", "..").get_attribute("aria-sort")


def values(browser, table: str, column: int) -> list[float | None]:
    return [float(text) if text else None for text in browser.execute_script(COLUMN, table, column)]


@pytest.mark.parametrize(("page", "width"), SIZES)
def test_nothing_is_logged_and_nothing_requested(visit, page: str, width: int) -> None:
    browser = visit(page, width, unfolded=True)
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert [url[:60] for url in urls if not url.startswith(("file:", "data:", "about:"))] == []
    assert any(url.startswith("file:") for url in urls)  # the log does record requests


@pytest.mark.parametrize(("page", "width"), SIZES)
@pytest.mark.parametrize("unfolded", [False, True])
def test_page_does_not_scroll_sideways(visit, page: str, width: int, unfolded: bool) -> None:
    browser = visit(page, width, unfolded=unfolded)
    inner, outer = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert inner <= outer


@pytest.mark.parametrize("page", ["comparison", "study"])
def test_every_link_has_a_target(visit, page: str) -> None:
    browser = visit(page)
    targets = browser.execute_script("return [...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
    assert len(targets) > 4
    for target in targets:
        assert target.startswith("#") and browser.find_element("id", target[1:]), target


def test_a_link_to_a_domain_unfolds_it(visit) -> None:
    browser = visit("study")
    state = "return [...document.querySelectorAll('details.domain')].map(d => d.open)"
    assert browser.execute_script(state) == [False] * 4
    browser.find_element("css selector", "nav a[href='#domain-2']").click()
    assert browser.execute_script(state) == [False, True, False, False]
    fold = browser.find_element("css selector", "button.fold")
    fold.send_keys("\ue007")  # Enter
    assert browser.execute_script(state) == [True] * 4 and fold.get_attribute("aria-expanded") == "true"
    fold.send_keys(" ")
    assert browser.execute_script(state) == [False] * 4


def test_a_packed_part_is_there_when_it_is_unfolded(visit) -> None:
    browser = visit("study")
    packed = "return document.querySelectorAll('script[type=\"text/plain\"]').length"
    tables = "return document.querySelectorAll('table').length"
    before, folded = browser.execute_script(packed), browser.execute_script(tables)
    assert before >= 4  # a domain each
    browser.find_element("css selector", "nav a[href='#domain-2']").click()
    browser.execute_async_script("setTimeout(arguments[0], 500)")
    assert browser.execute_script("return document.querySelectorAll('#domain-2 ~ details table.results').length") > 3
    assert browser.execute_script(tables) > folded
    visit("study", unfolded=True)
    assert browser.execute_script(packed) == 0 and browser.find_elements("css selector", ".packed") == []


@pytest.mark.parametrize(
    ("page", "table", "title"),
    [
        ("study", "table.groups", "Difference"),
        ("study", "table.groups", "Share higher"),
        ("study", "table.targets", "Spread over fine-tuning seeds"),
        ("comparison", "table.results", "Brier score"),
    ],
)
def test_click_sorts_by_number_and_turns_round(visit, page: str, table: str, title: str) -> None:
    browser = visit(page, unfolded=True)
    column = column_of(browser, table, title)
    before = values(browser, table, column)
    for state, reverse in (("ascending", False), ("descending", True)):
        browser.execute_script("arguments[0].click()", button(browser, table, column))
        after = values(browser, table, column)
        known = [value for value in after if value is not None]
        assert known == sorted(known, reverse=reverse) and len(known) > 1
        assert after == known + [None] * (len(after) - len(known))  # what is missing stays last
        assert sorted(map(str, after)) == sorted(map(str, before))
        assert sorted_state(browser, table, column) == state
    others = browser.execute_script(
        "return document.querySelector(arguments[0]).querySelectorAll('[aria-sort]').length", table
    )
    assert others == 1


@pytest.mark.parametrize("key", ["\ue007", " "], ids=["Enter", "Space"])
def test_keyboard_sorts(visit, key: str) -> None:
    browser = visit("study")
    column = column_of(browser, "table.groups", "Difference")
    button(browser, "table.groups", column).send_keys(key)
    known = values(browser, "table.groups", column)
    assert known == sorted(known) and sorted_state(browser, "table.groups", column) == "ascending"


def test_text_columns_sort_as_text(visit) -> None:
    browser = visit("study")
    column = column_of(browser, "table.groups", "Number")
    button(browser, "table.groups", column).send_keys("\ue007")
    names = browser.execute_script(
        "return [...document.querySelector('table.groups').tBodies[0].rows].map(r => r.cells[arguments[0]].innerText)",
        column,
    )
    assert names == sorted(names, key=str.lower) and len(set(names)) > 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["comparison", "study"])
def test_text_has_contrast(visit, page: str, scheme: str) -> None:
    browser = visit(page, scheme=scheme, unfolded=True)
    paper = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(21, 24, 28)")
    assert browser.execute_script(CONTRASTS) == []


def test_figures_stand_on_light_in_the_dark(visit) -> None:
    browser = visit("study", scheme="dark", unfolded=True)
    papers = browser.execute_script(
        "return [...document.querySelectorAll('figure .card')].map(c => getComputedStyle(c).backgroundColor)"
    )
    assert len(papers) > 10 and set(papers) == {"rgb(255, 255, 255)"}


def test_wide_tables_scroll_by_keyboard_on_a_phone(visit) -> None:
    browser = visit("study", 390)
    region = browser.find_element("css selector", "#summary ~ .scroll")
    region.send_keys("\ue014" * 3)  # arrow to the right
    browser.execute_async_script("setTimeout(arguments[0], 300)")
    assert browser.execute_script("return arguments[0].scrollLeft", region) > 0
    assert browser.switch_to.active_element == region


def test_first_tab_offers_to_skip_to_the_results(visit) -> None:
    browser = visit("study")
    browser.find_element("tag name", "body").send_keys("\ue004")
    focused = browser.switch_to.active_element
    assert focused.text == "Skip to the results" and focused.location["x"] >= 0


@pytest.mark.parametrize("page", ["comparison", "study"])
def test_whatever_is_announced_has_a_name(visit, page: str) -> None:
    browser = visit(page, unfolded=True)
    browser.execute_cdp_cmd("Accessibility.enable", {})
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    browser.execute_cdp_cmd("Accessibility.disable", {})
    announced = {"button", "link", "region", "image", "img", "heading", "navigation", "table", "group"}
    roles = {}
    for node in nodes:
        role = node.get("role", {}).get("value")
        if not node["ignored"] and role in announced:
            roles[role] = roles.get(role, 0) + 1
            if role != "group":  # a folded part is a group whose summary speaks for it
                assert node.get("name", {}).get("value", "").strip(), node
    assert roles["button"] > 20 and roles["table"] > 5 and roles.get("image", 0) + roles.get("img", 0) > 5
