"""Choices shared by a domain's options and its registry row."""

from typing import Literal

BoxFormat = Literal["xyxy", "xywh"]
"""A box as two corners, or as one corner with width and height."""

Group = Literal["similar", "different"]
"""Expected distance of a domain from the source data."""
