"""Who is ahead in a ranking, of whom, and whether that may be claimed.

A lead is a pair of the ranking, judged with all its pairs. If the pair is also a headline of the page, such as a
self-supervised backbone and its supervised twin on one domain, both judgements must agree to it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.study.inference.backbone_ranking.ranking import RankedBackbone, RankedPair, Ranking
from hf_sslgen.study.inference.judgement import UNDECIDED, verdict_of
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import headline_accuracies, headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

Place = tuple[str, str, str, str, str]
"""First and second backbone, domain, protocol and label budget."""


@dataclass(frozen=True)
class Lead:
    """The accuracy of one backbone minus that of another.

    Attributes:
        low, high: 95% interval in the claimed scope, not adjusted; NaN with a `reason` if there is none.
        is_claimed: whether the two are told apart, after adjustment.
        detectable: the true difference that this design would find with probability 0.8.
    """

    first: str
    second: str
    value: float
    low: float
    high: float
    scope: str
    is_claimed: bool
    detectable: float
    reason: str = ""

    @property
    def has_interval(self) -> bool:
        return not math.isnan(self.low)

    @property
    def is_ahead(self) -> bool:
        """Whether `first` is told apart from `second` and above it."""
        return self.is_claimed and self.value > 0

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval alone would tell the two apart."""
        return verdict_of(self.low, self.high) != UNDECIDED


def trained_of(ranking: Ranking) -> list[RankedBackbone]:
    """Return the backbones of a ranking but its untrained controls, the best first."""
    return [each for each in ranking.backbones if each.contestant.objective != UNTRAINED]


def best_control(ranking: Ranking) -> RankedBackbone | None:
    """Return the most accurate untrained control, if there is one."""
    return next((each for each in ranking.backbones if each.contestant.objective == UNTRAINED), None)


class Leads:
    """The leads in a study's rankings."""

    def __init__(self, results: StudyResults) -> None:
        accuracies = headline_accuracies(results.targets, headline_metrics_of(results.cells))
        self._accuracies: Mapping[Place, TargetDifference] = {
            (d.first, d.second, d.domain, d.protocol, d.labels): d for d in accuracies
        }
        self._pairs: dict[int, Mapping[tuple[str, str], RankedPair]] = {}
        self._rankings = results.rankings

    def lead(self, ranking: Ranking, first: RankedBackbone, second: RankedBackbone) -> Lead:
        """Return the lead of one backbone over another of the same ranking; negative if it is behind."""
        if id(ranking) not in self._pairs:
            self._pairs[id(ranking)] = {(pair.first, pair.second): pair for pair in ranking.pairs}
        names = first.contestant.name, second.contestant.name
        pair = self._pairs[id(ranking)].get(names)
        sign = 1.0
        if pair is None:
            pair, sign = self._pairs[id(ranking)][names[1], names[0]], -1.0
        low, high = sorted((sign * pair.interval.low, sign * pair.interval.high))
        return Lead(
            *names,
            sign * pair.value,
            low,
            high,
            pair.interval.scope,
            pair.verdict != UNDECIDED and self._headline_agrees(ranking, names),
            pair.interval.minimum_detectable_difference,
            self._reason(ranking, names, pair),
        )

    def is_ahead_of_all(self, ranking: Ranking, best: RankedBackbone, others: Sequence[RankedBackbone]) -> bool:
        """Return whether a backbone is told apart from all others, and above them."""
        leads = [self.lead(ranking, best, other) for other in others if other is not best]
        return bool(leads) and all(lead.is_ahead for lead in leads)

    def beats_control(self, ranking: Ranking, each: RankedBackbone) -> bool:
        """Return whether a backbone is shown to be above the untrained control of its ranking.

        Over domains, it is enough to be above it on average and shown to be so on one of them, because few domains
        show little. Without an interval, it is enough to be above it, as for cautions. True if there is no control.
        """
        control = best_control(ranking)
        if control is None:
            return True
        lead = self.lead(ranking, each, control)
        if not lead.has_interval:
            return lead.value > 0
        if lead.is_ahead or not (ranking.is_over_domains and lead.value > 0):
            return lead.is_ahead
        names = each.contestant.name, control.contestant.name
        return any(self._is_ahead(other, *names) for other in self.on_domains(ranking))

    def on_domains(self, ranking: Ranking) -> list[Ranking]:
        """Return the rankings on each of the domains that a ranking averages over."""
        setting = ranking.protocol, ranking.labels
        found = [r for r in self._rankings if (r.protocol, r.labels) == setting and not r.is_over_domains]
        return [r for r in found if r.domains[0] in ranking.domains]

    def _is_ahead(self, ranking: Ranking, first: str, second: str) -> bool:
        places = {each.contestant.name: each for each in ranking.backbones}
        return {first, second} <= places.keys() and self.lead(ranking, places[first], places[second]).is_ahead

    def _difference(self, ranking: Ranking, names: tuple[str, str]) -> TargetDifference | None:
        """Return the difference between two backbones if they are compared by more than the ranking."""
        if ranking.is_over_domains:
            return None
        place = ranking.domains[0], ranking.protocol, ranking.labels
        return self._accuracies.get((*names, *place)) or self._accuracies.get((names[1], names[0], *place))

    def _headline_agrees(self, ranking: Ranking, names: tuple[str, str]) -> bool:
        found = self._difference(ranking, names)
        return found is None or not found.judgement.is_headline or found.verdict != UNDECIDED

    def _reason(self, ranking: Ranking, names: tuple[str, str], pair: RankedPair) -> str:
        """Return why there is no interval; a difference knows it more precisely than a scope does."""
        if not math.isnan(pair.interval.low):
            return ""
        here = ranking.domains[0], ranking.protocol, ranking.labels
        alike = [
            d.reason
            for (*_, domain, protocol, labels), d in self._accuracies.items()
            if (domain, protocol, labels) == here
        ]
        found = self._difference(ranking, names)
        return (found.reason if found is not None else "") or next(filter(None, alike), pair.interval.reason)
