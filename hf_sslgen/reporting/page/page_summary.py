"""Prepare the summary of a page: differences by domain group, between the groups, and by target."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hf_sslgen.metrics.catalogue.metric import OVERALL_FAMILY
from hf_sslgen.metrics.catalogue.rows import numbers_shown_first, tested_numbers
from hf_sslgen.reporting.confound_words import NOT_A_TWIN
from hf_sslgen.reporting.page.fitting import fitted_interval
from hf_sslgen.reporting.page.page_tables import Entry, difference_entry, spread_entry
from hf_sslgen.reporting.page.spoken import Judged
from hf_sslgen.reporting.terminal_tables import differences_shown_first
from hf_sslgen.reporting.vocabulary import (
    MISSING,
    format_decimals,
    group_words,
    protocol_words,
    scope_words,
    transform_words,
    words,
)
from hf_sslgen.study.inference.interactions import Interaction
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import Comparison, GroupDifference, headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class Summary:
    """Tables over all domains; rows are plain values.

    Attributes:
        has_twins: whether any comparison is with a supervised twin.
        single: groups of one domain, which have no average.
    """

    has_twins: bool

    groups: list[dict[str, Any]]
    single: list[str]
    interactions: list[dict[str, Any]]
    targets: list[dict[str, Any]]
    untested: list[str]


def summary(results: StudyResults, names: Mapping[str, str]) -> Summary | None:
    """Return the summary of a study, or None if nothing is compared with a supervised backbone.

    Args:
        names: short names of backbones.
    """
    tested = sorted((g for g in results.groups if _is_tested(g.comparison)), key=_place)
    if not tested:
        return None
    targets = [d for d in results.targets if d.second_objective != UNTRAINED]
    further = numbers_shown_first().keys() - {metric for metric, _ in tested_numbers()}
    shown = [
        d for d in differences_shown_first(targets, headline_metrics_of(results.cells)) if d.metric not in further
    ]
    averaged = [g for g in tested if g.n > 1]
    return Summary(
        has_twins=any(not g.comparison.confounded_by for g in tested),
        groups=[_group_row(g, names) for g in averaged],
        single=list(dict.fromkeys(group_words(g.group) for g in tested if g.n == 1)),
        interactions=[
            _interaction_row(i, names)
            for i in results.interactions
            if _is_tested(i.comparison) and min(i.n_similar, i.n_different) > 1
        ],
        targets=[_target_row(d, names) for d in shown],
        untested=list(dict.fromkeys(g.signed_rank_reason for g in averaged if g.signed_rank_reason)),
    )


def _is_tested(comparison: Comparison) -> bool:
    return (comparison.metric, comparison.transform) in tested_numbers()


def _place(g: GroupDifference) -> tuple[int, int, str]:
    """Sort key: similar before different, then the order of the four measurements."""
    group = {"similar": 0, "different": 1}.get(g.group, 2)
    return group, tested_numbers().index((g.comparison.metric, g.comparison.transform)), g.group


def _number_name(metric: str, transform: str, stage: str) -> str:
    if not transform:
        return words(metric).title
    place = f", {stage}" if transform == OVERALL_FAMILY else f", {transform_words(transform)}, {stage}"
    return words(metric).title + place


def _comparison_cells(comparison: Comparison | TargetDifference, names: Mapping[str, str]) -> dict[str, str]:
    return {
        "first": names.get(comparison.first, comparison.first),
        "second": names.get(comparison.second, comparison.second) + (NOT_A_TWIN if comparison.confounded_by else ""),
        "source": comparison.source,
        "protocol": protocol_words(comparison.protocol),
        "labels": comparison.labels,
        "filter_protocol": comparison.protocol,
        "name": _number_name(comparison.metric, comparison.transform, comparison.stage),
    }


def _group_row(g: GroupDifference, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_comparison_cells(g.comparison, names),
        "group": g.group,
        "n": Entry(str(g.n), str(g.n)),
        "domains": ", ".join(g.domains),
        "difference": difference_entry(g, g.comparison.metric, g.reason),
        "effect_size": _decimal_entry(g.effect_size, 2, signed=True),
        "improvement": _decimal_entry(g.probability_of_improvement, 2),
        "signed_rank_p_value": _decimal_entry(g.adjusted_signed_rank_p_value, 3, note=g.signed_rank_reason),
        **_judged(g, g.comparison.metric),
    }


def _interaction_row(i: Interaction, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_comparison_cells(i.comparison, names),
        "n_similar": Entry(str(i.n_similar), str(i.n_similar)),
        "n_different": Entry(str(i.n_different), str(i.n_different)),
        "difference": difference_entry(i, i.comparison.metric, i.reason),
        **_judged(i, i.comparison.metric),
    }


def _target_row(d: TargetDifference, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        **_comparison_cells(d, names),
        "domain": d.domain,
        "group": d.group,
        "difference": difference_entry(d, d.metric, d.reason),
        "num_seeds": Entry(str(d.num_seeds), str(d.num_seeds)),
        "seed_spread": spread_entry(d.seed_spread, d.metric),
        "num_pretraining_seeds": Entry(str(d.num_pretraining_seeds), str(d.num_pretraining_seeds)),
        "pretraining_seed_spread": spread_entry(d.pretraining_seed_spread, d.metric),
        **_judged(d, d.metric),
    }


def _judged(estimate: Judged, metric: str) -> dict[str, Any]:
    """Return the columns that tell what may be claimed of a difference."""
    judgement = estimate.judgement
    claimed = judgement.claimed
    detectable = claimed.minimum_detectable_difference
    return {
        "claimed": fitted_interval(claimed.low, claimed.high, metric, signed=True) or MISSING,
        "scope": scope_words(claimed.scope),
        "p_value": _decimal_entry(claimed.p_value, 3),
        "adjusted": _decimal_entry(
            judgement.adjusted_p_value if judgement.is_headline else judgement.q_value,
            3,
            note="" if judgement.is_headline else "q-value, exploratory",
        ),
        "detectable": spread_entry(detectable, metric),
        "verdict": estimate.verdict if judgement.is_headline else f"{estimate.verdict} (exploratory)",
        "untestable": [f"{scope_words(each.scope)}: {each.reason}" for each in judgement.wider],
    }


def _decimal_entry(value: float, decimals: int, signed: bool = False, note: str = "") -> Entry:
    if math.isnan(value):
        return Entry(MISSING, note=note)
    return Entry(format_decimals(value, decimals, signed), repr(float(value)))
