"""Prepare the page's section on published results beside a study's own as plain values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_sslgen.reporting.page.page_tables import Entry
from hf_sslgen.reporting.reference_words import counted, difference_lines, reference_words
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.reference.reference_lines import ReferenceComparison, ReferenceLine


@dataclass(frozen=True)
class ReferenceSection:
    """One table of published results: its rows, and every known difference of protocol.

    Attributes:
        has_regularisation, has_sources: whether rows state the C that was selected, or a source of their own.
    """

    title: str
    source: str
    counted: str
    has_regularisation: bool
    has_sources: bool
    rows: list[dict[str, Any]]
    differences: list[str]


def reference_sections(results: StudyResults, names: Mapping[str, str]) -> list[ReferenceSection]:
    """Return a section per table that the study asks for.

    Args:
        names: short names of backbones.
    """
    return [_section(comparison, names) for comparison in results.references]


def _section(comparison: ReferenceComparison, names: Mapping[str, str]) -> ReferenceSection:
    table, lines = comparison.table, comparison.lines
    paper = f", arXiv {table.paper}" if table.paper is not None else ""
    return ReferenceSection(
        title=f"{table.title} ({table.name})",
        source=f"{table.source}{paper}",
        counted=counted(comparison),
        has_regularisation=any(line.published.inverse_regularisation is not None for line in lines),
        has_sources=any(line.published.source is not None for line in lines),
        rows=[_row(line, names) for line in lines],
        differences=difference_lines(comparison),
    )


def _row(line: ReferenceLine, names: Mapping[str, str]) -> dict[str, Any]:
    published, ours, said = line.published, line.ours, reference_words(line)
    return {
        "backbone": names.get(line.backbone, line.backbone),
        "domain": line.domain,
        "protocol": line.protocol,
        "published": Entry(said.published, _stored(published.value)),
        "ours": Entry(said.ours, _stored(None if ours is None else ours.value), said.interval),
        "difference": Entry(said.difference, _stored(line.difference)),
        "published_regularisation": Entry(said.regularisation, _stored(published.inverse_regularisation)),
        "regularisations": said.own_regularisations,
        "source": published.source or "",
        "agreement": said.agreement,
    }


def _stored(value: float | None) -> str | None:
    return None if value is None or math.isnan(value) else repr(value)
