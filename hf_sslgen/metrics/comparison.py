"""Bootstrap intervals over images, for statistics without a closed-form interval.

Results, studies and reports use closed forms, which cover better (docs/estimators.md).

A statistic is a function from resampling weights of shape (R, N) to R values: row r counts how often each of the N
images was drawn in resample r, and a row of ones is the sample itself. Two bootstraps with the same seed and N draw
the same resamples, so differences are paired by construction. The images are the sampling unit: an interval applies
to these backbones on images like these, not to other backbones, seeds or targets.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.defined import mean_of_defined
from hf_sslgen.metrics.inputs import (
    FloatArray,
    IntArray,
    binary_array,
    float_array,
    label_array,
    open_unit_level,
    positive_integer,
    require_equal_lengths,
)
from hf_sslgen.metrics.invariance import chance_corrected
from hf_sslgen.metrics.ratio import ratio_values
from hf_sslgen.metrics.results import INTERVALS, NO_INTERVAL, MetricResult

Statistic = Callable[[FloatArray], FloatArray]

CHUNK_ENTRIES = 500_000  # weights resampled at a time: 4 MB per array, with a few arrays alive at once
MAX_UNDEFINED_SHARE = 0.01


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
        """Whether the interval excludes zero; False without an interval."""
        return self.low > 0.0 or self.high < 0.0


def estimate_of(result: MetricResult, field: str) -> Estimate:
    """Return a result's number, its interval over samples (NaN if none is valid), and the reason if it is NaN."""
    fields = vars(result)
    value = float(fields[field])
    low, high = fields.get(INTERVALS, {}).get(field, NO_INTERVAL)
    return Estimate(value, low, high, fields["n"], fields.get("reason", "") if np.isnan(value) else "")


def mean_statistic(values: npt.ArrayLike) -> Statistic:
    """Mean of per-sample values, shape (N,). NaN entries are left out; a resample with only NaN gives NaN."""
    x = float_array(values, "values", ("N",), allow_nan=True)
    defined = ~np.isnan(x)
    columns = np.stack([np.where(defined, x, 0.0), defined], axis=1)

    def statistic(weights: FloatArray) -> FloatArray:
        _require_weights(weights, len(x))
        sums = weights @ columns
        return _divide(sums[:, 0], sums[:, 1])

    return statistic


def mean_per_class_statistic(correct: npt.ArrayLike, references: npt.ArrayLike) -> Statistic:
    """Accuracy averaged over classes; a class that a resample did not draw is left out of that resample's mean.

    Args:
        correct: shape (N,), booleans or 0 and 1.
        references: true labels, shape (N,).
    """
    y = binary_array(correct, "correct", "1 where the prediction is right")
    true = label_array(references, "references")
    require_equal_lengths(correct=y, references=true)
    order = np.argsort(true, kind="stable")  # classes become runs, which reduceat can sum
    _, starts = np.unique(true[order], return_index=True)
    hits = y[order].astype(np.float64)

    def statistic(weights: FloatArray) -> FloatArray:
        _require_weights(weights, len(y))
        by_class = weights[:, order]
        sizes = np.add.reduceat(by_class, starts, axis=1)
        by_class *= hits
        per_class = np.add.reduceat(by_class, starts, axis=1) / np.maximum(sizes, 1.0)
        return _divide(per_class.sum(axis=1), (sizes > 0.0).sum(axis=1))

    return statistic


def invariance_values(
    per_sample_cosine: npt.ArrayLike,
    per_sample_chance_cosine: npt.ArrayLike,
    per_sample_candidate_chance_cosine: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
) -> FloatArray:
    """Compute values (N,) whose mean is the chance-corrected cosine, from the per-sample arrays of `invariance`.

    They are linearised: the value of the whole sample plus each image's influence on it. Chance is a mean over pairs,
    in which an image counts both as query and as candidate. They are NaN where the per-sample arrays are, and all NaN
    if the chance-corrected cosine is undefined.

    Args:
        groups: the labels passed to `invariance`, shape (N,).
    """
    cosine, query, candidate = (
        float_array(values, name, ("N",), allow_nan=True)
        for values, name in (
            (per_sample_cosine, "per_sample_cosine"),
            (per_sample_chance_cosine, "per_sample_chance_cosine"),
            (per_sample_candidate_chance_cosine, "per_sample_candidate_chance_cosine"),
        )
    )
    require_equal_lengths(
        per_sample_cosine=cosine, per_sample_chance_cosine=query, per_sample_candidate_chance_cosine=candidate
    )
    labels = np.zeros(len(cosine), dtype=np.int64) if groups is None else label_array(groups, "groups")
    require_equal_lengths(per_sample_cosine=cosine, groups=labels)
    if np.isnan(chance_corrected(mean_of_defined(cosine), mean_of_defined(query))):
        return np.full(len(cosine), np.nan)
    group: IntArray = np.unique(labels, return_inverse=True)[1]
    return ratio_values(1.0 - cosine, 1.0 - query, 1.0 - candidate, group)


def invariance_statistic(
    per_sample_cosine: npt.ArrayLike,
    per_sample_chance_cosine: npt.ArrayLike,
    per_sample_candidate_chance_cosine: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
) -> Statistic:
    """Chance-corrected cosine: the mean of `invariance_values`, with the same arguments."""
    return mean_statistic(
        invariance_values(per_sample_cosine, per_sample_chance_cosine, per_sample_candidate_chance_cosine, groups)
    )


def average_statistic(statistics: Sequence[Statistic]) -> Statistic:
    """Mean of several statistics of the same images, such as one per transform; NaN if any of them is."""
    members = tuple(statistics)
    if not members:
        raise ValueError("statistics must hold at least one statistic, got none")
    return lambda weights: np.mean([member(weights) for member in members], axis=0)


def difference_statistic(a: Statistic, b: Statistic) -> Statistic:
    """Difference a - b, both computed on the same resampled images."""
    return lambda weights: a(weights) - b(weights)


def bootstrap_interval(
    statistic: Statistic, n: int, num_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Estimate:
    """Compute a percentile bootstrap interval (Efron and Tibshirani 1993) over n images drawn with replacement.

    Args:
        statistic: function from weights (R, n) to R values.
        n: number of images.
        num_resamples, level, seed: total number of resamples, the interval's coverage, and the resamples' seed.

    Returns:
        The statistic of the sample and its interval. Bounds are NaN, with a `reason`, if the value is NaN, if n is 1,
        or if the statistic is undefined in more than 1% of the resamples; a smaller share is left out, which the
        `reason` states.
    """
    return bootstrap_intervals([statistic], n, num_resamples, level, seed)[0]


def bootstrap_intervals(
    statistics: Sequence[Statistic], n: int, num_resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> list[Estimate]:
    """Apply `bootstrap_interval` to several statistics with the same resamples."""
    n = positive_integer(n, "n")
    num_resamples = positive_integer(num_resamples, "num_resamples", minimum=2)
    level = open_unit_level(level, "level")
    ones = np.ones((1, n))
    values = [float(_evaluate(statistic, ones)[0]) for statistic in statistics]
    drawable = [index for index, value in enumerate(values) if n > 1 and not np.isnan(value)]

    resampled = np.empty((len(values), num_resamples))
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK_ENTRIES // n)
    for start in range(0, num_resamples if drawable else 0, rows):
        stop = min(start + rows, num_resamples)
        weights = _resampling_weights(generator, stop - start, n)
        for index in drawable:
            resampled[index, start:stop] = _evaluate(statistics[index], weights)
    return [
        _percentile_estimate(value, resampled[index] if index in drawable else None, n, level)
        for index, value in enumerate(values)
    ]


def _percentile_estimate(value: float, resampled: FloatArray | None, n: int, level: float) -> Estimate:
    """Build the estimate of one statistic; `resampled` is None if there was nothing to resample."""
    nan = float("nan")
    if resampled is None:
        undefined_value = "the statistic is undefined on the sample"
        reason = undefined_value if np.isnan(value) else "one image has no variation to resample"
        return Estimate(value=value, low=nan, high=nan, n=n, reason=reason)
    undefined = np.isnan(resampled)
    reason = f"undefined in {undefined.sum()} of {len(resampled)} resamples" if undefined.any() else ""
    if undefined.mean() > MAX_UNDEFINED_SHARE:
        return Estimate(value=value, low=nan, high=nan, n=n, reason=reason)
    low, high = np.quantile(resampled[~undefined], [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Estimate(value=value, low=float(low), high=float(high), n=n, reason=f"{reason}, left out" if reason else "")


def _resampling_weights(generator: np.random.Generator, rows: int, n: int) -> FloatArray:
    drawn = generator.integers(n, size=(rows, n))
    drawn += np.arange(rows)[:, None] * n  # every row counts into its own n bins
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _evaluate(statistic: Statistic, weights: FloatArray) -> FloatArray:
    values = statistic(weights)
    if values.shape != (len(weights),):
        raise ValueError(
            f"statistic must return shape ({len(weights)},) for weights {weights.shape}, got {values.shape}"
        )
    return values


def _require_weights(weights: FloatArray, n: int) -> None:
    if weights.ndim != 2 or weights.shape[1] != n:
        raise ValueError(f"weights must have shape (R, {n}) for a statistic of {n} images, got {weights.shape}")


def _divide(numerator: FloatArray, denominator: npt.NDArray[np.number]) -> FloatArray:
    usable = denominator > 0
    return np.where(usable, numerator / np.where(usable, denominator, 1.0), np.nan)
