"""Prepare a figure for a page, with its text alternative."""

from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from hf_sslgen.reporting.figures.figure_style import figure_data_uri, figure_svg

CSS_PIXELS_PER_INCH = 96
IMAGE_DPI = 110


@dataclass(frozen=True)
class FigureCard:
    """A figure with its caption and text alternative; either `svg` markup or an `image` data address is set.

    `width` is its natural width in CSS pixels: on a narrow screen, it scrolls instead of becoming unreadably small.
    """

    identifier: str
    title: str
    caption: str
    alt: str
    width: int
    svg: Markup | None = None
    image: str = ""


def svg_card(figure: Figure, identifier: str, title: str, caption: str, alt: str) -> FigureCard:
    """Return a figure as vector graphics."""
    # Markup is safe here: names are drawn as outlines, so none of them occurs in the SVG.
    return FigureCard(identifier, title, caption, alt, _pixels(figure), svg=Markup(figure_svg(figure, identifier)))


def image_card(figure: Figure, identifier: str, title: str, caption: str, alt: str) -> FigureCard:
    """Return a figure as pixels, if it would be several times larger as vector graphics."""
    return FigureCard(identifier, title, caption, alt, _pixels(figure), image=figure_data_uri(figure, IMAGE_DPI))


def _pixels(figure: Figure) -> int:
    return round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
