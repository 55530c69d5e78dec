"""Target differences made by hand, judged by their interval over images as differences of one run are."""

from dataclasses import replace
from typing import Any

from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import ONE_RUN, scoped_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference


def target_difference(value: float, low: float, high: float, **fields: Any) -> TargetDifference:
    """Return a difference in accuracy between two backbones on one domain, with other fields where they are given."""
    of_linear_probe = {
        "metric": "accuracy",
        "first": "simclr-x",
        "second": "sup-x",
        "domain": "cifar10",
        "group": "similar",
        "protocol": "linear",
        "stage": "pretrained",
        "transform": "",
        "severity": "",
        "seed": 0,
        "n": 2000,
    }
    named = of_linear_probe | fields
    return TargetDifference(value=value, low=low, high=high, **named, judgement=_judgement(value, low, high))


def changed(difference: TargetDifference, **fields: Any) -> TargetDifference:
    """Return the difference with other fields, judged anew."""
    other = replace(difference, **fields)
    return replace(other, judgement=_judgement(other.value, other.low, other.high))


def _judgement(value: float, low: float, high: float) -> Judgement:
    return Judgement(scoped_intervals(value, Interval(low, high), ONE_RUN))
