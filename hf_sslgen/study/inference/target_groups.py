"""Inference from differences on targets to a group of targets."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.families import FAMILIES
from hf_sslgen.metrics import signed_rank_family, target_mean
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, tested_numbers
from hf_sslgen.metrics.defined import ROUNDING
from hf_sslgen.metrics.results import NO_INTERVAL, Interval
from hf_sslgen.metrics.run_variance import crossed_variance
from hf_sslgen.metrics.target_inference import InteractionResult, TargetMean
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import UNKNOWN, scoped_domain_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped
from hf_sslgen.zoo.backbone_registry import UNTRAINED

MIN_DOMAINS = 3
"""Fewer targets reveal nothing about others: for two, the t interval extends nine standard deviations to each side."""

TOO_FEW = "too few domains"
"""The verdict over fewer."""


@dataclass(frozen=True)
class Comparison:
    """A number of a contrast, to average over targets; `confounded_by` as in `Difference`."""

    metric: str
    first: str
    second: str
    source: str
    protocol: str
    labels: str
    stage: str
    transform: str
    first_objective: str
    second_objective: str
    confounded_by: str = ""


@dataclass(frozen=True)
class GroupDifference:
    """A difference averaged over the targets of one group, its `members`.

    `value` to `reason` come from `hf_sslgen.metrics.TargetMean`, the signed-rank p-values from
    `hf_sslgen.metrics.SignedRankResult`: NaN for a number that is not tested.
    """

    comparison: Comparison
    group: str
    members: tuple[TargetDifference, ...]
    value: float
    low: float
    high: float
    n: int
    standard_deviation: float
    effect_size: float
    probability_of_improvement: float
    judgement: Judgement
    reason: str = ""
    signed_rank_p_value: float = math.nan
    adjusted_signed_rank_p_value: float = math.nan
    signed_rank_reason: str = ""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, `undecided`, or `too few domains`."""
        return self.judgement.verdict if self.n >= MIN_DOMAINS else TOO_FEW

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(member.domain for member in self.members)


def group_differences(
    targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]
) -> list[GroupDifference]:
    """Average every number of every contrast with a supervised backbone over the targets of each group.

    Single transforms are left out, because domains allow different ones and family means represent them. Targets on
    which the number is undefined are left out too.

    Args:
        targets: from `hf_sslgen.study.inference.seed_averages.target_differences`.
        headline_metrics: the kind of accuracy used for each domain.
    """
    chosen = over_targets(targets, headline_metrics)
    groups = grouped(chosen, [(comparison_of(d), d.group) for d in chosen])
    estimates = [_estimate(comparison, group, members) for (comparison, group), members in groups.items()]
    tested = [
        index for index, e in enumerate(estimates) if (e.comparison.metric, e.comparison.transform) in tested_numbers()
    ]
    families = grouped(tested, [_family(estimates[index]) for index in tested])
    for family in families.values():
        results = signed_rank_family([[d.value for d in estimates[index].members] for index in family])
        for index, result in zip(family, results, strict=True):
            estimates[index] = replace(
                estimates[index],
                signed_rank_p_value=result.p_value,
                adjusted_signed_rank_p_value=result.adjusted_p_value,
                signed_rank_reason=result.reason,
            )
    return estimates


def headline_metrics_of(cells: Sequence[Cell]) -> dict[str, str]:
    """Return the kind of accuracy used for each domain."""
    return {cell.domain: cell.headline_metric for cell in cells}


def headline_accuracies(
    targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]
) -> list[TargetDifference]:
    """Return the differences in the kind of accuracy used for each domain.

    Plain accuracy is used where a protocol has no other kind, as in few-shot episodes with balanced classes.
    """
    measured = {(_setting(d), d.metric) for d in targets}
    chosen = []
    for d in targets:
        wanted = headline_metrics.get(d.domain, "accuracy")
        if d.metric == (wanted if (_setting(d), wanted) in measured else "accuracy"):
            chosen.append(d)
    return chosen


def _setting(d: TargetDifference) -> tuple[str, ...]:
    return d.first, d.second, d.source, d.domain, d.protocol, d.labels


def over_targets(targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]) -> list[TargetDifference]:
    """Return the differences from supervised backbones that are averaged over targets, headline accuracies among
    them under that name."""
    headlines = [replace(d, metric=HEADLINE_ACCURACY) for d in headline_accuracies(targets, headline_metrics)]
    return [
        d
        for d in (*headlines, *targets)
        if d.second_objective != UNTRAINED
        and not d.severity
        and d.transform in ("", *FAMILIES)
        and not math.isnan(d.value)
    ]


def comparison_of(d: TargetDifference) -> Comparison:
    """Return what is compared, whatever the target."""
    return Comparison(
        d.metric,
        d.first,
        d.second,
        d.source,
        d.protocol,
        d.labels,
        d.stage,
        d.transform,
        d.first_objective,
        d.second_objective,
        d.confounded_by,
    )


def _family(e: GroupDifference) -> tuple[str, ...]:
    comparison = e.comparison
    contrast = comparison.first, comparison.second, comparison.source
    return *contrast, comparison.protocol, comparison.labels, e.group


def _estimate(comparison: Comparison, group: str, members: Sequence[TargetDifference]) -> GroupDifference:
    mean = target_mean([d.value for d in members])
    by_run = values_by_run(members)
    pretraining = UNKNOWN if by_run is None or len(members) < 2 else crossed_variance(by_run)
    scopes = scoped_domain_intervals(
        mean.value,
        if_enough_domains(mean, mean.n),
        pretraining,
        mean.n - 1,
        too_few_domains(mean.n),
        unshared_runs([d.run_values for d in members]),
    )
    return GroupDifference(
        comparison,
        group,
        tuple(members),
        value=mean.value,
        low=mean.low,
        high=mean.high,
        n=mean.n,
        standard_deviation=mean.standard_deviation,
        effect_size=mean.effect_size,
        probability_of_improvement=mean.probability_of_improvement,
        judgement=Judgement(scopes),
        reason=mean.reason,
    )


def values_by_run(members: Sequence[TargetDifference]) -> NDArray[np.float64] | None:
    """Return differences by domain and pretraining run, (T, R), or None if the domains do not share their runs."""
    runs = sorted(members[0].run_values)
    if not runs or unshared_runs([d.run_values for d in members]):
        return None
    return np.array([[d.run_values[run] for run in runs] for d in members])


def unshared_runs(runs: Sequence[Iterable[int]]) -> str:
    """Return why the pretraining runs of several domains can't be crossed with them; empty if all have the same."""
    if len({frozenset(of_domain) for of_domain in runs}) == 1:
        return ""
    return "not testable: not all domains have the same pretraining runs"


def if_enough_domains(estimate: TargetMean | InteractionResult, num_domains: int) -> Interval:
    """Return the interval over domains, or none if they are too few.

    Nor is there one if differences are all alike, as in accuracies of few images: they do not tell how domains vary.
    """
    varies = estimate.high - estimate.low > ROUNDING * abs(estimate.value)
    return Interval(estimate.low, estimate.high) if num_domains >= MIN_DOMAINS and varies else NO_INTERVAL


def too_few_domains(num_domains: int) -> str:
    """Return why there is no interval over so many domains."""
    if num_domains >= MIN_DOMAINS:
        return "the differences do not vary between domains"
    domains = "1 domain" if num_domains == 1 else f"{num_domains} domains"
    return f"not testable: {domains}; {MIN_DOMAINS} are needed"
