"""Target differences made by hand, judged by their interval over images as differences of one run are."""

from dataclasses import replace
from typing import Any

from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import ONE_RUN, scoped_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference


def target_difference(**fields: Any) -> TargetDifference:
    """Return a difference with these fields; `value`, `low` and `high` are among them."""
    return TargetDifference(**fields, judgement=_judgement(fields["value"], fields["low"], fields["high"]))


def changed(difference: TargetDifference, **fields: Any) -> TargetDifference:
    """Return the difference with other fields, judged anew."""
    other = replace(difference, **fields)
    return replace(other, judgement=_judgement(other.value, other.low, other.high))


def _judgement(value: float, low: float, high: float) -> Judgement:
    return Judgement(scoped_intervals(value, Interval(low, high), ONE_RUN))
