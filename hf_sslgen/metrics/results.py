"""Base class of metric results: frozen dataclasses that print readably and convert to plain JSON values."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np

PER_SAMPLE = "per_sample_"
INTERVALS = "intervals"


class Interval(NamedTuple):
    """A 95% interval; both bounds are NaN if there is none."""

    low: float
    high: float


NO_INTERVAL = Interval(float("nan"), float("nan"))


@dataclass(frozen=True, eq=False)
class MetricResult:
    """Base of all results.

    Fields whose names start with `per_sample` hold one value per sample, NaN where undefined. A field `intervals` maps
    the names of other fields to their 95% intervals over samples; a number that is missing from it, or whose bounds
    are NaN, has no valid interval. Printed text omits fields with `repr=False`. Results with arrays compare by
    identity, since arrays have no single truth value.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return all fields except per-sample arrays, with arrays as lists and intervals as `x_interval`: [low, high].

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

    def _intervals(self) -> Mapping[str, Interval]:
        intervals: Mapping[str, Interval] = vars(self).get(INTERVALS, {})
        return intervals

    def __str__(self) -> str:
        parts = []
        intervals = self._intervals()
        for field in fields(self):
            value = vars(self)[field.name]
            is_text = isinstance(value, (bool, int, float, str)) and value != ""  # omit an empty reason
            if field.name.startswith(PER_SAMPLE) or not field.repr or not is_text:
                continue  # tables are read from their fields
            part = f"{field.name} = {value:.4g}" if isinstance(value, float) else f"{field.name} = {value}"
            low, high = intervals.get(field.name, NO_INTERVAL)
            if not math.isnan(low):
                part += f" [{low:.4g}, {high:.4g}]"
            parts.append(part)
        return f"{type(self).__name__}: {', '.join(parts)}"
