"""Many questions on one page: headline verdicts are one family, and everything else is exploratory.

The headlines are the numbers that answer the question, by comparison and group: over the domains of a group if there
are enough, on each domain otherwise, and between the groups. They are adjusted together by Holm (1979), which needs no
assumption about their dependence. All other differences get q-values (Benjamini and Hochberg 1995).

A confounded comparison does not answer whether self-supervision is better, so it is never a headline, unless a study
states the pairs that it asks about. Confounded differences get q-values of their own, so that verdicts on twins do not
depend on what else a study compares.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy

from hf_sslgen.metrics import holm
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, tested_numbers
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.interactions import Interaction
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, Comparison, GroupDifference, headline_accuracies


@dataclass(frozen=True)
class Family:
    """The differences of a page, judged together."""

    targets: tuple[TargetDifference, ...]
    groups: tuple[GroupDifference, ...]
    interactions: tuple[Interaction, ...]


def is_answer(number: Comparison | TargetDifference) -> bool:
    """Return whether a number answers the question: invariances do only for encoders as published."""
    return (number.metric, number.transform) in tested_numbers() and (
        not number.transform or (number.stage == PRETRAINED_STAGE and number.protocol == PRETRAINED_PROTOCOL)
    )


def judge_together(
    targets: Sequence[TargetDifference],
    groups: Sequence[GroupDifference],
    interactions: Sequence[Interaction],
    headline_metrics: Mapping[str, str],
    are_stated: bool = False,
) -> Family:
    """Judge all differences of a page together.

    Args:
        targets, groups, interactions: the same study's.
        headline_metrics: the kind of accuracy used for each domain.
        are_stated: whether the study states the pairs to compare, so that confounded ones are headlines too.
    """

    def may_be_headline(comparison: Comparison) -> bool:
        return is_answer(comparison) and (are_stated or not comparison.confounded_by)

    accuracies = {id(d) for d in headline_accuracies(targets, headline_metrics)}
    names = [{_name(d)} | ({_name(d, HEADLINE_ACCURACY)} if id(d) in accuracies else set()) for d in targets]
    headlines = {
        _name(member)
        for group in groups
        if group.n < MIN_DOMAINS and may_be_headline(group.comparison)
        for member in group.members
    }
    over_domains: list[tuple[str, GroupDifference | Interaction]] = [(g.group, g) for g in groups]
    over_domains += [("", i) for i in interactions]
    repeated = {index + len(targets): other + len(targets) for index, other in _repeated(over_domains).items()}
    judged = _adjusted(
        [
            *(replace(d.judgement, is_headline=bool(of & headlines)) for d, of in zip(targets, names, strict=True)),
            *(replace(g.judgement, is_headline=g.n >= MIN_DOMAINS and may_be_headline(g.comparison)) for g in groups),
            *(
                replace(
                    i.judgement,
                    is_headline=min(i.n_similar, i.n_different) >= MIN_DOMAINS and may_be_headline(i.comparison),
                )
                for i in interactions
            ),
        ],
        repeated,
        [
            *(bool(d.confounded_by) for d in targets),
            *(bool(g.comparison.confounded_by) for g in groups),
            *(bool(i.comparison.confounded_by) for i in interactions),
        ],
    )
    of_targets = judged[: len(targets)]
    of_groups, of_interactions = judged[len(targets) :][: len(groups)], judged[len(targets) + len(groups) :]
    by_name = {name: judgement for of, judgement in zip(names, of_targets, strict=True) for name in of}
    return Family(
        tuple(replace(d, judgement=judgement) for d, judgement in zip(targets, of_targets, strict=True)),
        tuple(
            replace(
                g,
                judgement=judgement,
                members=tuple(replace(d, judgement=by_name[_name(d)]) for d in g.members),
            )
            for g, judgement in zip(groups, of_groups, strict=True)
        ),
        tuple(replace(i, judgement=judgement) for i, judgement in zip(interactions, of_interactions, strict=True)),
    )


def _repeated(estimates: Sequence[tuple[str, GroupDifference | Interaction]]) -> dict[int, int]:
    """Return which headline accuracy a kind of accuracy repeats, because it is the one used on all its domains.

    Args:
        estimates: with their groups.

    Returns:
        Indices of headline accuracies by those of the estimates that repeat them.
    """

    def question(group: str, e: GroupDifference | Interaction) -> tuple[object, ...]:
        return group, replace(e.comparison, metric=HEADLINE_ACCURACY), e.value, e.low, e.high

    headlines = {
        question(group, e): index
        for index, (group, e) in enumerate(estimates)
        if e.comparison.metric == HEADLINE_ACCURACY
    }
    return {
        index: headlines[question(group, e)]
        for index, (group, e) in enumerate(estimates)
        if e.comparison.metric != HEADLINE_ACCURACY and question(group, e) in headlines
    }


def _name(d: TargetDifference, metric: str = "") -> tuple[str, ...]:
    setting = d.domain, d.protocol, d.labels, d.stage, d.transform, d.severity
    return metric or d.metric, d.first, d.second, d.source, *setting


def _adjusted(
    judgements: Sequence[Judgement], repeated: Mapping[int, int], are_confounded: Sequence[bool]
) -> list[Judgement]:
    """Adjust the headlines among the judgements by Holm and give the others q-values, confounded ones apart.

    Those without a p-value have no verdict and do not count. Those that repeat another count with it.
    """
    p_values = np.array([judgement.claimed.p_value for judgement in judgements])
    p_values[list(repeated)] = math.nan
    headline = np.array([judgement.is_headline for judgement in judgements], dtype=bool)
    confounded = np.array(are_confounded, dtype=bool)
    adjusted_p_values, q_values = np.full(len(judgements), math.nan), np.full(len(judgements), math.nan)
    for values, members, adjust in (
        (adjusted_p_values, headline & ~np.isnan(p_values), holm),
        (q_values, ~headline & ~confounded & ~np.isnan(p_values), scipy.stats.false_discovery_control),
        (q_values, ~headline & confounded & ~np.isnan(p_values), scipy.stats.false_discovery_control),
    ):
        if members.any():
            values[members] = adjust(p_values[members])
    found = [
        replace(judgement, adjusted_p_value=float(p), q_value=float(q))
        for judgement, p, q in zip(judgements, adjusted_p_values, q_values, strict=True)
    ]
    return [found[repeated.get(index, index)] for index in range(len(found))]
