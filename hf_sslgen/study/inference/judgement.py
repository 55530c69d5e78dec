"""What may be claimed of a difference: its interval in each scope, and its place among all that a page asks."""

import math
from dataclasses import dataclass

from hf_sslgen.metrics.target_inference import SIGNIFICANCE
from hf_sslgen.study.inference.scopes import ScopedInterval, widest_scope

HIGHER = "higher"
LOWER = "lower"
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Judgement:
    """The claim that a difference allows, which is that of the widest scope its runs can test.

    Attributes:
        scopes: the interval of each scope, the narrowest first.
        is_headline: whether it is one of the page's headline verdicts, which are adjusted together. All other
            differences are exploratory.
        adjusted_p_value: of a headline, by Holm over all headlines of the page.
        q_value: of an exploratory difference, by Benjamini and Hochberg over all exploratory ones of the page.
    """

    scopes: tuple[ScopedInterval, ...]
    is_headline: bool = False
    adjusted_p_value: float = math.nan
    q_value: float = math.nan

    @property
    def claimed(self) -> ScopedInterval:
        """The interval of the widest scope that has one."""
        return widest_scope(self.scopes)

    @property
    def verdict(self) -> str:
        """`higher`, `lower` or `undecided`: by the interval in the widest scope and, for a headline, only if its
        adjusted p-value is below 0.05 as well."""
        if self.is_headline and not self.adjusted_p_value < SIGNIFICANCE:
            return UNDECIDED
        return verdict_of(self.claimed.low, self.claimed.high)

    @property
    def wider(self) -> tuple[ScopedInterval, ...]:
        """The scopes wider than the claimed one, none of which is testable."""
        return self.scopes[self.scopes.index(self.claimed) + 1 :]


def verdict_of(low: float, high: float) -> str:
    """Return what the interval of a difference decides: `higher`, `lower`, or `undecided`."""
    if low > 0:
        return HIGHER
    return LOWER if high < 0 else UNDECIDED
