"""Write the report's page: one HTML file that opens from disk and loads nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hf_sslgen.files import replace_file
from hf_sslgen.reporting.attribution_words import attribution_meaning
from hf_sslgen.reporting.caution_words import caution_blocks
from hf_sslgen.reporting.page.finding_notes import finding_notes
from hf_sslgen.reporting.page.findings import findings
from hf_sslgen.reporting.page.glossary import LIMITS, glossary
from hf_sslgen.reporting.page.glossary_terms import term_identifier
from hf_sslgen.reporting.page.measurement_parts import MEASUREMENT_PARTS
from hf_sslgen.reporting.page.packed_parts import PackedParts
from hf_sslgen.reporting.page.page_claims import claim_section
from hf_sslgen.reporting.page.page_content import collapse_warnings, domain_sections
from hf_sslgen.reporting.page.page_cost import cost_section
from hf_sslgen.reporting.page.page_data import page_data
from hf_sslgen.reporting.page.page_details import PAGE_UP_TO, details_within
from hf_sslgen.reporting.page.page_heat import heat_maps
from hf_sslgen.reporting.page.page_ranking import ranking_tables
from hf_sslgen.reporting.page.page_reference import reference_sections
from hf_sslgen.reporting.page.page_scorecard import card_of, cards_shown_first
from hf_sslgen.reporting.page.page_script import LIBRARY, TEMPLATES, own_text, packed_json, page_script
from hf_sslgen.reporting.page.page_summary import summary
from hf_sslgen.reporting.page.page_tables import backbone_rows, provenance_rows
from hf_sslgen.reporting.page.picture_sections import picture_sections
from hf_sslgen.reporting.page.work_done import work_done
from hf_sslgen.reporting.scorecard import scorecard
from hf_sslgen.reporting.unseen import without_unseen
from hf_sslgen.reporting.verdict import main_setting, verdict
from hf_sslgen.reporting.verdict_remarks import RemarkKind
from hf_sslgen.study.inference.study_results import StudyResults

ABOVE = (RemarkKind.WEAKNESS, RemarkKind.CONFOUND)
"""Remarks that stand below the verdict; the others follow the scorecards."""

DETAILS_MARK = Markup("<!--details-->")
"""Stands for the details of cells until the room left for them is known. Names can't imitate it: they are escaped."""


def write_page(results: StudyResults, path: Path, title: str, missing: Sequence[str] = (), notice: str = "") -> None:
    """Write the page as one file.

    Args:
        missing: plain sentences about cells that failed or are not computed yet.
        notice: stands above everything else.
    """
    with replace_file(path) as unfinished:
        unfinished.write_text(render_page(results, title, missing, notice), encoding="utf-8")


def render_page(results: StudyResults, title: str, missing: Sequence[str] = (), notice: str = "") -> str:
    """Return the page as HTML text; see `write_page`. The same results give the same text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=without_unseen,
    )
    parts = PackedParts()
    environment.filters["part"] = parts.add
    said = {"title": title, "missing": list(missing), "notice": notice}
    page = {**said, "details_mark": DETAILS_MARK, **_content(results)}
    text = parts.put_in(environment.get_template("report.html.jinja").render(page=page))
    return text.replace(DETAILS_MARK, details_within(results.cells, PAGE_UP_TO - len(text)))


def _content(results: StudyResults) -> dict[str, Any]:
    cells = results.cells
    card = scorecard(results)
    cautions = caution_blocks(results)
    collapsed = collapse_warnings(results, card.names)
    said = verdict(results)
    main = main_setting(cells)
    first, others = cards_shown_first(card, main)
    cards = [card_of(panel, card.measures) for panel in first]
    content = {
        "verdict": said,
        "weaknesses": [remark for remark in said.further if remark.kind is RemarkKind.WEAKNESS],
        "confounds": [remark for remark in said.further if remark.kind is RemarkKind.CONFOUND],
        "remarks": [remark for remark in said.further if remark.kind not in ABOVE],
        "done": work_done(cells),
        "cards": cards,
        "standings": {row.standing for shown in cards for row in shown.rows},
        "other_cards": [card_of(panel, card.measures) for panel in others],
        "heat": heat_maps(results, card),
        "positions": {cell.folder.name: index for index, cell in enumerate(cells)},
        "pictures": picture_sections(cells, card.names),
        "measurements": [
            {
                "identifier": each.identifier,
                "title": each.title,
                "meaning": each.meaning,
                "findings": findings(results, each.parts, card.names),
            }
            for each in MEASUREMENT_PARTS
        ],
        "cautions": cautions,
        "collapsed": collapsed,
        "num_cautions": len(cautions) + bool(collapsed),
        "summary": summary(results, card.names),
        "rankings": ranking_tables(results.rankings, card.names),
        "cost": cost_section(results, card.names),
        "claims": claim_section(results),
        "references": reference_sections(results, card.names),
        "domains": domain_sections(results, card.names),
        "notes_on_findings": finding_notes(results),
        "limits": LIMITS,
        "glossary": [(term_identifier(name), name, text) for name, text in glossary(attribution_meaning(cells))],
        "notes": _notes(results),
        "backbones": backbone_rows(cells, card.names),
        "provenance": provenance_rows(cells),
        "packed": packed_json("page-data", page_data(results, card, main)),
        "style": Markup("\n").join(own_text(TEMPLATES / f"{name}.css") for name in ("page", "pictures", "details")),
        "library": own_text(LIBRARY),
        "script": page_script(),
    }
    return content | {"sections": _sections(content)}


def _notes(results: StudyResults) -> list[str]:
    """Return what cells noted about their domains, each once; a consequence is a sentence of its own."""
    found = dict.fromkeys(str(note) for cell in results.cells for note in cell.provenance.get("notes") or ())
    return [". So ".join(note.split(", so ")) for note in found]


def _sections(content: dict[str, Any]) -> list[tuple[str, str]]:
    """Return identifier and title of the sections, for the page's navigation."""
    wanted = [
        *((each["identifier"], each["title"], True) for each in content["measurements"]),
        ("cards", "Scorecards", content["other_cards"]),
        ("cautions", "Cautions", content["num_cautions"]),
        ("summary", "All tests", content["summary"]),
        ("ranking", "Ranking", content["rankings"]),
        ("cost", "Cost", content["cost"]),
        ("claims", "Claims from the literature", content["claims"]),
        ("reference", "Published results beside ours", content["references"]),
        ("domains", "All numbers", True),
        ("methods", "Methods and limits", True),
        ("glossary", "Glossary", True),
        ("provenance", "Provenance", True),
    ]
    return [(identifier, title) for identifier, title, is_there in wanted if is_there]
