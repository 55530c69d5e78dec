"""Words that a domain's options and its row in the registry have in common."""

from typing import Literal

BoxFormat = Literal["xyxy", "xywh"]
"""Two corners of a box, or its corner, width and height."""

Group = Literal["similar", "different"]
"""How near a domain is expected to be to the source data."""
