"""Sentences made from stored paired differences, and nothing else.

A sentence claims a direction only where the 95% interval excludes zero, and speaks of the images that were measured.
Attribution concentration and the signed confidence gap have no better direction, so no sentence calls one better.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from hf_sslgen.reporting.vocabulary import (
    MINUS,
    OVERALL_FAMILY,
    PRETRAINED_PROTOCOL,
    SOURCE_STAGE,
    format_decimals,
    group_words,
    protocol_words,
    transform_words,
    words,
)
from hf_sslgen.study.pairs import Difference

MIN_DOMAINS_FOR_INFERENCE = 3
MAX_DECIMALS = 5
DESCRIPTIVE = {
    "expected_calibration_error": "this number is biased upward by an amount that depends on the model, so it is "
    "described and not tested",
}
_ANSWERED = (
    ("confidence_gap", "", "confidence gap"),
    ("gini", "", "attribution Gini"),
    ("spatial_spread", "", "attribution spread"),
    ("invariance", OVERALL_FAMILY, "invariance of the published encoder"),
)
"""What the answer counts beside accuracy: metric, transform, words."""


@dataclass(frozen=True)
class Tally:
    """Comparisons counted by verdict. Several seeds of one comparison count once, and only where they agree."""

    higher: int
    lower: int
    undecided: int

    @property
    def total(self) -> int:
        return self.higher + self.lower + self.undecided


def sentence(difference: Difference, with_setting: bool = True) -> str:
    """What a paired difference says, in one sentence ending in a full stop.

    `with_setting=False` leaves out domain and protocol, for a place whose heading names them.
    """
    where = f"{_where(difference)}: " if with_setting else ""
    first, second = difference.first, difference.second
    phrase = words(difference.metric).phrase + _images_treated(difference)
    if math.isnan(difference.value):
        return f"{where}not measured: the difference in {phrase} between {first} and {second} {_because(difference)}."
    subtraction = f"the {phrase} of {first} minus that of {second} is {_amount(difference, signed=True)}"
    if difference.metric in DESCRIPTIVE:
        # Decided or not, no interval of this number covers, so no verdict is given on it.
        return f"{where}{subtraction}; {DESCRIPTIVE[difference.metric]}."
    images = f"on these {difference.n:,} images"
    if math.isnan(difference.low) or math.isnan(difference.high):
        return f"{where}undecided: {subtraction} {images}, and an interval {_because(difference)}."
    if difference.verdict == "undecided":
        return f"{where}undecided: {subtraction} (95% interval {_interval(difference)}, {images}).{_note(difference)}"
    amount = f"{_amount(difference)} (95% interval {_interval(difference)}, {images})"
    if difference.metric == "accuracy":
        claim = f"{first} is {_more_or_less(difference)} accurate than {second} by {amount}"
    else:
        claim = f"the {phrase} of {first} is {difference.verdict} than that of {second} by {amount}"
    return f"{where}{claim}.{_note(difference)}"


def answer(
    differences: Iterable[Difference],
    headline_metrics: Mapping[str, str] | None = None,
    controls: Collection[str] = (),
) -> list[str]:
    """What the pairs say together, for domains similar to the source and for different ones apart.

    Args:
        differences: any stored differences; the ones that answer the question are picked here.
        headline_metrics: the accuracy each domain is judged by; `accuracy` for a domain that is not named.
        controls: names of untrained backbones, whose comparisons are no answer and are left out.
    """
    headline_metrics = headline_metrics or {}
    pairs = [d for d in differences if d.first not in controls and d.second not in controls]
    accuracies = [d for d in pairs if d.metric == headline_metrics.get(d.domain, "accuracy") and not d.transform]
    if not accuracies:
        return ["No accuracy of a self-supervised backbone is compared with that of a supervised twin here."]
    lines = []
    scopes: dict[str, None] = {}
    for group in ("similar", "different", *sorted({d.group for d in pairs} - {"similar", "different"})):
        of_group = [d for d in accuracies if d.group == group]
        if not of_group:
            continue
        domains = sorted({d.domain for d in of_group})
        lines.append(f"{_group_heading(group)} ({', '.join(domains)}): {_accuracy_answer(tally(of_group))}")
        counted = [(name, tally(_of_metric(pairs, group, metric, transform))) for metric, transform, name in _ANSWERED]
        others = "; ".join(f"{name} {_counts(counts)}" for name, counts in counted if counts.total)
        if others:
            lines.append(f"There, for the self-supervised backbone: {others}.")
        scopes[_scope(domains)] = None
    lines.append(f"A comparison is one pair of backbones on one domain under one protocol. {' '.join(scopes)}")
    return lines


def tally(differences: Iterable[Difference]) -> Tally:
    """Count comparisons of one number by verdict; several seeds that disagree make an undecided comparison."""
    verdicts: dict[tuple[str, ...], set[str]] = {}
    for d in differences:
        verdicts.setdefault((d.first, d.second, d.domain, d.protocol, d.stage), set()).add(d.verdict)
    agreed = [found.copy().pop() if len(found) == 1 else "undecided" for found in verdicts.values()]
    return Tally(agreed.count("higher"), agreed.count("lower"), agreed.count("undecided"))


def _accuracy_answer(counts: Tally) -> str:
    twin = "the self-supervised backbone is {} accurate than its supervised twin"
    if counts.higher == counts.lower == 0:
        lead = "undecided"
    elif counts.higher and counts.lower:
        lead = "mixed"
    else:
        lead = twin.format("more" if counts.higher else "less")
        if counts.undecided:
            lead = f"where it is decided, {lead}"
    if counts.total == 1:
        return f"{lead} (1 comparison)."
    return f"{lead} (of {counts.total} comparisons, its accuracy is {_counts(counts)})."


def _counts(counts: Tally) -> str:
    """Such as `higher in 2, undecided in 1`, or the verdict alone where there is one comparison."""
    named = (("higher", counts.higher), ("lower", counts.lower), ("undecided", counts.undecided))
    return ", ".join(f"{verdict} in {count}" if counts.total > 1 else verdict for verdict, count in named if count)


def _of_metric(differences: Iterable[Difference], group: str, metric: str, transform: str) -> list[Difference]:
    return [
        d
        for d in differences
        if (d.group, d.metric, d.transform, d.severity) == (group, metric, transform, "")
        and (metric != "invariance" or d.stage == SOURCE_STAGE)
    ]


def _scope(domains: Collection[str]) -> str:
    if len(domains) < MIN_DOMAINS_FOR_INFERENCE:
        return (
            f"Fewer than {MIN_DOMAINS_FOR_INFERENCE} domains of a kind are too few to say anything about other "
            "domains of that kind: the counts speak of these images."
        )
    return f"Counts over {len(domains)} domains are not an inference to other domains of that kind."


def _group_heading(group: str) -> str:
    if group == "unstated":
        return "On domains whose likeness to the source is not stated"
    return f"On domains {group_words(group)}"


def _where(difference: Difference) -> str:
    protocol = protocol_words(difference.protocol)
    if difference.protocol not in (PRETRAINED_PROTOCOL, "linear"):
        protocol += f", seed {difference.seed}"
    return f"On {difference.domain} ({group_words(difference.group)}), {protocol}"


def _images_treated(difference: Difference) -> str:
    """The stage and transforms of an invariance, since it has no meaning without them."""
    if not difference.transform:
        return ""
    if difference.stage == SOURCE_STAGE:
        stage = "pretrained stage, before any training on the domain"
    else:
        stage = f"{difference.stage} stage"
    return f" ({transform_words(difference.transform, difference.severity)}; {stage})"


def _more_or_less(difference: Difference) -> str:
    return "more" if difference.verdict == "higher" else "less"


def _decimals(difference: Difference) -> int:
    """Digits at which a bound that differs from zero is not written as zero, so that no verdict looks wrong."""
    metric = words(difference.metric)
    bounds = [abs(bound * metric.scale) for bound in (difference.low, difference.high) if bound and bound == bound]
    decimals = metric.decimals
    while decimals < MAX_DECIMALS and any(float(f"{bound:.{decimals}f}") == 0 for bound in bounds):
        decimals += 1
    return decimals


def _amount(difference: Difference, signed: bool = False) -> str:
    metric = words(difference.metric)
    value = difference.value * metric.scale
    text = format_decimals(value if signed else abs(value), _decimals(difference))
    unit = metric.difference_unit
    return f"{text}{' point' if unit == ' points' and text.lstrip(MINUS) == '1.0' else unit}"


def _interval(difference: Difference) -> str:
    """The interval of the difference as spoken: of its size where a direction is claimed, signed where none is."""
    metric = words(difference.metric)
    low, high = difference.low * metric.scale, difference.high * metric.scale
    if difference.verdict == "lower":
        low, high = -high, -low
    return f"{format_decimals(low, _decimals(difference))} to {format_decimals(high, _decimals(difference))}"


def _because(difference: Difference) -> str:
    return f"can't be had ({difference.reason or 'no reason was stored'})"


def _note(difference: Difference) -> str:
    return f" Note: {difference.reason}." if difference.reason else ""
