"""Prepare the rankings of a page: over the domains of a study if there are enough, else on each domain."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.reporting.page.fitting import fitted_interval, fitted_value
from hf_sslgen.reporting.page.page_tables import Entry
from hf_sslgen.reporting.page.spoken import spoken_amount, spoken_interval
from hf_sslgen.reporting.vocabulary import (
    MISSING,
    format_decimals,
    format_parameters,
    format_value,
    scope_words,
    setting_words,
)
from hf_sslgen.study.inference.backbone_ranking.method_groups import MethodContrast
from hf_sslgen.study.inference.backbone_ranking.ranking import RankedBackbone, Ranking
from hf_sslgen.zoo.backbone_registry import UNTRAINED

MARK = " (control)"
"""After the name of an untrained network."""


@dataclass(frozen=True)
class RankingTable:
    """A ranking as plain values; `notes` are sentences below it."""

    title: str
    is_over_domains: bool
    rows: list[dict[str, Any]]
    notes: list[str]


def rankings_shown_first(rankings: Sequence[Ranking]) -> list[Ranking]:
    """Return the rankings over domains, and those on one domain of settings that have none over domains."""
    over = {(each.protocol, each.labels) for each in rankings if each.is_over_domains}
    return [each for each in rankings if each.is_over_domains or (each.protocol, each.labels) not in over]


def ranking_tables(rankings: Sequence[Ranking], names: Mapping[str, str]) -> list[RankingTable]:
    """Return the tables of the rankings shown first.

    Args:
        names: short names of backbones.
    """
    return [
        RankingTable(
            f"{_capital(setting_words(each.protocol, each.labels))}, {place_words(each)}",
            each.is_over_domains,
            [_row(backbone, each.metric, names) for backbone in each.backbones],
            _notes(each),
        )
        for each in rankings_shown_first(rankings)
    ]


def place_words(ranking: Ranking) -> str:
    """Return where a ranking was made."""
    return f"over {len(ranking.domains)} domains" if ranking.is_over_domains else f"on {ranking.domains[0]}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _row(each: RankedBackbone, metric: str, names: Mapping[str, str]) -> dict[str, Any]:
    contestant, tradeoffs = each.contestant, each.tradeoffs
    runs = f", {len(contestant.backbones)} pretraining runs" if contestant.are_runs else ""
    return {
        "name": names.get(contestant.name, contestant.name)
        + runs
        + (MARK if contestant.objective == UNTRAINED else ""),
        "objective": contestant.objective,
        "tier": Entry(str(each.tier), str(each.tier)),
        "accuracy": Entry(
            fitted_value(each.value, each.interval.low, each.interval.high, metric),
            repr(float(each.value)),
            fitted_interval(each.interval.low, each.interval.high, metric),
        ),
        "scope": MISSING if math.isnan(each.interval.low) else scope_words(each.interval.scope),
        "rank": _rank(each),
        "alike": ", ".join(names.get(name, name) for name in each.alike) or MISSING,
        "front": "yes" if each.is_on_front else "",
        "calibration": _entry(tradeoffs.brier_score, format_value(tradeoffs.brier_score, "brier_score")),
        "parameters": _entry(
            tradeoffs.parameters,
            "" if math.isnan(tradeoffs.parameters) else format_parameters(round(tradeoffs.parameters)),
        ),
    }


def _rank(each: RankedBackbone) -> Entry:
    if math.isnan(each.average_rank):
        return Entry(MISSING)
    low, high = (format_decimals(bound, 1) for bound in (each.rank_low, each.rank_high))
    interval = "" if math.isnan(each.rank_low) else f"{low} to {high}"
    return Entry(format_decimals(each.average_rank, 1), repr(each.average_rank), interval)


def _entry(value: float, text: str) -> Entry:
    return Entry(MISSING) if math.isnan(value) else Entry(text, repr(float(value)))


def _notes(ranking: Ranking) -> list[str]:
    notes = [
        f"The {len(ranking.pairs)} pairs are adjusted together ({ranking.adjustment}).",
        f"The Pareto front is by {', '.join(ranking.front.criteria)}, as measured.",
        *(f"Not comparable for all, so left out: {name}." for name in ranking.front.left_out),
    ]
    if not math.isnan(ranking.friedman_p_value):
        notes.append(f"Friedman’s test that all rank alike: p = {format_decimals(ranking.friedman_p_value, 3)}.")
    return [*notes, *(_methods(each, ranking.metric) for each in ranking.methods)]


def _methods(contrast: MethodContrast, metric: str) -> str:
    source = f" pretrained on {contrast.source}" if contrast.source else ""
    lead = (
        f"{_counted(contrast.first, 'self-supervised')} minus {_counted(contrast.second, 'supervised')}{source}, "
        f"means over {contrast.num_domains} domains"
    )
    amount = spoken_amount(contrast, metric)
    if contrast.reason:
        return f"{_capital(lead)}: {amount}. A verdict on methods is {contrast.reason}."
    interval = spoken_interval(contrast, metric)
    found = f"{_capital(lead)}: {contrast.verdict}, {amount} ({interval})."
    return f"{found} This holds for methods and domains of their kind."


def _counted(methods: Sequence[str], kind: str) -> str:
    return f"one {kind} method" if len(methods) == 1 else f"{len(methods)} {kind} methods"
