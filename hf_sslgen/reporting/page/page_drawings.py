"""Draw the figures of a page, and put the outlines of letters that they share into it once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from hf_sslgen.reporting.figures.drawing import DrawnFigure, with_identifier
from hf_sslgen.reporting.figures.figure_card import FigureCard
from hf_sslgen.reporting.figures.figure_drawer import FigureDrawer

LETTER = re.compile(r'<path id="([^"]+)" (d="[^"]*" transform="scale\([^)]*\)")/>')
"""The outline of a letter, which `<use>` elements of its figure refer to."""

REFERENCE = re.compile(r'href="#([^"]+)"')


@dataclass(frozen=True)
class PageFigures:
    """Drawn figures by the identifiers of their cards, and `letters`, the outlines that they share."""

    by_identifier: dict[str, DrawnFigure]
    letters: Markup

    @classmethod
    def of(cls, cards: Sequence[FigureCard], drawer: FigureDrawer) -> "PageFigures":
        """Draw the figures of cards."""
        letters: dict[str, str] = {}
        figures = {}
        for card in cards:
            figure = drawer.drawn(card.drawing)
            content = figure.content
            if not card.drawing.is_image:
                content = _sharing_letters(with_identifier(content, card.identifier), letters)
            figures[card.identifier] = DrawnFigure(figure.width, content)
        outlines = "".join(f'<path id="{name}" {outline}/>' for outline, name in letters.items())
        return cls(figures, Markup(outlines))  # outlines alone, which hold no text

    def markup(self, card: FigureCard) -> DrawnFigure:
        """Return a card's figure; vector graphics as markup."""
        found = self.by_identifier[card.identifier]
        # Markup is safe here: names are drawn as outlines, so none of them occurs in the SVG.
        return found if card.drawing.is_image else DrawnFigure(found.width, Markup(found.content))


def _sharing_letters(svg: str, letters: dict[str, str]) -> str:
    """Return the figure without the outlines of its letters, which are added to `letters` with names for the page."""
    own: dict[str, str] = {}

    def moved(found: re.Match[str]) -> str:
        own[found.group(1)] = letters.setdefault(found.group(2), f"letter-{len(letters)}")
        return ""

    text = LETTER.sub(moved, svg)
    return REFERENCE.sub(lambda found: f'href="#{own.get(found.group(1), found.group(1))}"', text)
