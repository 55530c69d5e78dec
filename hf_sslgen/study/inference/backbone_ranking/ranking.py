"""Rank many backbones by accuracy: on each domain, and over the domains of a study if there are enough.

All pairs of a ranking are one family, adjusted by Shaffer's procedure, or by Holm's if not all of them have the
same scope, because equality is transitive only within one. `hf_sslgen.metrics.rank_statistics.tiers` says what a tier
is.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_sslgen.metrics.rank_statistics import AverageRanks, adjust_all_pairs, average_ranks, tiers
from hf_sslgen.metrics.target_inference import SIGNIFICANCE, holm, signed_rank_family
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.backbone_ranking.contestants import Contestant, entries_of, find_contestants
from hf_sslgen.study.inference.backbone_ranking.domain_ranking import rank_on_domain
from hf_sslgen.study.inference.backbone_ranking.method_groups import MethodContrast, contrast_methods
from hf_sslgen.study.inference.backbone_ranking.ranked_field import Field, on_domain, over_domains
from hf_sslgen.study.inference.backbone_ranking.tradeoffs import Front, Tradeoffs, front_of
from hf_sslgen.study.inference.judgement import UNDECIDED, verdict_of
from hf_sslgen.study.inference.scopes import ScopedInterval
from hf_sslgen.study.inference.seed_averages import grouped


@dataclass(frozen=True)
class RankedPair:
    """A difference in accuracy between two contestants, `first` minus `second`.

    Attributes:
        interval: in the widest testable scope, not adjusted.
        adjusted_p_value: over all pairs of the ranking; NaN if the pair has no interval.
        signed_rank_p_value: over domains, of the exact Wilcoxon test, Holm-adjusted over all pairs; NaN if it could
            reach 0.05 for none.
    """

    first: str
    second: str
    value: float
    interval: ScopedInterval
    adjusted_p_value: float
    signed_rank_p_value: float = math.nan

    @property
    def is_told_apart(self) -> bool:
        return self.adjusted_p_value < SIGNIFICANCE

    @property
    def verdict(self) -> str:
        """`higher`, `lower` or `undecided`, after adjustment."""
        return verdict_of(self.interval.low, self.interval.high) if self.is_told_apart else UNDECIDED


@dataclass(frozen=True)
class RankedBackbone:
    """A contestant's place.

    Attributes:
        tier: from 1, the best.
        value, interval: accuracy, with its interval in the widest testable scope.
        average_rank, rank_low, rank_high: over domains, with its 95% interval; NaN on one domain.
        alike: the contestants that it is not told apart from.
        is_on_front: whether no other is as good by all criteria and better by one.
    """

    contestant: Contestant
    tier: int
    value: float
    interval: ScopedInterval
    average_rank: float
    rank_low: float
    rank_high: float
    alike: tuple[str, ...]
    tradeoffs: Tradeoffs
    is_on_front: bool


@dataclass(frozen=True)
class Ranking:
    """The backbones under one protocol and label budget, the most accurate first.

    Attributes:
        domains: one, or those that were averaged.
        metric: the kind of accuracy; `headline_accuracy` over domains.
        pairs: every pair once.
        adjustment: `Shaffer` or `Holm`.
        friedman_p_value: that all rank alike over domains; NaN on one domain.
        methods: the self-supervised against the supervised methods, by source.
    """

    protocol: str
    labels: str
    domains: tuple[str, ...]
    metric: str
    backbones: tuple[RankedBackbone, ...]
    pairs: tuple[RankedPair, ...]
    adjustment: str
    friedman_p_value: float
    front: Front
    methods: tuple[MethodContrast, ...]

    @property
    def is_over_domains(self) -> bool:
        return len(self.domains) > 1


def rank_all(cells: Sequence[Cell], costs: Mapping[str, BackboneCost] | None = None) -> tuple[Ranking, ...]:
    """Rank the backbones of a study under each protocol and label budget: over its domains, then on each.

    Over domains, those backbones are ranked that were measured on all of them. A single one is not ranked.

    Args:
        cells: cells of one study, no two of one backbone, domain, protocol, label budget and seed.
        costs: of backbones by name, all measured at one place.
    """
    trained = [cell for cell in cells if cell.protocol != PRETRAINED_PROTOCOL]
    rankings = []
    for (protocol, labels), members in grouped(trained, [(c.protocol, c.labels) for c in trained]).items():
        contestants = find_contestants(members)
        found = []
        for of_domain in grouped(members, [cell.domain for cell in members]).values():
            ranked = rank_on_domain(entries_of(contestants, of_domain))
            if ranked is not None:
                found.append(ranked)
        rankings += [
            _ranking(members, protocol, labels, each, costs or {})
            for each in (*over_domains(found), *map(on_domain, found))
        ]
    return tuple(rankings)


def _ranking(
    cells: Sequence[Cell], protocol: str, labels: str, field: Field, costs: Mapping[str, BackboneCost]
) -> Ranking:
    contestants = [standing.contestant for standing in field.standings]
    pairs, adjustment = _adjusted(field)
    place = {contestant.name: index for index, contestant in enumerate(contestants)}
    adjusted = np.full((len(contestants), len(contestants)), math.nan)
    alike: dict[str, list[str]] = {contestant.name: [] for contestant in contestants}
    for pair in pairs:
        a, b = place[pair.first], place[pair.second]
        adjusted[a, b] = adjusted[b, a] = pair.adjusted_p_value
        if not pair.is_told_apart:
            alike[pair.first].append(pair.second)
            alike[pair.second].append(pair.first)
    values = [standing.value for standing in field.standings]
    unknown = np.full(len(contestants), math.nan)
    ranks = average_ranks(field.accuracies) if len(field.domains) > 1 else AverageRanks(unknown, unknown, unknown)
    here = [cell for cell in cells if cell.domain in field.domains]
    of_contestant = [[cell for cell in here if cell.backbone in each.backbones] for each in contestants]
    tradeoffs = [Tradeoffs.of(own, costs) for own in of_contestant]
    front = front_of(values, tradeoffs, [cell for own in of_contestant for cell in own])
    tier_of = tiers(values, adjusted)
    backbones = [
        RankedBackbone(
            standing.contestant,
            tier_of[index],
            standing.value,
            standing.interval,
            float(ranks.ranks[index]),
            float(ranks.low[index]),
            float(ranks.high[index]),
            tuple(alike[standing.contestant.name]),
            tradeoffs[index],
            front.is_on[index],
        )
        for index, standing in enumerate(field.standings)
    ]
    by_contestant = {each: field.accuracies[:, index].tolist() for index, each in enumerate(contestants)}
    return Ranking(
        protocol,
        labels,
        field.domains,
        field.metric,
        tuple(sorted(backbones, key=lambda each: -each.value)),
        tuple(pairs),
        adjustment,
        ranks.p_value,
        front,
        contrast_methods(by_contestant) if len(field.domains) > 1 else (),
    )


def _adjusted(field: Field) -> tuple[list[RankedPair], str]:
    """Adjust all pairs; one without an interval counts in the family but is never told apart."""
    p_values = np.array([pair.interval.p_value for pair in field.pairs])
    known, filled = ~np.isnan(p_values), np.where(np.isnan(p_values), 1.0, p_values)
    one_scope = len({pair.interval.scope for pair in field.pairs}) == 1
    adjusted = adjust_all_pairs(filled, len(field.standings)) if one_scope else holm(filled)
    signed_ranks = [each.adjusted_p_value for each in signed_rank_family(field.of_pairs)]
    pairs = [
        RankedPair(pair.first.name, pair.second.name, pair.value, pair.interval, p if is_known else math.nan, signed)
        for pair, p, is_known, signed in zip(field.pairs, adjusted.tolist(), known, signed_ranks, strict=True)
    ]
    return pairs, "Shaffer" if one_scope else "Holm"
