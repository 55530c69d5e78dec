"""A cell's numbers from estimates and from what single images add."""

import math

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import Estimate, Interval
from hf_sslgen.metrics.catalogue.measurement import Measurements
from hf_sslgen.metrics.defined import interval_of_defined
from hf_sslgen.metrics.stages import Stage

UNDEFINED = "the number is undefined for all images"


def number_of(
    metric: str,
    estimate: Estimate,
    stage: Stage,
    transform: str = "",
    severity: str = "",
    num_undefined: int = 0,
) -> Number:
    """Build a number from its estimate, with `num_undefined` of its images left out."""
    return Number(
        metric,
        estimate.value,
        estimate.low,
        estimate.high,
        estimate.n - num_undefined,
        stage,
        transform,
        severity,
        num_undefined,
        estimate.reason,
    )


def numbers_of(measurements: Measurements, stage: Stage) -> list[Number]:
    """The numbers of what was measured on images as they are."""
    return [
        number_of(metric, estimate, stage, num_undefined=measurements.num_undefined[metric])
        for metric, estimate in measurements.estimates.items()
    ]


def mean_number(
    metric: str, values: NDArray[np.float64], stage: Stage, transform: str = "", interval: Interval | None = None
) -> Number:
    """Build a mean over images with its interval, by default that of a mean.

    Args:
        values: each image's value, (N,).
    """
    value = float(values.mean())
    low, high = interval_of_defined(values) if interval is None else interval
    reason = UNDEFINED if math.isnan(value) else ""
    return Number(metric, value, low, high, len(values), stage, transform, reason=reason)
