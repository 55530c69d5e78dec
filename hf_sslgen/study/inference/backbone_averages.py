"""A number of one backbone averaged over its runs, and over domains."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import target_mean
from hf_sslgen.study.inference.target_groups import if_enough_domains, too_few_domains


@dataclass(frozen=True)
class Averaged:
    """A number averaged over runs or domains; of a single run it is the stored number itself.

    Attributes:
        value: NaN if it is undefined in one of the runs.
        low, high: 95% interval over these images, or over domains; NaN with a `reason` if there is none.
        n: images (or few-shot episodes), or domains.
        num_runs: training runs that were averaged.
    """

    value: float
    low: float
    high: float
    n: int
    num_runs: int = 1
    reason: str = ""


def average_over_runs(runs: Sequence[Sequence[Number]]) -> Averaged | None:
    """Average a number over seeds, then over pretraining runs; None if there is no number.

    The interval is as wide as those of the runs on average, because the mean varies no more over images than they do.

    Args:
        runs: by pretraining run and seed.
    """
    numbers = [number for run in runs for number in run]
    if not numbers:
        return None
    if len(numbers) == 1:
        (only,) = numbers
        return Averaged(only.value, only.low, only.high, only.n, reason=_why(only))
    value = float(np.mean([np.mean([number.value for number in run]) for run in runs if run]))
    below = float(np.mean([number.value - number.low for number in numbers]))
    above = float(np.mean([number.high - number.value for number in numbers]))
    reason = next((_why(number) for number in numbers if _why(number)), "")
    return Averaged(value, value - below, value + above, max(n.n for n in numbers), len(numbers), reason)


def average_over_domains(of_domains: Sequence[Averaged]) -> Averaged:
    """Average over domains, with Student's t interval over them if they are enough."""
    mean = target_mean([each.value for each in of_domains])
    interval = if_enough_domains(mean, mean.n)
    runs = sum(each.num_runs for each in of_domains)
    reason = too_few_domains(mean.n) if math.isnan(interval.low) else ""
    return Averaged(mean.value, interval.low, interval.high, mean.n, runs, reason)


def _why(number: Number) -> str:
    """Return why a number has no value or no interval; empty if it has both."""
    if not math.isnan(number.low):
        return ""
    return number.reason or "this number has no interval over images"
