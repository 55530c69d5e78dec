"""The percentile bootstrap of `hf_sslgen.metrics.comparison`, for thousands of data sets at once.

Its seed and number of resamples are fixed, so all data sets of one size meet the same resampling weights. Statistics
made of weighted sums then take one product of matrices, which gives the bounds that `bootstrap_interval` gives.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hf_sslgen.metrics import InvarianceResult, bootstrap_interval
from hf_sslgen.metrics.comparison import MAX_UNDEFINED_SHARE
from hf_sslgen.metrics.inputs import BoolArray, FloatArray, IntArray
from hf_sslgen.metrics.ratio import ratio_influence

LEVEL = 0.95


@dataclass(frozen=True, eq=False)
class Resampled:
    """A number that is a function of weighted sums over samples.

    Attributes:
        columns: what is summed, shape (N, k).
        combine: from R rows of sums (R, k) to R values.
        withheld: whether the toolkit prints no interval for this data set.
    """

    columns: FloatArray
    combine: Callable[[FloatArray], FloatArray]
    withheld: bool = False

    def value(self) -> float:
        return float(self.combine(self.columns.sum(axis=0, keepdims=True))[0])


def resampled_mean(values: FloatArray) -> Resampled:
    """Mean of the entries that are not NaN."""
    defined = ~np.isnan(values)
    columns = np.stack([np.where(defined, values, 0.0), defined], axis=1)
    return Resampled(columns, lambda sums: _ratio(sums[:, 0], sums[:, 1]))


def resampled_per_class(correct: BoolArray, references: IntArray, num_classes: int) -> Resampled:
    """Mean over classes of accuracy, without the classes that a resample doesn't draw."""
    members = references[:, None] == np.arange(num_classes)

    def combine(sums: FloatArray) -> FloatArray:
        hits, sizes = sums[:, :num_classes], sums[:, num_classes:]
        return (hits / np.maximum(sizes, 1.0)).sum(axis=1) / (sizes > 0.0).sum(axis=1)

    return Resampled(np.concatenate([members & correct[:, None], members], axis=1).astype(np.float64), combine)


def resampled_invariance(result: InvarianceResult) -> Resampled:
    """Chance-corrected cosine without groups, linearised."""
    influence = ratio_influence(
        1.0 - result.per_sample_cosine,
        1.0 - result.per_sample_chance_cosine,
        1.0 - result.per_sample_candidate_chance_cosine,
        np.zeros(result.n, dtype=np.int64),
    )
    return resampled_mean(result.invariance + influence)


def resampled_difference(a: Resampled, b: Resampled) -> Resampled:
    """a - b on the same resamples."""
    return _joined(a, b, lambda x, y: x - y)


def resampled_average(a: Resampled, b: Resampled) -> Resampled:
    """(a + b) / 2 on the same resamples."""
    return _joined(a, b, lambda x, y: (x + y) / 2.0)


def resampling_weights(n: int) -> FloatArray:
    """How often each resample draws each of n samples, shape (R, n), as `bootstrap_interval` draws them."""
    chunks: list[FloatArray] = []

    def keep(weights: FloatArray) -> FloatArray:
        chunks.append(weights)
        return np.zeros(len(weights))

    bootstrap_interval(keep, n)
    return np.concatenate(chunks[1:])  # the first call is the sample itself


def percentile_intervals(numbers: Sequence[Resampled], weights: FloatArray) -> list[tuple[float, float]]:
    """Bounds of each number; NaN where they are withheld or more than 1% of its resamples are undefined."""
    sums = weights @ np.concatenate([number.columns for number in numbers], axis=1)
    stops = np.cumsum([number.columns.shape[1] for number in numbers])
    intervals = []
    for number, start, stop in zip(numbers, [0, *stops[:-1]], stops, strict=True):
        if number.withheld:
            intervals.append((float("nan"), float("nan")))
            continue
        values = number.combine(sums[:, start:stop])
        defined = ~np.isnan(values)
        if np.isnan(number.value()) or 1.0 - defined.mean() > MAX_UNDEFINED_SHARE:
            intervals.append((float("nan"), float("nan")))
            continue
        low, high = np.quantile(values[defined], [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
        intervals.append((float(low), float(high)))
    return intervals


def _joined(a: Resampled, b: Resampled, operation: Callable[[FloatArray, FloatArray], FloatArray]) -> Resampled:
    split = a.columns.shape[1]
    columns = np.concatenate([a.columns, b.columns], axis=1)
    return Resampled(columns, lambda sums: operation(a.combine(sums[:, :split]), b.combine(sums[:, split:])))


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    usable = denominator > 0
    return np.where(usable, numerator / np.where(usable, denominator, 1.0), np.nan)
