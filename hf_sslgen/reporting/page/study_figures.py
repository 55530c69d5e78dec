"""The figures of a study's domains, which need no inference and are begun before it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.reporting.attribution_words import shows_the_published_encoder
from hf_sslgen.reporting.figures.figure_card import FigureCard
from hf_sslgen.reporting.figures.figure_drawer import FigureDrawer
from hf_sslgen.reporting.figures.figure_style import Styles, backbone_styles
from hf_sslgen.reporting.page.page_attribution import published_cards
from hf_sslgen.reporting.page.page_figures import invariance_cards, setting_cards
from hf_sslgen.reporting.table_rows import Setting, domains_of, order_backbones, rows_of, settings_of
from hf_sslgen.study.cells.cell_folder import Cell


@dataclass(frozen=True)
class DomainCards:
    """The figures of a domain.

    Attributes:
        identifier: unique within the page and safe as an HTML id.
        by_setting: of each protocol and label budget.
        looks: of where published encoders look, unless a setting shows the same.
        invariance: of invariance to transforms.
    """

    identifier: str
    by_setting: Mapping[Setting, list[FigureCard]]
    looks: list[FigureCard]
    invariance: list[FigureCard]

    @property
    def cards(self) -> list[FigureCard]:
        return [*(card for cards in self.by_setting.values() for card in cards), *self.looks, *self.invariance]


@dataclass(frozen=True)
class StudyFigures:
    """The figures of a study: of its domains, in order, and the styles of its backbones."""

    domains: Mapping[str, DomainCards]
    styles: Styles
    drawer: FigureDrawer


@contextmanager
def study_figures(cells: Sequence[Cell], folder: Path | None = None, processes: int = 1) -> Iterator[StudyFigures]:
    """Begin to draw the figures of a study's domains.

    Args:
        folder: keeps the figures for the next report; None keeps none.
        processes: number of processes that draw, if there are many figures.
    """
    styles = backbone_styles(order_backbones(cells))
    # Identifiers are numbered rather than made from names, so that no name can break or shadow another's.
    domains = {
        domain: _cards_of([cell for cell in cells if cell.domain == domain], f"domain-{index}", styles)
        for index, domain in enumerate(domains_of(cells), start=1)
    }
    with FigureDrawer(folder, processes) as drawer:
        drawer.begin([card.drawing for domain in domains.values() for card in domain.cards])
        yield StudyFigures(domains, styles, drawer)


def _cards_of(here: Sequence[Cell], identifier: str, styles: Styles) -> DomainCards:
    settings = settings_of(here, here[0].domain)
    by_setting = {
        setting: setting_cards(rows_of(here, here[0].domain, setting), f"{identifier}-{index}", styles)
        for index, setting in enumerate(settings)
    }
    # Do not repeat what figures of a setting already show.
    shown = {(cell.protocol, cell.labels) for cell in here if shows_the_published_encoder(cell)}
    looks = [] if shown & set(settings) else published_cards(here, identifier, styles)
    return DomainCards(identifier, by_setting, looks, invariance_cards(here, identifier, styles))
