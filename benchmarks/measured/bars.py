"""Limits that measured values must keep."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A limit on a measured value, from below or from above."""

    limit: float
    at_least: bool = False

    def is_met(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'at least' if self.at_least else 'at most'} {self.limit:g}"
