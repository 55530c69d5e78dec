"""The rows of `ranking.csv`, distinguished by `kind`.

| kind | content of a row |
|---|---|
| backbone | a backbone, or an objective with all its pretraining runs, in one ranking |
| pair | `first` minus `second` in that ranking, adjusted over all its pairs |
| methods | the self-supervised methods of a source minus its supervised ones |
| ranks | Friedman's test that all rank alike over domains |

A ranking is of one protocol and label budget, on one domain or over several.
"""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking

RANKING_COLUMNS = [
    *("kind", "protocol", "labels", "domains", "num_domains", "metric"),
    *("backbone", "objective", "source", "tier", "value", "low", "high", "scope"),
    *("average_rank", "average_rank_low", "average_rank_high", "not_told_apart_from"),
    *("on_pareto_front", "pareto_criteria", "brier_score", "parameters", "seconds"),
    *("images_per_second", "peak_memory"),
    *("first", "second", "p_value", "adjusted_p_value", "adjustment", "signed_rank_p_value", "verdict", "reason"),
]


def ranking_frame(rankings: Iterable[Ranking]) -> pd.DataFrame:
    """Return a row per backbone, pair, source and test of every ranking, with columns `RANKING_COLUMNS`."""
    frame = pd.DataFrame([row for ranking in rankings for row in _rows(ranking)], columns=RANKING_COLUMNS)
    return frame.astype({"num_domains": "Int64", "tier": "Int64"})


def _rows(ranking: Ranking) -> list[dict[str, Any]]:
    shared = {
        "protocol": ranking.protocol,
        "labels": ranking.labels,
        "domains": " ".join(ranking.domains),
        "num_domains": len(ranking.domains),
        "metric": ranking.metric,
    }
    backbones = [
        {
            **{"kind": "backbone", "backbone": each.contestant.name, "objective": each.contestant.objective},
            **{"source": each.contestant.source, "tier": each.tier, "value": each.value},
            **{"low": each.interval.low, "high": each.interval.high, "scope": each.interval.scope},
            "average_rank": each.average_rank,
            "average_rank_low": each.rank_low,
            "average_rank_high": each.rank_high,
            "not_told_apart_from": " ".join(each.alike),
            "on_pareto_front": each.is_on_front,
            "pareto_criteria": ", ".join(ranking.front.criteria),
            "reason": each.interval.reason,
            **vars(each.tradeoffs),
        }
        for each in ranking.backbones
    ]
    pairs = [
        {
            **{"kind": "pair", "first": pair.first, "second": pair.second, "value": pair.value},
            **vars(pair.interval),
            "adjusted_p_value": pair.adjusted_p_value,
            "adjustment": ranking.adjustment,
            "signed_rank_p_value": pair.signed_rank_p_value,
            "verdict": pair.verdict,
        }
        for pair in ranking.pairs
    ]
    methods = [
        vars(each)
        | {"kind": "methods", "first": " ".join(each.first), "second": " ".join(each.second), "verdict": each.verdict}
        for each in ranking.methods
    ]
    ranks = [{"kind": "ranks", "p_value": ranking.friedman_p_value}] if ranking.is_over_domains else []
    return [shared | row for row in (*backbones, *pairs, *methods, *ranks)]
