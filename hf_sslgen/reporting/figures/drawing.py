"""Figures that are yet to be drawn, so that one drawn before can be used, and many are drawn in other processes."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from hf_sslgen.reporting.figures.drawn_content import feed
from hf_sslgen.reporting.figures.figure_style import figure_data_uri, figure_svg

CSS_PIXELS_PER_INCH = 96
IMAGE_DPI = 110
ANY = "@"
"""Stands for the identifier of a figure's card, which is not part of the drawing."""


@dataclass(frozen=True)
class DrawnFigure:
    """A figure as it is put into a page.

    Attributes:
        width: natural width in CSS pixels.
        content: `<svg>` markup whose ids begin with `ANY`, or the `data:` address of an image.
    """

    width: int
    content: str


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure to be drawn.

    Attributes:
        function: of a module, which returns the figure.
        arguments: all that it depends on.
        is_image: whether it becomes an image, because vector graphics would be several times larger.
    """

    function: Callable[..., Figure]
    arguments: tuple[Any, ...]
    is_image: bool = False

    def key(self, version: str) -> str:
        """Return 32 hexadecimal digits that are equal for drawings that look the same."""
        digest = hashlib.blake2b(digest_size=16)
        feed(digest, (version, self.function.__module__, self.function.__qualname__, self.is_image, self.arguments))
        return digest.hexdigest()

    def drawn(self) -> DrawnFigure:
        figure = self.function(*self.arguments)
        width = round(figure.get_figwidth() * CSS_PIXELS_PER_INCH)
        return DrawnFigure(width, figure_data_uri(figure, IMAGE_DPI) if self.is_image else figure_svg(figure, ANY))


def with_identifier(svg: str, identifier: str) -> str:
    """Return the markup of a drawn figure with ids that begin with `identifier`, which is safe within an id."""
    return re.sub(rf'(id="|href="#|url\(#){ANY}-', rf"\g<1>{identifier}-", svg)
