"""What every metric returns: a frozen dataclass that prints readably and turns into plain JSON-able values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

PER_SAMPLE = "per_sample_"
INTERVALS = "intervals"


class Interval(NamedTuple):
    """A 95% interval; both bounds are NaN where there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class MetricResult:
    """Base of all results.

    Fields whose name starts with `per_sample` hold one value per sample, NaN where undefined. A field `intervals` maps
    the names of other fields to their 95% intervals over samples; a number that is not in it, or whose bounds are NaN,
    has no valid one. Text leaves fields with `repr=False` out.
    Results holding arrays compare by identity, since arrays have no single truth value.
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields but the per-sample arrays, arrays as lists, the interval of `x` as `x_interval`: [low, high].

        Undefined numbers stay float NaN.
        """
        values: dict[str, Any] = {}
        intervals = self._intervals()
        for field in fields(self):
            if field.name.startswith(PER_SAMPLE) or field.name == INTERVALS:
                continue
            value = vars(self)[field.name]
            values[field.name] = value.tolist() if isinstance(value, np.ndarray) else value
            if field.name in intervals:
                values[f"{field.name}_interval"] = list(intervals[field.name])
        return values

    def estimate(self, field: str) -> "Estimate":
        """A number of this result with its interval over samples, NaN where it has no valid one; why, if it is NaN.

        Args:
            field: the number's name; the result has `n`, and where numbers can be undefined a `reason`.
        """
        values = vars(self)
        value = float(values[field])
        reason = values.get("reason", "") if math.isnan(value) else ""
        return Estimate(value, *self._intervals().get(field, NO_INTERVAL), values["n"], reason)

    def _intervals(self) -> Mapping[str, Interval]:
        intervals: Mapping[str, Interval] = vars(self).get(INTERVALS, {})
        return intervals

    def __str__(self) -> str:
        parts = []
        intervals = self._intervals()
        for field in fields(self):
            value = vars(self)[field.name]
            is_text = isinstance(value, (bool, int, float, str)) and value != ""  # an empty reason says nothing
            if field.name.startswith(PER_SAMPLE) or not field.repr or not is_text:
                continue  # tables are read from their fields
            part = f"{field.name} = {value:.4g}" if isinstance(value, float) else f"{field.name} = {value}"
            low, high = intervals.get(field.name, NO_INTERVAL)
            if not math.isnan(low):
                part += f" [{low:.4g}, {high:.4g}]"
            parts.append(part)
        return f"{type(self).__name__}: {', '.join(parts)}"


@dataclass(frozen=True)
class Estimate(MetricResult):
    """A value with its interval over `n` images. NaN bounds come with a `reason`."""

    value: float
    low: float
    high: float
    n: int
    reason: str = ""

    @property
    def decided(self) -> bool:
        """True where the interval excludes zero; an interval that could not be had decides nothing."""
        return self.low > 0.0 or self.high < 0.0
