"""The drawing of a cell's details, in a real browser: charts, tables with the same values, and names as plain text."""

import json
from pathlib import Path

import pytest
from fake_study import build_study

from hf_sslgen.reporting.page.cell_details import cell_details
from hf_sslgen.reporting.page.html_page import TEMPLATES
from hf_sslgen.study.cells.cell_folder import Cell

HOSTILE = "<img src=x onerror=alert(1)>"

PAGE = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Details</title>
<style>{style}</style><main><div id="place"></div></main><script>{library}</script><script>{script}</script>
<script>renderCellDetails(document.getElementById("place"), {details}, Plot, ["data:image/webp;base64,"]);</script>"""


@pytest.fixture(scope="module")
def study_cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    return build_study(tmp_path_factory.mktemp("cells"), domains=[("photo-patches", "similar")]).cells


@pytest.fixture
def show(browser, tmp_path: Path):
    """Draws the details of a cell and returns the text of every table."""

    def draw(cell: Cell) -> dict[str, list[list[str]]]:
        details = cell_details(cell)
        if "confusion" in details:
            details["confusion"]["pairs"][0]["examples"] = [{"picture": 0, "confidence": 0.9}]
        text = json.dumps(details).replace("<", "\\u003c")
        page = PAGE.format(
            style="".join((TEMPLATES / name).read_text() for name in ("page.css", "pictures.css", "details.css")),
            library=(TEMPLATES / "vendor" / "plot.min.js").read_text(),
            script=(TEMPLATES / "js" / "details.js").read_text(),
            details=text,
        )
        path = tmp_path / "page.html"
        path.write_text(page, encoding="utf-8")
        browser.get_log("browser")
        browser.get(path.as_uri())
        assert [entry for entry in browser.get_log("browser") if "data:image/webp" not in entry["message"]] == []
        return browser.execute_script(
            "return Object.fromEntries([...document.querySelectorAll('.behind table')].map(table => ["
            "table.caption.textContent, "
            "[...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))]))"
        )

    return draw


def test_tables_have_the_values_of_the_details(show, browser, study_cells: list[Cell]) -> None:
    cell = next(cell for cell in study_cells if cell.protocol == "linear")
    details, tables = cell_details(cell), show(cell)
    assert [row[1:] for row in tables["Risk by coverage"]] == [
        [f"{100 * point['risk']:.1f}%"] for point in details["risk_coverage"]["points"]
    ]
    by_class = {row[0]: row[3:] for row in tables["Accuracy by class"]}
    assert by_class == {row["name"]: [str(row["right"]), str(row["n"])] for row in details["per_class"]}
    assert [row[4] for row in tables["As measured"]] == [str(row["n"]) for row in details["reliability"]["bins"]]
    shown = browser.execute_script(
        "return [...document.querySelectorAll('.confusion tbody tr')].map(row => "
        "[...row.querySelectorAll('td')].map(cell => Number(cell.textContent)))"
    )
    assert shown == details["confusion"]["matrix"]
    labels = browser.execute_script("return [...document.querySelectorAll('svg[role=img]')].map(svg => svg.ariaLabel)")
    assert len(labels) == 4 and all(labels)


def test_invariance_and_names_as_text(show, browser, study_cells: list[Cell]) -> None:
    from dataclasses import replace

    pretrained = next(cell for cell in study_cells if cell.protocol == "pretrained")
    rows = show(pretrained)["Invariance by transform and severity"]
    assert [row[0] for row in rows] == [row["words"] for row in cell_details(pretrained)["invariance"]]
    linear = next(cell for cell in study_cells if cell.protocol == "linear")
    names = [HOSTILE, *linear.provenance["class_names"][1:]]
    show(replace(linear, provenance={**linear.provenance, "class_names": names}))
    assert browser.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert HOSTILE in browser.execute_script("return document.querySelector('.behind tbody').textContent")
