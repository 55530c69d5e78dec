"""Markdown tables of what was decided although the recipes are the same, and of what their runs vary by."""

import math
from collections.abc import Sequence

import numpy as np
from simulated.tables import NOT_RUN

from hf_sslgen.metrics.catalogue.rows import find_metric
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from reruns.pages import DOMAIN, LEVELS, NETWORKS, QUESTIONS, SCOPES, Decision, Spread


def as_markdown(decided: Sequence[Decision], varied: Sequence[Spread], command: str) -> str:
    """Return the tables."""
    return "\n\n".join(
        [
            f"Printed by\n\n{NOT_RUN}\n```console\n$ {command}\n```",
            "### Differences with a verdict, %, and their number",
            _shares(decided),
            "### Differences on one domain with a verdict, %, by number",
            _shares_by_number([each for each in decided if each.level in (NETWORKS, DOMAIN)]),
            "### Standard deviation of a difference between two networks on one domain",
            _deviations(varied),
        ]
    )


def _shares(decided: Sequence[Decision]) -> str:
    lines = [_line("asked of", "two sides", *SCOPES), _line("---", "---", *("---:" for _ in SCOPES))]
    for level in LEVELS:
        for question in QUESTIONS:
            chosen = [each for each in decided if (each.level, each.question) == (level, question)]
            if chosen:
                cells = (_share([each for each in chosen if each.scope == scope], True) for scope in SCOPES)
                lines.append(_line(level, question, *cells))
    return "\n".join(lines)


def _shares_by_number(decided: Sequence[Decision]) -> str:
    columns = [(level, question, scope) for level in LEVELS for question in QUESTIONS for scope in SCOPES]
    columns = [column for column in columns if any(_column(each) == column for each in decided)]
    names = (f"{question}, {'one' if level == NETWORKS else 'all'}: {scope}" for level, question, scope in columns)
    lines = [_line("number", "protocol", *names), _line("---", "---", *("---:" for _ in columns))]
    for key in dict.fromkeys((each.number, _setting(each)) for each in decided):
        mine = [each for each in decided if (each.number, _setting(each)) == key]
        cells = (_share([each for each in mine if _column(each) == column]) for column in columns)
        lines.append(_line(f"`{key[0]}`", key[1], *cells))
    return "\n".join(lines)


def _deviations(varied: Sequence[Spread]) -> str:
    lines = [
        _line("number", "protocol", "objective", "images", "training seed", "pretraining run"),
        _line("---", "---", "---", "---:", "---:", "---:"),
    ]
    for key in dict.fromkeys((each.number, _setting(each), each.objective) for each in varied):
        mine = [each for each in varied if (each.number, _setting(each), each.objective) == key]
        cells = (_deviation(key[0], [each.variance for each in mine if each.scope == scope]) for scope in SCOPES)
        lines.append(_line(f"`{key[0]}`", key[1], key[2], *cells))
    return "\n".join(lines)


def _column(each: Decision) -> tuple[str, str, str]:
    return each.level, each.question, each.scope


def _setting(each: Decision | Spread) -> str:
    return each.protocol if each.protocol == PRETRAINED_PROTOCOL else f"{each.protocol}, {each.labels}"


def _share(decided: Sequence[Decision], with_count: bool = False) -> str:
    if not decided:
        return ""
    share = f"{100 * sum(each.is_decided for each in decided) / len(decided):.0f}"
    return f"{share} of {len(decided):,}" if with_count else share


def _deviation(number: str, variances: Sequence[float]) -> str:
    """The root of the mean variance, which is 0 where its estimate is negative, as the number is displayed."""
    if not variances:
        return ""
    metric = find_metric(number)
    assert metric is not None
    value = math.sqrt(max(0.0, float(np.mean(variances)))) * metric.words.scale
    return f"{value:.{metric.words.decimals}f}{metric.words.difference_unit}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
