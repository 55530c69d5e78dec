"""Prepare a figure for a page, with its text alternative."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from hf_sslgen.reporting.figures.drawing import Drawing


@dataclass(frozen=True)
class FigureCard:
    """A figure with its caption and text alternative."""

    identifier: str
    title: str
    caption: str
    alt: str
    drawing: Drawing


def svg_card(
    function: Callable[..., Figure], arguments: tuple[Any, ...], identifier: str, title: str, caption: str, alt: str
) -> FigureCard:
    """Return a figure that will be drawn by a function as vector graphics."""
    return FigureCard(identifier, title, caption, alt, Drawing(function, arguments))


def image_card(
    function: Callable[..., Figure], arguments: tuple[Any, ...], identifier: str, title: str, caption: str, alt: str
) -> FigureCard:
    """Return a figure that will be drawn as pixels, if it would be several times larger as vector graphics."""
    return FigureCard(identifier, title, caption, alt, Drawing(function, arguments, is_image=True))
