"""The kinds of files that figures can be written as."""

from typing import Literal

FigureKind = Literal["pdf", "svg", "png"]
