"""Speak of stored differences: their size and interval in words, at as many decimals as the interval allows."""

import math
from dataclasses import dataclass
from typing import Protocol

from hf_sslgen.reporting.page.fitting import fitted_decimals, fitted_interval
from hf_sslgen.reporting.vocabulary import MINUS, format_decimals, words
from hf_sslgen.study.inference.judgement import UNDECIDED, Judgement, verdict_of


class Bounded(Protocol):
    """A difference with its interval, at any level: on one target, over targets, between groups."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


class Judged(Protocol):
    """A difference at any level with what may be claimed of it."""

    @property
    def value(self) -> float: ...
    @property
    def judgement(self) -> Judgement: ...
    @property
    def verdict(self) -> str: ...


@dataclass(frozen=True)
class Claimed:
    """A difference with its interval in the claimed scope."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, estimate: Judged) -> "Claimed":
        claimed = estimate.judgement.claimed
        return cls(estimate.value, claimed.low, claimed.high)


def spoken_amount(estimate: Bounded, metric: str) -> str:
    """Return a difference with its sign and unit, such as `+8.1 points`."""
    value, unit = estimate.value * words(metric).scale, words(metric).difference_unit
    text = format_decimals(value, fitted_decimals(estimate.low, estimate.high, metric), signed=True)
    return f"{text}{' point' if unit == ' points' and text.lstrip(f'{MINUS}+') in ('1', '1.0') else unit}"


def spoken_interval(estimate: Bounded, metric: str) -> str:
    """Return the interval of a difference in words, such as `+6.0 to +10.2`; empty if there is none."""
    return fitted_interval(estimate.low, estimate.high, metric, signed=True)


def why_undecided(judgement: Judgement, metric: str) -> list[str]:
    """State the adjusted p-value if the interval excludes zero, and what the design would probably have shown."""
    reasons = []
    if verdict_of(judgement.claimed.low, judgement.claimed.high) != UNDECIDED:
        reasons.append(f"p = {format_decimals(judgement.adjusted_p_value, 2)} after adjustment")
    size = judgement.claimed.minimum_detectable_difference
    if not math.isnan(size):
        text = format_decimals(size * words(metric).scale, words(metric).decimals)
        reasons.append(f"detectable: {text}{words(metric).difference_unit}")
    return reasons
