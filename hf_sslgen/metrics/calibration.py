"""Equal-width calibration error, and its value for a calibrated model.

The confidence p of a sample is its largest softmax probability; y is 1 where the prediction is correct, else 0.
Confidences are compared with bin edges in float64 after upcasting: float32 0.3 exceeds 3/10, so it falls into the bin
after that of float64 0.3.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    confidence_array,
    confidences_and_correct,
    open_unit_level,
    positive_integer,
)
from hf_sslgen.metrics.poisson_binomial import mean_absolute_deviations
from hf_sslgen.metrics.results import MetricResult

SIMULATION_ENTRIES = 1_000_000  # uniform draws held at a time, 8 MB


@dataclass(frozen=True, eq=False)
class CalibrationResult(MetricResult):
    """Calibration errors over M equal-width bins, with the table they are computed from.

    Attributes:
        expected_calibration_error, l2_calibration_error, maximum_calibration_error: l1, l2 and largest error of a bin.
        ece_if_calibrated: expected l1 error of a calibrated model.
        ece_if_calibrated_95: bound that this error stays below in 95% of simulations; NaN without simulations.
        n, num_bins: N and M.
        bin_edges, bin_counts, bin_confidence, bin_accuracy: (M + 1,) edges and (M,) counts, means of p and of y; NaN
            means for empty bins.
    """

    expected_calibration_error: float
    l2_calibration_error: float
    maximum_calibration_error: float
    ece_if_calibrated: float
    ece_if_calibrated_95: float
    n: int
    num_bins: int
    bin_edges: FloatArray
    bin_counts: IntArray
    bin_confidence: FloatArray
    bin_accuracy: FloatArray


@dataclass(frozen=True, eq=False)
class ReliabilityBins(MetricResult):
    """The table of a `CalibrationResult`, without the errors: (M + 1,) edges, (M,) counts, and means of p and of y."""

    bin_edges: FloatArray
    bin_counts: IntArray
    bin_confidence: FloatArray
    bin_accuracy: FloatArray


@dataclass(frozen=True, eq=False)
class ReliabilityNullBand(MetricResult):
    """Per bin, the quantiles between which accuracy lies under perfect calibration; NaN for empty bins."""

    level: float
    bin_edges: FloatArray
    bin_counts: IntArray
    low: FloatArray
    high: FloatArray


def expected_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 15, num_simulations: int = 0, seed: int = 0
) -> CalibrationResult:
    """Compute the equal-width expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017).

        l1:       ECE = sum_b n_b / N |acc_b - conf_b|
        l2:       sqrt(sum_b n_b / N (acc_b - conf_b)^2)
        maximum:  max_b |acc_b - conf_b|

    Bins are (b/M, (b+1)/M], and the first also contains 0. The estimate is biased upward, and a bootstrap interval
    around it does not cover, so it is reported with its expectation for a perfectly calibrated model,
    y_i ~ Bernoulli(p_i), from the distribution of each bin's number of hits (`poisson_binomial`):

        ece_if_calibrated = sum_b E|sum_{i in b} (y_i - p_i)| / N

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.
        num_bins: M.
        num_simulations: number of draws of y from a calibrated model for `ece_if_calibrated_95`; 0 skips it.
        seed: seed of these draws.

    >>> result = expected_calibration_error([0.3, 0.35], [1, 0], num_bins=10)
    >>> round(result.expected_calibration_error, 3), result.bin_counts.tolist()
    (0.525, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0])
    """
    num_bins = positive_integer(num_bins, "num_bins")
    num_simulations = positive_integer(num_simulations, "num_simulations", minimum=0)
    p, y = confidences_and_correct(confidences, correct)
    edges, index = assign_bins(p, num_bins)
    counts, sum_p, sum_y = _sums(p, y, index, num_bins)
    excess = np.abs(sum_y - sum_p)
    filled = counts > 0
    bins = _table(edges, counts, sum_p, sum_y)

    percentile = float("nan")
    if num_simulations:
        hits = simulate_bin_hits(p, index, num_simulations, seed)
        errors = np.abs(hits - sum_p[filled]).sum(axis=1) / len(p)
        percentile = float(np.quantile(errors, 0.95))
    return CalibrationResult(
        expected_calibration_error=float(excess.sum() / len(p)),
        l2_calibration_error=float(np.sqrt((excess[filled] ** 2 / counts[filled]).sum() / len(p))),
        maximum_calibration_error=float((excess[filled] / counts[filled]).max()),
        ece_if_calibrated=float(mean_absolute_deviations(p, index, num_bins).sum() / len(p)),
        ece_if_calibrated_95=percentile,
        n=len(p),
        num_bins=num_bins,
        **vars(bins),
    )


def reliability_bins(confidences: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 15) -> ReliabilityBins:
    """The bins of `expected_calibration_error`, for a picture of models whose errors are known.

    Args:
        confidences, correct, num_bins: as there.

    >>> reliability_bins([0.3, 0.35, 0.38], [1, 0, 0], num_bins=5).bin_accuracy.round(3).tolist()
    [nan, 0.333, nan, nan, nan]
    """
    num_bins = positive_integer(num_bins, "num_bins")
    p, y = confidences_and_correct(confidences, correct)
    edges, index = assign_bins(p, num_bins)
    return _table(edges, *_sums(p, y, index, num_bins))


def _sums(p: FloatArray, y: BoolArray, index: IntArray, num_bins: int) -> tuple[IntArray, FloatArray, FloatArray]:
    """Per bin: how many samples, and the sums of p and of y."""
    counts = np.bincount(index, minlength=num_bins)
    sum_p, sum_y = (np.bincount(index, weights=values, minlength=num_bins).astype(np.float64) for values in (p, y))
    return counts, sum_p, sum_y


def _table(edges: FloatArray, counts: IntArray, sum_p: FloatArray, sum_y: FloatArray) -> ReliabilityBins:
    sizes = np.where(counts > 0, counts, np.nan)
    return ReliabilityBins(edges, counts, sum_p / sizes, sum_y / sizes)


def reliability_null_band(
    confidences: npt.ArrayLike, num_bins: int = 15, level: float = 0.95, seed: int = 0, num_simulations: int = 1000
) -> ReliabilityNullBand:
    """Compute the band for each bar of a reliability diagram under calibration (Broecker and Smith 2007).

    Confidences are fixed and y_i ~ Bernoulli(p_i) is drawn `num_simulations` times; the band is the central `level` of
    each bin's simulated accuracy, bin by bin (not simultaneous over bins).

    Args:
        confidences: p, shape (N,), in [0, 1].
        num_bins, level, seed, num_simulations: M, the band's coverage, and the simulation's seed and size.
    """
    num_bins = positive_integer(num_bins, "num_bins")
    num_simulations = positive_integer(num_simulations, "num_simulations")
    level = open_unit_level(level, "level")
    p = confidence_array(confidences, "confidences")
    edges, index = assign_bins(p, num_bins)
    counts = np.bincount(index, minlength=num_bins)
    filled = counts > 0
    hits = simulate_bin_hits(p, index, num_simulations, seed)
    low, high = np.full(num_bins, np.nan), np.full(num_bins, np.nan)
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    low[filled], high[filled] = np.quantile(hits / counts[filled], tails, axis=0)
    return ReliabilityNullBand(level=level, bin_edges=edges, bin_counts=counts, low=low, high=high)


def assign_bins(p: FloatArray, num_bins: int) -> tuple[FloatArray, IntArray]:
    """Return edges b / M of shape (M + 1,), and the right-closed bin of each entry of `p`, in its shape."""
    # linspace is avoided because linspace(0, 1, 11)[3] exceeds 0.3, putting 0.3 on the wrong side of its own edge.
    edges = np.arange(num_bins + 1) / num_bins
    index = np.maximum(np.searchsorted(edges, p, side="left") - 1, 0)
    return edges, index.astype(np.int64)


def simulate_bin_hits(p: FloatArray, index: IntArray, num_simulations: int, seed: int) -> FloatArray:
    """Simulate the sum of y_i ~ Bernoulli(p_i) in each non-empty bin, shape (num_simulations, non-empty bins).

    The result does not depend on the order of the samples.
    """
    order = np.lexsort((p, index))  # bins become runs, which reduceat can sum
    p = p[order]
    _, starts = np.unique(index[order], return_index=True)
    generator = np.random.default_rng(seed)
    rows = max(1, SIMULATION_ENTRIES // len(p))
    hits = np.empty((num_simulations, len(starts)))
    for start in range(0, num_simulations, rows):
        stop = min(start + rows, num_simulations)
        outcomes = generator.random((stop - start, len(p))) < p
        hits[start:stop] = np.add.reduceat(outcomes, starts, axis=1, dtype=np.int64)
    return hits
