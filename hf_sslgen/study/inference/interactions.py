"""Inference to similar against different targets: whether a difference depends on the group."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.metrics import interaction
from hf_sslgen.metrics.run_variance import contrast_variance
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import UNKNOWN, scoped_domain_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped
from hf_sslgen.study.inference.target_groups import (
    MIN_DOMAINS,
    TOO_FEW,
    Comparison,
    comparison_of,
    if_enough_domains,
    over_targets,
    too_few_domains,
    unshared_runs,
    values_by_run,
)


@dataclass(frozen=True)
class Interaction:
    """The difference on different targets minus that on similar ones, with Welch's t interval."""

    comparison: Comparison
    value: float
    low: float
    high: float
    n_similar: int
    n_different: int
    judgement: Judgement
    reason: str = ""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `undecided`, or `too few domains`."""
        return self.judgement.verdict if min(self.n_similar, self.n_different) >= MIN_DOMAINS else TOO_FEW


def interactions(targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]) -> list[Interaction]:
    """Compare differences on different targets with those on similar ones, if there are both.

    Args:
        targets, headline_metrics: as for `group_differences`.
    """
    chosen = over_targets(targets, headline_metrics)
    found = []
    for comparison, members in grouped(chosen, [comparison_of(d) for d in chosen]).items():
        similar, different = ([d for d in members if d.group == group] for group in ("similar", "different"))
        if similar and different:
            found.append(_interaction(comparison, similar, different))
    return found


def _interaction(
    comparison: Comparison, similar: Sequence[TargetDifference], different: Sequence[TargetDifference]
) -> Interaction:
    result = interaction([d.value for d in different], [d.value for d in similar])
    fewest = min(len(similar), len(different))
    of_similar, of_different = values_by_run(similar), values_by_run(different)
    pretraining, unshared = UNKNOWN, unshared_runs([d.run_values for d in (*similar, *different)])
    if of_similar is not None and of_different is not None and fewest > 1 and not unshared:
        pretraining = contrast_variance(of_different, of_similar)
    scopes = scoped_domain_intervals(
        result.value,
        if_enough_domains(result, fewest),
        pretraining,
        result.degrees_of_freedom,
        too_few_domains(fewest),
        unshared,
    )
    return Interaction(
        comparison,
        result.value,
        result.low,
        result.high,
        len(similar),
        len(different),
        Judgement(scopes),
        result.reason,
    )
