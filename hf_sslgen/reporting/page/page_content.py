"""Prepare the tables of a domain as plain values, so that the template only has to insert them.

Every displayed number keeps its stored value at full precision beside the rounded text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.reporting.page.page_tables import (
    detail_rows,
    details_missing,
    difference_row,
    measurement_table,
    transform_rows,
    transform_titles,
)
from hf_sslgen.reporting.table_rows import Row, Setting, collapsed_rows, domains_of, rows_of, settings_of
from hf_sslgen.reporting.vocabulary import format_value, group_words, setting_words
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class SettingSection:
    """The table of the four measurements under one protocol and label budget."""

    title: str
    protocol: str
    labels: str
    caption: str
    groups: list[dict[str, Any]]
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    missing: list[tuple[str, list[str]]]
    details: list[dict[str, Any]]
    details_missing: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class DomainSection:
    """The tables of one domain. `identifier` is unique within the page and safe as an HTML id."""

    identifier: str
    name: str
    group: str
    size: str
    settings: list[SettingSection]
    transform_columns: list[str]
    transform_rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]


def domain_sections(results: StudyResults, names: Mapping[str, str]) -> list[DomainSection]:
    """Return the section of each domain.

    Args:
        names: short names of backbones.
    """
    # Identifiers are numbered rather than made from names, so that no name can break or shadow another's.
    return [
        _section(results, domain, f"domain-{index}", names)
        for index, domain in enumerate(domains_of(results.cells), start=1)
    ]


def _section(results: StudyResults, domain: str, identifier: str, names: Mapping[str, str]) -> DomainSection:
    here = [cell for cell in results.cells if cell.domain == domain]
    targets = [target for target in results.targets if target.domain == domain]
    return DomainSection(
        identifier=identifier,
        name=domain,
        group=group_words(here[0].group),
        size=f"{len(here)} cell" + ("s" if len(here) > 1 else ""),
        settings=[_setting(here, setting, targets, names) for setting in settings_of(here, domain)],
        transform_columns=transform_titles(here),
        transform_rows=transform_rows(here, names),
        differences=[difference_row(d, names) for d in results.differences if d.domain == domain],
    )


def _setting(
    here: Sequence[Cell], setting: Setting, targets: Sequence[TargetDifference], names: Mapping[str, str]
) -> SettingSection:
    rows = rows_of(here, here[0].domain, setting)
    title = setting_words(*setting)
    return SettingSection(
        title=title[0].upper() + title[1:],
        protocol=setting[0],
        labels=setting[1],
        caption=f"95% intervals over {_sampled(targets, setting)}. Numbers without one are descriptive; "
        "“pt” means percentage points.",
        details=detail_rows(rows),
        details_missing=details_missing(rows, names),
        **measurement_table(rows, names),
    )


def _sampled(targets: Sequence[TargetDifference], setting: Setting) -> str:
    """Return what intervals under a setting are over, in words."""
    units = {d.unit for d in targets if (d.protocol, d.labels) == setting}
    return "these images and the draws of episodes from them" if "episodes" in units else "these images"


def collapse_warnings(results: StudyResults, names: Mapping[str, str]) -> list[str]:
    """Return a sentence for each backbone whose published encoder has collapsed on a domain."""
    found: dict[str, None] = {}
    for domain in domains_of(results.cells):
        here = [cell for cell in results.cells if cell.domain == domain]
        for setting in settings_of(here, domain):
            rows = collapsed_rows(rows_of(here, domain, setting))
            found |= dict.fromkeys(_collapse_warning(row, rank, domain, names) for row, rank in rows)
    return list(found)


def _collapse_warning(row: Row, rank: Number, domain: str, names: Mapping[str, str]) -> str:
    kind = "It is an untrained control." if row.objective == UNTRAINED else "It may have failed to train or to load."
    name = names.get(row.cell.backbone, row.cell.backbone)
    return f"{name} on {domain}: effective rank {format_value(rank.value, rank.metric)}, below 2. {kind}"
