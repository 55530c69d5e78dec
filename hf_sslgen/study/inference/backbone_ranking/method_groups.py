"""Self-supervised against supervised backbones as groups, with methods as a sample of their kind.

The unit is the method: an objective, averaged over its pretraining runs where these state their seeds, or a backbone
that states none; the same weights in two libraries are one. At least three on each side are needed to know how methods
vary. Only methods of one source and one architecture are compared, and none whose source is not stated.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_sslgen.metrics.rank_statistics import MIN_METHODS, compare_method_groups
from hf_sslgen.metrics.run_variance import interval_p_value, widened_interval
from hf_sslgen.study.inference.backbone_ranking.contestants import Contestant
from hf_sslgen.study.inference.judgement import verdict_of
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, too_few_domains


@dataclass(frozen=True)
class MethodContrast:
    """Mean accuracy of the self-supervised methods of one source minus that of the supervised ones, over domains.

    Attributes:
        first, second: the methods.
        num_domains: on which all of them were measured.
        low, high: 95% interval over methods and domains; NaN with a `reason` if it is not testable.
        p_value: two-sided, not adjusted.
    """

    source: str
    first: tuple[str, ...]
    second: tuple[str, ...]
    num_domains: int
    value: float
    low: float
    high: float
    p_value: float
    reason: str = ""

    @property
    def verdict(self) -> str:
        return verdict_of(self.low, self.high)


def contrast_methods(accuracies: Mapping[Contestant, Sequence[float]]) -> tuple[MethodContrast, ...]:
    """Compare the two groups of each source and architecture that has both.

    Args:
        accuracies: of each contestant on the same domains.
    """
    stated = [contestant for contestant in accuracies if contestant.source]
    contrasts = []
    for (source, _), members in grouped(stated, [(each.source, each.kind) for each in stated]).items():
        sides = [_methods([m for m in members if m.role == role], accuracies) for role in ("ssl", "supervised")]
        if all(sides):
            contrasts.append(_contrast(source, *sides))
    return tuple(contrasts)


def _methods(
    members: Sequence[Contestant], accuracies: Mapping[Contestant, Sequence[float]]
) -> dict[str, Sequence[float]]:
    """Return the accuracies of each method by domain.

    Runs that are ranked separately are still one method, and so are the same weights in two libraries.
    """
    methods = grouped(members, [m.objective if m.states_seed else m.weights for m in members])
    return {
        runs[0].objective if runs[0].states_seed else runs[0].name: np.mean(
            [accuracies[m] for m in runs], axis=0
        ).tolist()
        for runs in methods.values()
    }


def _contrast(source: str, first: dict[str, Sequence[float]], second: dict[str, Sequence[float]]) -> MethodContrast:
    a, b = (np.array(list(side.values())).T for side in (first, second))
    found = compare_method_groups(a, b)
    named = source, tuple(first), tuple(second), len(a), found.value
    reason = _not_testable(len(first), len(second), len(a))
    if reason:
        return MethodContrast(*named, math.nan, math.nan, math.nan, reason)
    between = found.value, found.over_domains, found.methods, len(a) - 1.0
    return MethodContrast(*named, *widened_interval(*between), interval_p_value(*between))


def _not_testable(num_first: int, num_second: int, num_domains: int) -> str:
    for count, kind in ((num_first, "self-supervised"), (num_second, "supervised")):
        if count < MIN_METHODS:
            methods = f"one {kind} method" if count == 1 else f"{count} {kind} methods"
            return f"not testable: {methods}; {MIN_METHODS} are needed"
    return too_few_domains(num_domains) if num_domains < MIN_DOMAINS else ""
