"""Inference from differences on targets to a group of targets, and to similar against different targets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from hf_sslgen.analysis.families import FAMILIES
from hf_sslgen.metrics import interaction, signed_rank_family, target_mean
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, tested_numbers
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.cautions import Caution, find_cautions
from hf_sslgen.study.inference.contrasts import PairNames, compare_all
from hf_sslgen.study.inference.differences import Difference, verdict_of
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped, target_differences
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class Scope:
    """A number of a contrast, to average over targets."""

    metric: str
    first: str
    second: str
    source: str
    protocol: str
    labels: str
    stage: str
    transform: str


@dataclass(frozen=True)
class GroupDifference:
    """A difference averaged over the targets of one group, its `members`.

    `value` to `reason` come from `hf_sslgen.metrics.TargetMean`, the p-values from
    `hf_sslgen.metrics.SignedRankResult`: NaN for a number that is not tested.
    """

    scope: Scope
    group: str
    members: tuple[TargetDifference, ...]
    value: float
    low: float
    high: float
    n: int
    standard_deviation: float
    effect_size: float
    probability_of_improvement: float
    reason: str = ""
    p_value: float = math.nan
    adjusted_p_value: float = math.nan
    p_value_reason: str = ""

    @property
    def verdict(self) -> str:
        return verdict_of(self.low, self.high)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(member.domain for member in self.members)


@dataclass(frozen=True)
class Interaction:
    """The difference on different targets minus that on similar ones, with Welch's t interval."""

    scope: Scope
    value: float
    low: float
    high: float
    n_similar: int
    n_different: int
    reason: str = ""

    @property
    def verdict(self) -> str:
        return verdict_of(self.low, self.high)


@dataclass(frozen=True)
class StudyResults:
    """Everything that a report shows, each level computed from the one before."""

    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    targets: tuple[TargetDifference, ...]
    groups: tuple[GroupDifference, ...]
    interactions: tuple[Interaction, ...]
    cautions: tuple[Caution, ...] = ()


def infer(cells: Sequence[Cell], pairs: PairNames | None = None) -> StudyResults:
    """Compare the cells of a study and infer over its targets.

    Args:
        cells, pairs: as for `hf_sslgen.study.inference.contrasts.compare_all`.

    Raises:
        InputError: two cells have the same backbone, domain, protocol, labels and seed.
    """
    differences = compare_all(cells, pairs)
    targets = target_differences(cells, differences)
    headline_metrics = headline_metrics_of(cells)
    return StudyResults(
        tuple(cells),
        tuple(differences),
        tuple(targets),
        tuple(group_differences(targets, headline_metrics)),
        tuple(interactions(targets, headline_metrics)),
        find_cautions(cells, headline_accuracies(targets, headline_metrics)),
    )


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
    chosen = _over_targets(targets, headline_metrics)
    groups = grouped(chosen, [(_scope(d), d.group) for d in chosen])
    estimates = [_estimate(scope, group, members) for (scope, group), members in groups.items()]
    tested = [index for index, e in enumerate(estimates) if (e.scope.metric, e.scope.transform) in tested_numbers()]
    families = grouped(tested, [_family(estimates[index]) for index in tested])
    for family in families.values():
        results = signed_rank_family([[d.value for d in estimates[index].members] for index in family])
        for index, result in zip(family, results, strict=True):
            estimates[index] = replace(
                estimates[index],
                p_value=result.p_value,
                adjusted_p_value=result.adjusted_p_value,
                p_value_reason=result.reason,
            )
    return estimates


def interactions(targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]) -> list[Interaction]:
    """Compare differences on different targets with those on similar ones, if there are both.

    Args:
        targets, headline_metrics: as for `group_differences`.
    """
    chosen = _over_targets(targets, headline_metrics)
    found = []
    for scope, members in grouped(chosen, [_scope(d) for d in chosen]).items():
        similar, different = ([d.value for d in members if d.group == group] for group in ("similar", "different"))
        if similar and different:
            result = interaction(different, similar)
            found.append(
                Interaction(scope, result.value, result.low, result.high, result.n_b, result.n_a, result.reason)
            )
    return found


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


def _over_targets(targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]) -> list[TargetDifference]:
    headlines = [replace(d, metric=HEADLINE_ACCURACY) for d in headline_accuracies(targets, headline_metrics)]
    return [
        d
        for d in (*headlines, *targets)
        if d.second_objective != UNTRAINED
        and not d.severity
        and d.transform in ("", *FAMILIES)
        and not math.isnan(d.value)
    ]


def _scope(d: TargetDifference) -> Scope:
    return Scope(d.metric, d.first, d.second, d.source, d.protocol, d.labels, d.stage, d.transform)


def _family(e: GroupDifference) -> tuple[str, ...]:
    return e.scope.first, e.scope.second, e.scope.source, e.scope.protocol, e.scope.labels, e.group


def _estimate(scope: Scope, group: str, members: Sequence[TargetDifference]) -> GroupDifference:
    mean = target_mean([d.value for d in members])
    return GroupDifference(
        scope,
        group,
        tuple(members),
        value=mean.value,
        low=mean.low,
        high=mean.high,
        n=mean.n,
        standard_deviation=mean.standard_deviation,
        effect_size=mean.effect_size,
        probability_of_improvement=mean.probability_of_improvement,
        reason=mean.reason,
    )
