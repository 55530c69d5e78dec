"""Sentences and numbers of published results beside a study's own, for the page and the terminal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hf_sslgen.reporting.caution_words import some_names
from hf_sslgen.reporting.vocabulary import MISSING, format_decimals, format_difference, format_interval, format_value
from hf_sslgen.study.reference.reference_lines import ReferenceComparison, ReferenceLine


@dataclass(frozen=True)
class ReferenceWords:
    """A published result and the study's own as text; a dash where there is no number.

    Attributes:
        published: with the digits that were published.
        interval: ours; empty if there is none.
        regularisation, own_regularisations: the C selected by the publication, and here for each seed.
        agreement: whether the two agree, or that nothing follows because the protocols differ.
    """

    published: str
    ours: str
    interval: str
    difference: str
    regularisation: str
    own_regularisations: str
    agreement: str


def reference_words(line: ReferenceLine) -> ReferenceWords:
    """Return the numbers of a line as text, accuracies in %."""
    value, ours, metric = line.published.value, line.ours, line.published.metric
    return ReferenceWords(
        published=MISSING if value is None else f"{100 * value:.4g}",
        ours=MISSING if ours is None else format_value(ours.value, metric),
        interval="" if ours is None else format_interval(ours.low, ours.high, metric),
        difference=MISSING if math.isnan(line.difference) else format_difference(line.difference, metric),
        regularisation=_regularisation(line.published.inverse_regularisation),
        own_regularisations=", ".join(dict.fromkeys(map(_regularisation, line.inverse_regularisations))) or MISSING,
        agreement=_agreement(line),
    )


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


def _regularisation(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}"


def _agreement(line: ReferenceLine) -> str:
    if line.agrees is None:
        return MISSING if math.isnan(line.difference) or not line.differences else "protocols differ"
    return "within our interval" if line.agrees else f"outside it, by {_outside(line)} points"


def _outside(line: ReferenceLine) -> str:
    assert line.ours is not None and line.published.value is not None
    beyond = max(line.ours.low - line.published.value, line.published.value - line.ours.high)
    return format_decimals(100 * beyond, 1)
