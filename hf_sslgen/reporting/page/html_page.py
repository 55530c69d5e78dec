"""Write the report's page: one HTML file that opens from disk and loads nothing else."""

from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup

from hf_sslgen.files import replace_file
from hf_sslgen.reporting.attribution_words import attribution_meaning
from hf_sslgen.reporting.caution_words import caution_blocks
from hf_sslgen.reporting.page.answers import Answer, answer
from hf_sslgen.reporting.page.glossary import LIMITS, glossary
from hf_sslgen.reporting.page.packed_parts import PackedParts
from hf_sslgen.reporting.page.page_claims import claim_section
from hf_sslgen.reporting.page.page_content import domain_section
from hf_sslgen.reporting.page.page_drawings import PageFigures
from hf_sslgen.reporting.page.page_ranking import ranking_tables
from hf_sslgen.reporting.page.page_summary import summary
from hf_sslgen.reporting.page.page_tables import provenance_rows
from hf_sslgen.reporting.page.study_figures import StudyFigures, study_figures
from hf_sslgen.reporting.table_rows import order_backbones
from hf_sslgen.reporting.unseen import without_unseen
from hf_sslgen.study.inference.study_results import StudyResults

QUESTION = (
    "Do self-supervised backbones generalise better than their supervised twins, on domains similar to the source and "
    "on significantly different ones?"
)
SINGLE_QUESTION = "How accurate, how well calibrated, how concentrated and how invariant is this backbone?"
OPEN_UP_TO = 3
"""Up to this many domains are shown unfolded; if there are more, readers unfold each themselves."""

TEMPLATES = Path(__file__).parent / "templates"


def write_page(
    results: StudyResults,
    path: Path,
    title: str,
    missing: Sequence[str] = (),
    figures: StudyFigures | None = None,
) -> None:
    """Write the page as one file.

    Args:
        missing: plain sentences about cells that failed or are not computed yet.
        figures: those of the same cells; None draws them.
    """
    with replace_file(path) as unfinished:
        unfinished.write_text(render_page(results, title, missing, figures), encoding="utf-8")


def render_page(
    results: StudyResults, title: str, missing: Sequence[str] = (), figures: StudyFigures | None = None
) -> str:
    """Return the page as HTML text; see `write_page`."""
    if figures is None:
        with study_figures(results.cells) as figures:
            return render_page(results, title, missing, figures)
    cells = results.cells
    backbones = order_backbones(cells)
    single = len(backbones) == 1 and not results.differences
    domains = [domain_section(results, name, cards, figures.styles) for name, cards in figures.domains.items()]
    groups: dict[str, list] = {}
    for section in domains:
        groups.setdefault(section.group, []).append(section)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=without_unseen,
    )
    of_groups = summary(results)
    of_domains = [card for cards in figures.domains.values() for card in cards.cards]
    drawn = PageFigures.of([*(of_groups.figures if of_groups else ()), *of_domains], figures.drawer)
    environment.globals["drawn"] = drawn.markup
    parts = PackedParts()
    environment.filters["part"] = parts.add
    page = {
        "title": title,
        "question": SINGLE_QUESTION if single else QUESTION,
        "answer": _answer(results, single),
        "cautions": caution_blocks(results),
        "missing": list(missing),
        "summary": of_groups,
        "rankings": ranking_tables(results.rankings),
        "claims": claim_section(results),
        "groups": [{"title": name, "domains": sections} for name, sections in groups.items()],
        "unfolded": len(domains) <= OPEN_UP_TO,
        "glossary": glossary(attribution_meaning(cells)),
        "limits": LIMITS,
        "notes": list(dict.fromkeys(str(n) for cell in cells for n in cell.provenance.get("notes") or ())),
        "provenance": provenance_rows(cells),
        "letters": drawn.letters,
        # Our own files, inserted into the page unescaped.
        "style": Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
    }
    return parts.put_in(environment.get_template("report.html.jinja").render(page=page))


def _answer(results: StudyResults, single: bool) -> Answer:
    if results.differences:
        return answer(results)
    if single:
        return Answer("Only one backbone was analysed, so there is nothing to compare; see its tables below.", [], [])
    return Answer("No paired differences were computed, so there is nothing to compare.", [], [])
