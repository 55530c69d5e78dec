"""Repeat a simulation: bias, root-mean-square error, and how often intervals contain the truth.

A scenario draws data with known truth, measures them with the functions under test and returns a `Draw`. Numbers are
named `function.field`; an interval for a number whose truth the scenario doesn't know is an error, so that no interval
goes unmeasured.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from hf_sslgen.metrics import Estimate, MetricResult

Bounds = tuple[float, float]


@dataclass(frozen=True)
class Draw:
    """The results of one dataset: estimates, and intervals for those that have one."""

    values: dict[str, float] = field(default_factory=dict)
    intervals: dict[str, Bounds] = field(default_factory=dict)

    def add(self, function: str, result: MetricResult) -> None:
        """Add every number of a result, with its interval if it has one."""
        entries = result.to_dict()
        for name, value in entries.items():
            if isinstance(value, float):
                self.values[f"{function}.{name}"] = value
            if f"{name}_interval" in entries:
                low, high = entries[f"{name}_interval"]
                self.intervals[f"{function}.{name}"] = (low, high)

    def add_estimate(self, number: str, estimate: Estimate) -> None:
        """Add a number with its interval, which is NaN if it has none."""
        self.values[number] = estimate.value
        self.intervals[number] = (estimate.low, estimate.high)


class Scenario(Protocol):
    """A way to draw data with known truth."""

    @property
    def name(self) -> str: ...

    @property
    def num_references(self) -> float:
        """The number of samples from which the population values were measured; infinite if they are exact."""
        ...

    def truth(self, n: int) -> Mapping[str, float]:
        """The population value of each number, as its estimator defines it for samples of size n."""
        ...

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        """Measure one dataset of size n."""
        ...


@dataclass(frozen=True)
class Row:
    """One number, or its interval, in one scenario at one sample size.

    Attributes:
        bias_error: standard error of the bias, including that of the truth.
        undefined: number of datasets in which the number was NaN; bias and error are over the others.
        is_interval: whether the row is about the number's interval.
        coverage: share of the intervals that contain the truth; datasets without an interval don't count.
        below, above: shares of the intervals that are entirely below and above the truth.
        without_interval: share of the datasets that got no interval.
    """

    scenario: str
    n: int
    number: str
    repetitions: int
    truth: float
    bias: float
    bias_error: float
    rmse: float
    undefined: int
    is_interval: bool = False
    coverage: float = math.nan
    coverage_error: float = math.nan
    below: float = math.nan
    above: float = math.nan
    without_interval: float = math.nan


def repeat(
    scenario: Scenario, n: int, repetitions: int, seed: Sequence[int], progress: Callable[[int], object]
) -> list[Row]:
    """Return rows for every number whose truth the scenario knows.

    Args:
        n: size of each of the `repetitions` datasets.
        seed: seed for this scenario and size.
        progress: called with the number of datasets just done.
    """
    truth = scenario.truth(n)
    values: dict[str, list[float]] = {}
    intervals: dict[str, list[Bounds]] = {}
    for repetition in range(repetitions):
        draw = scenario.draw(n, np.random.default_rng([*seed, repetition]))
        unknown = sorted(draw.intervals.keys() - truth.keys())
        if unknown:
            raise ValueError(f"{scenario.name} prints intervals for numbers whose truth it doesn't know: {unknown}")
        for number, value in draw.values.items():
            values.setdefault(number, []).append(value)
        for number, bounds in draw.intervals.items():
            intervals.setdefault(number, []).append(bounds)
        progress(1)
    by_number = {number: _number_row(scenario, n, number, truth[number], values[number]) for number in truth}
    return [*by_number.values(), *(_interval_row(by_number[number], found) for number, found in intervals.items())]


def _number_row(scenario: Scenario, n: int, number: str, truth: float, values: list[float]) -> Row:
    x = np.array(values)
    errors = x[~np.isnan(x)] - truth
    found = len(errors)
    spread = float(errors.std(ddof=1)) if found > 1 else math.nan
    return Row(
        scenario=scenario.name,
        n=n,
        number=number,
        repetitions=len(x),
        truth=truth,
        bias=float(errors.mean()) if found else math.nan,
        bias_error=spread * math.sqrt(1.0 / found + n / scenario.num_references) if found > 1 else math.nan,
        rmse=float(np.sqrt(np.square(errors).mean())) if found else math.nan,
        undefined=len(x) - found,
    )


def _interval_row(row: Row, found: list[Bounds]) -> Row:
    low, high = np.array(found).T
    given = ~np.isnan(low)
    below, above = (
        float(np.mean(side[given])) if given.any() else math.nan for side in (high < row.truth, low > row.truth)
    )
    coverage = 1.0 - below - above
    return replace(
        row,
        is_interval=True,
        coverage=coverage,
        coverage_error=math.sqrt(coverage * (1.0 - coverage) / given.sum()) if given.any() else math.nan,
        below=below,
        above=above,
        without_interval=float(1.0 - given.mean()),
    )
