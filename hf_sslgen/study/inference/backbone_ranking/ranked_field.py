"""Contestants that were all compared with each other: on one domain, or averaged over the domains of a study."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.metrics.run_variance import crossed_variance
from hf_sslgen.metrics.target_inference import target_mean
from hf_sslgen.study.inference.backbone_ranking.domain_ranking import (
    MIN_CONTESTANTS,
    DomainRanking,
    PairDifference,
    Standing,
    within_shares,
)
from hf_sslgen.study.inference.scopes import UNKNOWN, ScopedInterval, scoped_domain_intervals, widest_scope
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, if_enough_domains, too_few_domains


@dataclass(frozen=True)
class Field:
    """Contestants that were all compared with each other.

    Attributes:
        accuracies: by domain and contestant, shape (T, K).
        of_pairs: each pair's differences by domain.
    """

    domains: tuple[str, ...]
    metric: str
    standings: Sequence[Standing]
    pairs: Sequence[PairDifference]
    accuracies: NDArray[np.float64]
    of_pairs: Sequence[Sequence[float]]


def on_domain(ranked: DomainRanking) -> Field:
    """Return the contestants of one domain."""
    accuracies = np.array([[standing.value for standing in ranked.standings]])
    of_pairs = [[pair.value] for pair in ranked.pairs]
    return Field((ranked.domain,), ranked.metric, ranked.standings, ranked.pairs, accuracies, of_pairs)


def over_domains(domains: Sequence[DomainRanking]) -> list[Field]:
    """Return the contestants that were measured on all domains; nothing if these or the domains are too few."""
    if len(domains) < MIN_DOMAINS:
        return []
    by_contestant = [{standing.contestant: standing for standing in ranked.standings} for ranked in domains]
    everywhere = [each for each in by_contestant[0] if all(each in standings for standings in by_contestant)]
    if len(everywhere) < MIN_CONTESTANTS:
        return []
    found = {each: [standings[each] for standings in by_contestant] for each in everywhere}
    by_pair = [{(pair.first, pair.second): pair.value for pair in ranked.pairs} for ranked in domains]
    of_pairs = {pair: [values[pair] for values in by_pair] for pair in itertools.combinations(everywhere, 2)}
    return [
        Field(
            tuple(ranked.domain for ranked in domains),
            HEADLINE_ACCURACY,
            [_standing_over_domains(standings) for standings in found.values()],
            [_pair_over_domains(values, found[a], found[b]) for (a, b), values in of_pairs.items()],
            np.array([[standing.value for standing in standings] for standings in found.values()]).T,
            list(of_pairs.values()),
        )
    ]


def _standing_over_domains(standings: Sequence[Standing]) -> Standing:
    contestant, values = standings[0].contestant, [standing.value for standing in standings]
    by_run = np.array([standing.of_runs for standing in standings]) if contestant.are_runs else None
    return Standing(contestant, float(np.mean(values)), within_shares(_interval_over_domains(values, by_run)), ())


def _pair_over_domains(
    values: Sequence[float], first: Sequence[Standing], second: Sequence[Standing]
) -> PairDifference:
    a, b = first[0].contestant, second[0].contestant
    by_run = None
    if a.are_runs and b.are_runs:
        by_run = np.array([np.subtract(x.of_runs, y.of_runs) for x, y in zip(first, second, strict=True)])
    return PairDifference(a, b, float(np.mean(values)), _interval_over_domains(values, by_run))


def _interval_over_domains(values: Sequence[float], by_run: NDArray[np.float64] | None) -> ScopedInterval:
    mean = target_mean(values)
    pretraining = UNKNOWN if by_run is None else crossed_variance(by_run)
    over_domains, reason = if_enough_domains(mean, mean.n), too_few_domains(mean.n)
    return widest_scope(scoped_domain_intervals(mean.value, over_domains, pretraining, mean.n - 1, reason))
