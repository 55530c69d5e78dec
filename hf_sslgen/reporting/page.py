"""The report: one HTML file that opens from disk and requests nothing from elsewhere."""

from collections.abc import Sequence
from pathlib import Path

import jinja2

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file
from hf_sslgen.reporting.figure_style import backbone_styles
from hf_sslgen.reporting.glossary import LIMITS, NUMBERS
from hf_sslgen.reporting.page_content import domain_section
from hf_sslgen.reporting.page_tables import provenance_rows
from hf_sslgen.reporting.rows import domains_of, headline_metrics, order_backbones, untrained_backbones
from hf_sslgen.reporting.sentences import answer
from hf_sslgen.study.cells import Cell
from hf_sslgen.study.pairs import Difference

QUESTION = "Does a self-supervised backbone generalise better than its supervised twin, on these images?"
SINGLE_QUESTION = "How accurate, how well calibrated, how concentrated and how invariant is this backbone?"


def write_report(
    cells: Sequence[Cell],
    differences: Sequence[Difference],
    folder: Path,
    title: str = "Self-supervised against supervised backbones",
) -> Path:
    """Write `folder/index.html` and return its path.

    Args:
        cells: all cells the page is about, of one backbone or of many.
        differences: paired differences among them; none for an analysis of a single backbone.
        folder: made where it does not exist.
        title: the page's title.

    Raises:
        InputError: where there is no cell to report.
    """
    if not cells:
        raise InputError(f"there is no cell to report in {folder}: run a study or an analysis first")
    path = folder / "index.html"
    with replace_file(path) as unfinished:
        unfinished.write_text(render_report(cells, differences, title), encoding="utf-8")
    return path


def render_report(cells: Sequence[Cell], differences: Sequence[Difference], title: str) -> str:
    """The page as HTML text."""
    backbones = order_backbones(cells)
    styles = backbone_styles(backbones)
    controls = untrained_backbones(cells)
    if differences:
        question, lines = QUESTION, answer(differences, headline_metrics(cells), controls)
    elif len(backbones) == 1:
        question, lines = SINGLE_QUESTION, ["One backbone was analysed, so nothing is compared; see its tables below."]
    else:
        question, lines = QUESTION, ["No paired difference was computed, so nothing is compared."]
    # Identifiers are numbered, not made from names, so that no name can break or shadow another's.
    domains = [
        domain_section(cells, differences, domain, f"domain-{index}", styles, controls)
        for index, domain in enumerate(domains_of(cells), start=1)
    ]
    notes = dict.fromkeys(str(note) for cell in cells for note in cell.provenance.get("notes") or ())
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hf_sslgen.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    page = {
        "title": title,
        "question": question,
        "answer": lines,
        "domains": domains,
        "glossary": NUMBERS,
        "limits": LIMITS,
        "notes": list(notes),
        "provenance": provenance_rows(cells),
    }
    return environment.get_template("report.html.jinja").render(page=page)
