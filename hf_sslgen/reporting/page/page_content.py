"""Prepare the content of a page as plain values, so that the template only has to insert them.

Every displayed number keeps its stored value at full precision beside the rounded text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.reporting.attribution_words import shows_the_published_encoder
from hf_sslgen.reporting.figures.figure_card import FigureCard
from hf_sslgen.reporting.figures.figure_style import Styles
from hf_sslgen.reporting.page.page_tables import (
    detail_rows,
    details_missing,
    difference_row,
    measurement_table,
    transform_rows,
    transform_titles,
)
from hf_sslgen.reporting.page.sentences import sentence
from hf_sslgen.reporting.page.study_figures import DomainCards
from hf_sslgen.reporting.table_rows import Row, Setting, collapsed_rows, rows_of, settings_of
from hf_sslgen.reporting.terminal_tables import differences_shown_first
from hf_sslgen.reporting.vocabulary import format_value, group_words, setting_words
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class Pair:
    """Sentences about two backbones under one heading."""

    title: str
    sentences: list[str]


@dataclass(frozen=True)
class SettingSection:
    """The table of the four measurements under one protocol and label budget, with its sentences and figures."""

    title: str
    caption: str
    groups: list[dict[str, Any]]
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    missing: list[str]
    details: list[dict[str, Any]]
    details_missing: list[str]
    pairs: list[Pair]
    control_pairs: list[Pair]
    figures: list[FigureCard]


@dataclass(frozen=True)
class DomainSection:
    """The content of a page about one domain."""

    identifier: str
    name: str
    group: str
    size: str
    warnings: list[str]
    settings: list[SettingSection]
    encoder_title: str
    pretrained_pairs: list[Pair]
    pretrained_control_pairs: list[Pair]
    figures: list[FigureCard]
    transform_columns: list[str]
    transform_rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]


def domain_section(results: StudyResults, domain: str, cards: DomainCards, styles: Styles) -> DomainSection:
    """Return the section of a domain."""
    here = [cell for cell in results.cells if cell.domain == domain]
    of_domain = [difference for difference in results.differences if difference.domain == domain]
    targets = [target for target in results.targets if target.domain == domain]
    headline = differences_shown_first(targets, headline_metrics_of(here))
    sections = []
    warnings: dict[str, None] = {}
    for setting in settings_of(here, domain):
        rows = rows_of(here, domain, setting)
        warnings.update(dict.fromkeys(_collapse_warning(row, rank) for row, rank in collapsed_rows(rows)))
        alone = setting[0] == PRETRAINED_PROTOCOL
        title = setting_words(*setting)
        sections.append(
            SettingSection(
                title=title[0].upper() + title[1:],
                caption=f"The four measurements on {domain}, {title}. In brackets: 95% intervals "
                f"over {_sampled(targets, setting)}; numbers without one are descriptive; “pt” are percentage "
                "points.",
                pairs=[] if alone else _pairs(headline, setting, of_controls=False),
                control_pairs=[] if alone else _pairs(headline, setting, of_controls=True),
                figures=cards.by_setting[setting],
                details=detail_rows(rows),
                details_missing=details_missing(rows),
                **measurement_table(rows, styles),
            )
        )
    published = (PRETRAINED_PROTOCOL, ALL_LABELS)
    shown = {(cell.protocol, cell.labels) for cell in here if shows_the_published_encoder(cell)}
    # Do not repeat what a table and figures above already show.
    is_shown = bool(shown & set(settings_of(here, domain)))
    of_encoders = [target for target in headline if target.transform or not is_shown]
    return DomainSection(
        identifier=cards.identifier,
        name=domain,
        group=group_words(here[0].group),
        size=f"{len(here)} cell" + ("s" if len(here) > 1 else ""),
        warnings=list(warnings),
        settings=sections,
        encoder_title="Where the published encoder looks, and invariance" if cards.looks else "Invariance",
        pretrained_pairs=_pairs(of_encoders, published, of_controls=False),
        pretrained_control_pairs=_pairs(of_encoders, published, of_controls=True),
        figures=[*cards.looks, *cards.invariance],
        transform_columns=transform_titles(here),
        transform_rows=transform_rows(here),
        differences=[difference_row(difference) for difference in of_domain],
    )


def _sampled(targets: Sequence[TargetDifference], setting: Setting) -> str:
    """Return what intervals under a setting are over, in words."""
    units = {d.unit for d in targets if (d.protocol, d.labels) == setting}
    return "these images and the draws of episodes from them" if "episodes" in units else "these images"


def _pairs(targets: Sequence[TargetDifference], setting: Setting, of_controls: bool) -> list[Pair]:
    titles: dict[str, list[str]] = {}
    for d in targets:
        if (d.protocol, d.labels) == setting and (d.second_objective == UNTRAINED) == of_controls:
            text = sentence(d, with_setting=False)
            titles.setdefault(f"{d.first} against {d.second}", []).append(
                text[0].upper() + text[1:] if text.startswith(_OPENINGS) else text
            )
    return [Pair(title, sentences) for title, sentences in titles.items()]


_OPENINGS = ("the ", "undecided: ", "not measured: ")


def _collapse_warning(row: Row, rank: Number) -> str:
    kind = "is an untrained control" if row.objective == UNTRAINED else "may have failed to train or to load"
    return (
        f"The covariance of {row.cell.backbone}’s features has an effective rank of "
        f"{format_value(rank.value, rank.metric)}, below 2: images differ along one direction and hardly along any "
        f"other. The invariance of such an encoder is meaningless, however high. This encoder {kind}."
    )
