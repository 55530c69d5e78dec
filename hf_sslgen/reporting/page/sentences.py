"""Make sentences solely from stored paired differences, averaged over seeds.

A sentence claims a direction only if the 95% interval in the widest testable scope excludes zero and a headline's
adjusted p-value is below 0.05. It names that scope and the measured images. For
attribution concentration and the signed confidence gap, neither direction is better, so no sentence calls a backbone
better. Lift on the object is measured against the truth, so a sentence says which backbone looks more at it.
"""

import math
from dataclasses import dataclass
from typing import Protocol

from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.reporting.vocabulary import (
    MINUS,
    format_decimals,
    group_words,
    scope_words,
    setting_words,
    transform_words,
    words,
)
from hf_sslgen.study.inference.judgement import UNDECIDED, Judgement, verdict_of
from hf_sslgen.study.inference.seed_averages import TargetDifference

MAX_DECIMALS = 5
DESCRIPTIVE = {
    "expected_calibration_error": "this number is biased upward by an amount that depends on the model, so it is "
    "descriptive and not tested",
}


class Bounded(Protocol):
    """A difference with its interval, at any level: on one target, over targets, between groups."""

    @property
    def value(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def verdict(self) -> str: ...


class Judged(Protocol):
    """A difference at any level with what may be claimed of it."""

    @property
    def value(self) -> float: ...
    @property
    def judgement(self) -> Judgement: ...
    @property
    def verdict(self) -> str: ...


@dataclass(frozen=True)
class Claimed:
    """A difference with its interval in the claimed scope."""

    value: float
    low: float
    high: float
    verdict: str

    @classmethod
    def of(cls, estimate: Judged) -> "Claimed":
        claimed = estimate.judgement.claimed
        return cls(estimate.value, claimed.low, claimed.high, estimate.verdict)


def sentence(difference: TargetDifference, with_setting: bool = True) -> str:
    """Describe a paired difference in one sentence with a full stop.

    `with_setting=False` leaves out domain and protocol, for use below a heading that names them.
    """
    where = f"{_where(difference)}: " if with_setting else ""
    first, second = difference.first, difference.second
    phrase = words(difference.metric).phrase + _images_treated(difference)
    if math.isnan(difference.value):
        return f"{where}not measured: the difference in {phrase} between {first} and {second} {_because(difference)}."
    signed = spoken_amount(difference, difference.metric, signed=True)
    subtraction = f"the {phrase} of {first} minus that of {second} is {signed}"
    if difference.metric in DESCRIPTIVE:
        # No interval of this number reaches its nominal coverage, so no verdict is given.
        return f"{where}{subtraction}; {DESCRIPTIVE[difference.metric]}."
    images = f"on these {difference.n:,} {difference.unit}{_in_groups(difference)}{_runs(difference)}"
    claimed = Claimed.of(difference)
    if math.isnan(claimed.low) or math.isnan(claimed.high):
        return f"{where}undecided: {subtraction} {images}, and its interval {_because(difference)}."
    scope = scope_words(difference.judgement.claimed.scope)
    interval = f"(95% interval {spoken_interval(claimed, difference.metric)}, for {scope}, {images})"
    if claimed.verdict == UNDECIDED:
        more = "; ".join([interval, *why_undecided(difference.judgement, difference.metric)])
        return f"{where}undecided: {subtraction} {more}.{_note(difference)}"
    amount = f"{spoken_amount(difference, difference.metric)} {interval}"
    if difference.metric == "accuracy":
        claim = f"{first} is {_more_or_less(difference)} accurate than {second} by {amount}"
    elif difference.metric == "lift":
        looks = f"{first} looks {_more_or_less(difference)} at the object than {second}"
        claim = f"{looks}: the {phrase} is {difference.verdict} by {amount}"
    else:
        claim = f"the {phrase} of {first} is {difference.verdict} than that of {second} by {amount}"
    return f"{where}{claim}.{_note(difference)}"


def why_undecided(judgement: Judgement, metric: str) -> list[str]:
    """State the adjusted p-value if the interval excludes zero, and what the design would probably have shown."""
    reasons = []
    if verdict_of(judgement.claimed.low, judgement.claimed.high) != UNDECIDED:
        p_value = format_decimals(judgement.adjusted_p_value, 2)
        reasons.append(f"p = {p_value} after adjustment for all headline verdicts")
    size = judgement.claimed.minimum_detectable_difference
    if not math.isnan(size):
        amount = spoken_amount(Claimed(size, size, size, UNDECIDED), metric)
        reasons.append(f"and this design detects {amount} with 80% power")
    return reasons


def _where(difference: TargetDifference) -> str:
    setting = setting_words(difference.protocol, difference.labels)
    return f"On {difference.domain} ({group_words(difference.group)}), {setting}"


def _in_groups(difference: TargetDifference) -> str:
    """State the number of groups (patients, photographs) that the images come in, if they do."""
    freedom = difference.row_degrees_of_freedom
    return "" if math.isinf(freedom) else f" in {freedom + 1:,.0f} groups"


def _runs(difference: TargetDifference) -> str:
    """State how many trained models are averaged, if there are several."""
    if difference.num_seeds == 1:
        return ""
    if difference.num_pretraining_seeds == 1:
        return f", mean of {difference.num_seeds} fine-tuning seeds"
    return f", mean of {difference.num_seeds} runs from {difference.num_pretraining_seeds} pretraining seeds"


def _images_treated(difference: TargetDifference) -> str:
    """State the stage and transforms of an invariance, which has no meaning without them."""
    if not difference.transform:
        return ""
    if difference.stage == PRETRAINED_STAGE:
        stage = "pretrained stage, before any training on the domain"
    else:
        stage = f"{difference.stage} stage"
    return f" ({transform_words(difference.transform, difference.severity)}; {stage})"


def _more_or_less(difference: TargetDifference) -> str:
    return "more" if difference.verdict == "higher" else "less"


def decimals_of(estimate: Bounded, metric: str) -> int:
    """Return enough decimals that a nonzero bound is not written as zero, so that no verdict looks wrong."""
    scale, decimals = words(metric).scale, words(metric).decimals
    bounds = [abs(bound * scale) for bound in (estimate.low, estimate.high) if bound and bound == bound]
    while decimals < MAX_DECIMALS and any(float(f"{bound:.{decimals}f}") == 0 for bound in bounds):
        decimals += 1
    return decimals


def spoken_amount(estimate: Bounded, metric: str, signed: bool = False) -> str:
    """Return the size of a difference with its unit, such as `8.1 points`."""
    value, unit = estimate.value * words(metric).scale, words(metric).difference_unit
    text = format_decimals(value if signed else abs(value), decimals_of(estimate, metric))
    return f"{text}{' point' if unit == ' points' and text.lstrip(MINUS) == '1.0' else unit}"


def spoken_interval(estimate: Bounded, metric: str, signed: bool = False) -> str:
    """Return the interval in words: signed, or of the difference's size if a direction is claimed."""
    scale, decimals = words(metric).scale, decimals_of(estimate, metric)
    low, high = estimate.low * scale, estimate.high * scale
    if estimate.verdict == "lower" and not signed:
        low, high = -high, -low
    return f"{format_decimals(low, decimals)} to {format_decimals(high, decimals)}"


def _because(difference: TargetDifference) -> str:
    return f"is unavailable ({difference.reason or 'no reason stored'})"


def _note(difference: TargetDifference) -> str:
    return f" Note: {difference.reason}." if difference.reason else ""
