"""Sentences and numbers of published results beside a study's own, for the page, the terminal and the CSV file."""

import math
from collections.abc import Sequence

from hf_sslgen.reporting.caution_words import some_names
from hf_sslgen.reporting.vocabulary import MISSING, format_decimals, format_difference, format_interval, format_value
from hf_sslgen.study.reference.reference_lines import ReferenceComparison, ReferenceLine


def counted(comparison: ReferenceComparison) -> str:
    """Say how many of a table's results have a counterpart here."""
    found = len({id(line.published) for line in comparison.lines})
    if not found:
        return f"none of its {comparison.num_published} results has a counterpart in this study"
    return f"{found} of its {comparison.num_published} results have a counterpart in this study"


def difference_lines(comparison: ReferenceComparison) -> list[str]:
    """Return every known difference of protocol once, with the backbones or domains that it concerns unless all."""
    concerned: dict[str, list[ReferenceLine]] = {}
    for line in comparison.lines:
        for text in line.differences:
            concerned.setdefault(text, []).append(line)
    return [text + _concerned(lines, comparison.lines) for text, lines in concerned.items()]


def _concerned(lines: Sequence[ReferenceLine], of: Sequence[ReferenceLine]) -> str:
    for attribute in ("domain", "backbone", "protocol"):
        named = {vars(line)[attribute] for line in lines}
        if len(lines) < len(of) and len(lines) == sum(vars(line)[attribute] in named for line in of):
            return f" ({some_names(sorted(named), 4)})"
    return "" if len(lines) == len(of) else f" ({len(lines)} of {len(of)} rows)"


def published_text(line: ReferenceLine) -> str:
    """Return the published value in %, with the digits that were published."""
    value = line.published.value
    return MISSING if value is None else f"{100 * value:.4g}"


def own_text(line: ReferenceLine) -> str:
    """Return our value; a dash if it was not measured."""
    return MISSING if line.ours is None else format_value(line.ours.value, line.published.metric)


def interval_text(line: ReferenceLine) -> str:
    """Return our interval; empty if there is none."""
    return "" if line.ours is None else format_interval(line.ours.low, line.ours.high, line.published.metric)


def difference_text(line: ReferenceLine) -> str:
    """Return our value minus the published one; a dash if one is missing."""
    return MISSING if math.isnan(line.difference) else format_difference(line.difference, line.published.metric)


def regularisation_text(value: float | None) -> str:
    """Return a C to three digits."""
    return MISSING if value is None else f"{value:.3g}"


def own_regularisations(line: ReferenceLine) -> str:
    """Return the C selected for each seed, equal ones once."""
    return ", ".join(dict.fromkeys(map(regularisation_text, line.inverse_regularisations))) or MISSING


def agreement_text(line: ReferenceLine) -> str:
    """Say whether the two agree, or that nothing follows because the protocols differ."""
    if line.agrees is None:
        return MISSING if math.isnan(line.difference) or not line.differences else "protocols differ"
    return "within our interval" if line.agrees else f"outside, by {_outside(line)} points"


def _outside(line: ReferenceLine) -> str:
    assert line.ours is not None and line.published.value is not None
    beyond = max(line.ours.low - line.published.value, line.published.value - line.ours.high)
    return format_decimals(100 * beyond, 1)
