"""The ranking of a study in a terminal, if it has a single one over domains: a line per backbone."""

import math
from collections.abc import Sequence

from hf_sslgen.reporting.vocabulary import format_decimals, format_interval, format_value, setting_words
from hf_sslgen.study.inference.backbone_ranking.ranking import RankedBackbone, Ranking
from hf_sslgen.zoo.backbone_registry import UNTRAINED

NAME_WIDTH = 28


def leaderboard(rankings: Sequence[Ranking]) -> list[str]:
    """Return a heading and a line per backbone; nothing if the study has no ranking over domains, or several."""
    over = [each for each in rankings if each.is_over_domains]
    if len(over) != 1:
        return []
    (ranking,) = over
    heading = (
        f"Ranking over {len(ranking.domains)} domains, {setting_words(ranking.protocol, ranking.labels)}: tier, "
        "accuracy and average rank with 95% intervals (explained on the page; ranking.csv has all)"
    )
    return [heading, *(_line(each, ranking.metric) for each in ranking.backbones)]


def _line(each: RankedBackbone, metric: str) -> str:
    name = each.contestant.name
    name = name if len(name) <= NAME_WIDTH else f"{name[:13]}…{name[-14:]}"
    interval = format_interval(each.interval.low, each.interval.high, metric)
    rank = format_decimals(each.average_rank, 1)
    if not math.isnan(each.rank_low):
        rank += f" [{format_decimals(each.rank_low, 1)}, {format_decimals(each.rank_high, 1)}]"
    control = "  control" if each.contestant.objective == UNTRAINED else ""
    accuracy = f"{format_value(each.value, metric)} {interval:16}"
    return f"  {each.tier}  {name:{NAME_WIDTH}}  {accuracy}  {rank}{control}".rstrip()
