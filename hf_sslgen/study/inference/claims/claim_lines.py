"""One test of a claim: the estimates that decide it, and its verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_sslgen.metrics.target_inference import SIGNIFICANCE
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS, ScopedInterval, widest_scope
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS
from hf_sslgen.study.published_claims import Claim

SUPPORTED = "supported"
CONTRADICTED = "contradicted"
UNDECIDED = "undecided"
NOT_TESTABLE = "not testable here"

BACKBONES = "backbones"
"""The scope of a correlation: backbones and domains like these."""

SCOPES = (WEIGHTS, TRAINING, PRETRAINING, BACKBONES)
"""From the narrowest to the widest."""


@dataclass(frozen=True)
class ClaimPart:
    """An estimate that a claim makes a statement about.

    Attributes:
        metric: name in the catalogue.
        expected: the direction that the claim states, `higher` or `lower` than zero.
        group: of the domains; empty if they are of several groups.
        domains: a single one, or at least `MIN_DOMAINS`, over which the estimate is made.
        value: a difference, an interaction, a slope or a correlation.
        scopes: its interval in each scope, the narrowest first.
        num_backbones: over which a correlation is made; 0 for other estimates.
    """

    metric: str
    expected: str
    group: str
    domains: tuple[str, ...]
    value: float
    scopes: tuple[ScopedInterval, ...]
    num_backbones: int = 0

    def within(self, scope: str) -> ScopedInterval:
        """Return the interval in a scope, or in the narrowest one that the estimate has."""
        return next((each for each in self.scopes if each.scope == scope), self.scopes[0])

    @property
    def agrees(self) -> bool:
        """Whether the estimate has the expected direction."""
        return self.value > 0 if self.expected == "higher" else self.value < 0


@dataclass(frozen=True)
class ClaimLine:
    """A claim tested on one contrast of objectives, or over all backbones, under one protocol and label budget.

    Attributes:
        first, second, source: the contrast, as in `Comparison`; empty for a correlation.
        with_protocol, with_labels: those of the number with which ranks are correlated, if they differ from `protocol`
            and `labels`.
        parts: what must hold together.
        scope: the widest scope that all parts can be tested in.
        untested: why wider scopes can't be tested.
        reason: why the claim is not testable here; empty if it is.
        p_value: see `decided`; `adjusted_p_value` is Holm-adjusted over the distinct tests of all requested claims.
    """

    claim: Claim
    first: str = ""
    second: str = ""
    source: str = ""
    protocol: str = ""
    labels: str = ""
    with_protocol: str = ""
    with_labels: str = ""
    parts: tuple[ClaimPart, ...] = ()
    scope: str = ""
    untested: str = ""
    reason: str = ""
    p_value: float = math.nan
    adjusted_p_value: float = math.nan
    favours: bool = False

    @property
    def verdict(self) -> str:
        """`supported`, `contradicted`, `undecided`, or `not testable here`."""
        if self.reason:
            return NOT_TESTABLE
        if not self.adjusted_p_value < SIGNIFICANCE:
            return UNDECIDED
        return SUPPORTED if self.favours else CONTRADICTED

    @property
    def over_domains(self) -> bool:
        """Whether the verdict applies to domains of the same kinds, and not only to these domains."""
        return all(len(part.domains) >= MIN_DOMAINS for part in self.parts)

    @property
    def question(self) -> tuple[object, ...]:
        """What is tested, whoever claims it: two claims may ask the same."""
        numbers = tuple(self.claim.numbers.items()), self.claim.with_number
        contrast = self.first, self.second, self.source
        return self.claim.test, numbers, contrast, self.protocol, self.labels, self.with_protocol, self.with_labels


def judged(line: ClaimLine) -> ClaimLine:
    """Return the line with its scope, p-value and direction, or with the reason why it is not testable.

    The scope is the widest in which every part has an interval.
    """
    without = [part for part in line.parts if math.isnan(widest_scope(part.scopes).low)]
    if without:
        reasons = dict.fromkeys(f"{_place(part)}{widest_scope(part.scopes).reason}" for part in without)
        return replace(line, reason="; ".join(reasons).replace("not testable: ", ""))
    claimed = [widest_scope(part.scopes).scope for part in line.parts]
    scope = min(claimed, key=SCOPES.index)
    narrowest = [part.scopes for part, widest in zip(line.parts, claimed, strict=True) if widest == scope]
    wider = [each for scopes in narrowest for each in Judgement(scopes).wider]
    untested = "; ".join(dict.fromkeys(f"{each.scope}: {each.reason}" for each in wider))
    p_value, favours = decided(line.parts, scope)
    return replace(line, scope=scope, untested=untested, p_value=p_value, favours=favours)


def decided(parts: Sequence[ClaimPart], scope: str) -> tuple[float, bool]:
    """Return the p-value of a claim that consists of several parts, and whether it supports the claim.

    A claim is supported if all parts hold (intersection-union test: the largest of their p-values counts, and one that
    points the other way counts as 1), and contradicted if any part is decided the other way (the smallest of those
    p-values, times the number of parts). Each is wrong in at most 2.5% of cases at a level of 5%, because p-values are
    two-sided and a wrong decision needs one particular direction.
    """
    p_values = [part.within(scope).p_value for part in parts]
    support = max(p if part.agrees else 1.0 for part, p in zip(parts, p_values, strict=True))
    against = min((p for part, p in zip(parts, p_values, strict=True) if not part.agrees), default=1.0)
    against = min(1.0, against * len(parts))
    return min(support, against), support < against


def _place(part: ClaimPart) -> str:
    return f"on {part.domains[0]}: " if len(part.domains) == 1 else ""
