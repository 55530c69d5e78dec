"""What a page shows, as plain values that a template only has to write down.

Every displayed number keeps its stored value at full precision beside the rounded text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.reporting.figure_style import Styles
from hf_sslgen.reporting.page_figures import FigureCard, invariance_cards, protocol_cards
from hf_sslgen.reporting.page_tables import difference_row, measurement_table, transform_rows, transform_titles
from hf_sslgen.reporting.rows import (
    Row,
    collapsed_rows,
    group_of,
    headline_metric,
    protocols_of,
    rows_of,
)
from hf_sslgen.reporting.sentences import sentence
from hf_sslgen.reporting.tables import headline_differences
from hf_sslgen.reporting.vocabulary import (
    PRETRAINED_PROTOCOL,
    format_value,
    group_words,
    protocol_words,
)
from hf_sslgen.study.cells import Cell
from hf_sslgen.study.pairs import Difference


@dataclass(frozen=True)
class Pair:
    """Sentences on two backbones under one heading."""

    title: str
    sentences: list[str]


@dataclass(frozen=True)
class ProtocolSection:
    """The table of the four measurements of one protocol, with its sentences and figures."""

    title: str
    caption: str
    groups: list[dict[str, Any]]
    columns: list[dict[str, str]]
    rows: list[dict[str, Any]]
    missing: list[str]
    pairs: list[Pair]
    control_pairs: list[Pair]
    figures: list[FigureCard]


@dataclass(frozen=True)
class DomainSection:
    """All a page says of one domain."""

    identifier: str
    name: str
    group: str
    warnings: list[str]
    protocols: list[ProtocolSection]
    pretrained_pairs: list[Pair]
    pretrained_control_pairs: list[Pair]
    figures: list[FigureCard]
    transform_columns: list[str]
    transform_rows: list[dict[str, Any]]
    differences: list[dict[str, Any]]


def domain_section(
    cells: Sequence[Cell],
    differences: Sequence[Difference],
    domain: str,
    identifier: str,
    styles: Styles,
    controls: frozenset[str],
) -> DomainSection:
    """The section of a domain; `identifier` is unique within the page and safe as an id."""
    here = [cell for cell in cells if cell.domain == domain]
    of_domain = [difference for difference in differences if difference.domain == domain]
    headline = headline_differences(of_domain, headline_metric(here[0]))

    def pairs(protocol: str, of_controls: bool) -> list[Pair]:
        return _pairs(headline, protocol, lambda d: (d.first in controls or d.second in controls) == of_controls)

    protocols = []
    warnings: dict[str, None] = {}
    for index, protocol in enumerate(protocols_of(here, domain)):
        rows = rows_of(here, domain, protocol)
        warnings.update(dict.fromkeys(_collapse_warning(row, rank) for row, rank in collapsed_rows(rows)))
        alone = protocol == PRETRAINED_PROTOCOL
        protocols.append(
            ProtocolSection(
                title=protocol_words(protocol).capitalize(),
                caption=f"The four measurements on {domain}, {protocol_words(protocol)}. In brackets: 95% intervals "
                "over these images; numbers without one are descriptive; “pt” are percentage points.",
                pairs=[] if alone else pairs(protocol, False),
                control_pairs=[] if alone else pairs(protocol, True),
                figures=protocol_cards(rows, f"{identifier}-{index}", styles),
                **measurement_table(rows, styles),
            )
        )
    return DomainSection(
        identifier=identifier,
        name=domain,
        group=group_words(group_of(here[0])),
        warnings=list(warnings),
        protocols=protocols,
        pretrained_pairs=pairs(PRETRAINED_PROTOCOL, False),
        pretrained_control_pairs=pairs(PRETRAINED_PROTOCOL, True),
        figures=invariance_cards(here, identifier, styles),
        transform_columns=transform_titles(),
        transform_rows=transform_rows(here),
        differences=[difference_row(difference) for difference in of_domain],
    )


def _pairs(differences: Sequence[Difference], protocol: str, wanted: Callable[[Difference], bool]) -> list[Pair]:
    titles: dict[str, list[str]] = {}
    seeds = {d.seed for d in differences if d.protocol == protocol}
    for d in differences:
        if d.protocol == protocol and wanted(d):
            title = f"{d.first} against {d.second}" + (f", seed {d.seed}" if len(seeds) > 1 else "")
            text = sentence(d, with_setting=False)
            titles.setdefault(title, []).append(text[0].upper() + text[1:] if text.startswith(_OPENINGS) else text)
    return [Pair(title, sentences) for title, sentences in titles.items()]


_OPENINGS = ("the ", "undecided: ", "not measured: ")


def _collapse_warning(row: Row, rank: Number) -> str:
    kind = "is an untrained control" if row.objective == "untrained" else "may have failed to train or to load"
    return (
        f"The features of {row.cell.backbone} have an effective rank of {format_value(rank.value, rank.metric)}, "
        f"below 2: nearly all images share one representation. An invariance of such an encoder "
        f"means nothing, however high it is. This encoder {kind}."
    )
