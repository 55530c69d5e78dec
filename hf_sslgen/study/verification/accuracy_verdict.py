"""Whether a measured accuracy bears out a published one, as far as the data and the protocol allow to say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hf_sslgen.study.verification.frozen_accuracy import MeasuredAccuracy
from hf_sslgen.study.verification.published_differences import Difference
from hf_sslgen.study.verification.published_numbers import PublishedNumber

Status = Literal["pass", "fail", "not comparable"]

ROUNDING = 0.05
"""Published accuracies have one decimal place."""

WIDEST = 3.0
"""Half the width, in points, of the widest interval that can bear out a number."""


@dataclass(frozen=True)
class Verdict:
    """A status, and why.

    Attributes:
        off_by: points between the published accuracy and the nearer end of the interval, beyond rounding and what
            differences of the protocol explain; negative if the measured accuracy is lower, 0 if they agree.
    """

    status: Status
    sentence: str
    off_by: float


def judge(measured: MeasuredAccuracy, published: PublishedNumber, differences: Sequence[Difference]) -> Verdict:
    """Judge a measured accuracy.

    Differences of the protocol that explain any deviation in its direction leave only the other direction to judge: a
    higher accuracy from fewer images passes, a lower one says nothing. Those of unknown direction leave nothing.
    """
    if math.isnan(measured.low):
        return Verdict("not comparable", "the measured accuracy has no interval", 0.0)
    open_ended = [each for each in differences if each.points is None]
    directions = {each.direction for each in open_ended}
    allowance = ROUNDING + max((each.points for each in differences if each.points is not None), default=0.0)
    below = max(0.0, published.top1 - allowance - measured.high)
    above = max(0.0, measured.low - published.top1 - allowance)
    reasons = "; ".join(each.words for each in open_ended)
    if "unknown" in directions or len(directions) > 1:
        sentence = f"the protocols differ in ways that may lead either way: {reasons}"
        return Verdict("not comparable", sentence, above - below)
    if directions == {"lower"} and below:
        sentence = f"lower by {below:.1f} points or more, as is to be expected: {reasons}"
        return Verdict("not comparable", sentence, -below)
    if directions == {"higher"} and not below:
        sentence = f"no lower than published, as is to be expected of an easier task: {reasons}"
        return Verdict("not comparable", sentence, above)
    if directions == {"lower"} and above:
        return Verdict("pass", f"at least the published accuracy, although the task is harder: {reasons}", above)
    if below or above:
        by = f"{below:.1f} points lower" if below else f"{above:.1f} points higher"
        although = f", although the task is easier ({reasons})" if reasons else ""
        sentence = f"{by} than published, beyond the interval{_beyond(differences)}{although}"
        return Verdict("fail", sentence, above - below)
    if measured.high - measured.low > 2 * WIDEST:
        return Verdict(
            "not comparable", f"{measured.num_test:,} test images leave an interval too wide to bear out a number", 0.0
        )
    return Verdict("pass", f"within the interval{_beyond(differences)}", 0.0)


def _beyond(differences: Sequence[Difference]) -> str:
    """Name the allowance, if any is made."""
    found = [each for each in differences if each.points is not None]
    if not found:
        return ""
    largest = max(found, key=lambda each: each.points or 0.0)
    return f" and {largest.points:g} points of allowance ({largest.words})"
