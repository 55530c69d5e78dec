"""Run the functions named in the catalogue's rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.rows import measured_on
from hf_sslgen.metrics.comparison import Estimate, estimate_of
from hf_sslgen.metrics.results import NO_INTERVAL, MetricResult


@dataclass(frozen=True, eq=False)
class Measurements:
    """The measurements of one subject.

    Attributes:
        estimates: each number by its name, with its 95% interval over images if it has a valid one; a number that is
            undefined for every image is NaN with a reason. `n` also counts images that lack the number.
        num_undefined: for each number, how many of its images lack it.
        columns: columns added to the records, (N,) each.
    """

    estimates: dict[str, Estimate]
    num_undefined: dict[str, int]
    columns: dict[str, NDArray[Any]]


def measure(subject: Subject, *arguments: Any, part: str = "") -> Measurements:
    """Measure every number of a subject, running each function once.

    Args:
        arguments: arguments of the functions, as described in `Subject`.
        part: the re-initialised part of the network, for `Subject.RANDOMISED`.
    """
    results: dict[Any, MetricResult | None] = {}
    found = Measurements({}, {}, {})
    for metric, measured in measured_on(subject, part):
        if measured.function not in results:
            results[measured.function] = measured.function(*arguments)
        result = results[measured.function]
        if result is None:
            continue
        columns = {column.name: column.of(result, *arguments) for column in metric.columns}
        found.columns.update(columns)
        found.estimates[metric.name] = _estimate(measured.field, result)
        if measured.count_undefined is not None:
            found.num_undefined[metric.name] = measured.count_undefined(*arguments)
        else:
            found.num_undefined[metric.name] = int(np.isnan(next(iter(columns.values()), np.empty(0))).sum())
    return found


def _estimate(field: str | Callable[[Any], float], result: MetricResult) -> Estimate:
    if isinstance(field, str):
        return estimate_of(result, field)
    value = field(result)
    return Estimate(value, *NO_INTERVAL, vars(result)["n"], vars(result)["reason"] if np.isnan(value) else "")
