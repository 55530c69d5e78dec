"""Prediction confidence, calibration error and proper scores.

The confidence p of a sample is its largest softmax probability; y is 1 where the prediction is correct, else 0.
Comparisons with bin edges are made in float64 after upcasting: float32 0.3 is greater than 3/10, so it falls in the
bin after the one that float64 0.3 falls in.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    binary_array,
    confidence_array,
    float_array,
    label_array,
    open_unit_level,
    positive_integer,
    probability_array,
    require_equal_lengths,
)
from hf_sslgen.metrics.results import MetricResult

MIN_PROBABILITY = 1e-12
SIMULATION_ENTRIES = 1_000_000  # uniform draws held at a time, 8 MB


@dataclass(frozen=True, eq=False)
class ConfidenceResult(MetricResult):
    """Numbers that don't exist (no incorrect prediction, say) are NaN, and `reason` says why."""

    mean_confidence: float
    mean_confidence_correct: float
    mean_confidence_incorrect: float
    gap: float
    auroc: float
    n: int
    reason: str = ""


@dataclass(frozen=True, eq=False)
class CalibrationResult(MetricResult):
    """Expected calibration error with its table: M + 1 edges, and M counts, mean confidences and accuracies."""

    expected_calibration_error: float
    ece_if_calibrated: float
    n: int
    num_bins: int
    bin_edges: FloatArray
    bin_counts: IntArray
    bin_confidence: FloatArray
    bin_accuracy: FloatArray


@dataclass(frozen=True, eq=False)
class ProperScoreResult(MetricResult):
    """A score that is a mean over samples, lower being better, with its N per-sample values."""

    mean: float
    n: int
    per_sample: FloatArray


@dataclass(frozen=True, eq=False)
class ReliabilityNullBand(MetricResult):
    """Per bin, the quantiles between which accuracy lies under perfect calibration; NaN where the bin is empty."""

    level: float
    bin_edges: FloatArray
    bin_counts: IntArray
    low: FloatArray
    high: FloatArray


def prediction_confidence(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> ConfidenceResult:
    """How confident predictions are, and whether confidence tells right from wrong.

        gap = mean p - accuracy                       (positive: over-confident)
        auroc = P(p_correct > p_incorrect) + P(p_correct = p_incorrect) / 2

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.

    Returns:
        With all predictions right (or all wrong), `auroc` and the mean over the missing side are NaN with a `reason`.
    """
    p, y = _confidences_and_correct(confidences, correct)
    n_correct, n_incorrect = int(y.sum()), int((~y).sum())
    reason = ""
    auroc = float("nan")
    if n_incorrect == 0:
        reason = "every prediction is correct: no AUROC and no confidence on incorrect predictions"
    elif n_correct == 0:
        reason = "every prediction is incorrect: no AUROC and no confidence on correct predictions"
    else:
        _, inverse, counts = np.unique(p, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # from 1, tied values sharing their mean rank
        auroc = float((ranks[y].sum() - n_correct * (n_correct + 1) / 2) / (n_correct * n_incorrect))
    return ConfidenceResult(
        mean_confidence=float(p.mean()),
        mean_confidence_correct=float(p[y].mean()) if n_correct else float("nan"),
        mean_confidence_incorrect=float(p[~y].mean()) if n_incorrect else float("nan"),
        gap=float(p.mean() - y.mean()),
        auroc=auroc,
        n=len(p),
        reason=reason,
    )


def expected_calibration_error(
    confidences: npt.ArrayLike, correct: npt.ArrayLike, num_bins: int = 15
) -> CalibrationResult:
    """Equal-width, l1 expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017).

        ECE = sum_b n_b / N |acc_b - conf_b|

    Bins are (b/M, (b+1)/M], and the first also holds 0. The estimate is biased upward and a bootstrap interval around
    it does not cover, so it comes with the value to expect from a perfectly calibrated model, y_i ~ Bernoulli(p_i), by
    the normal approximation to each bin's sum of residuals:

        ece_if_calibrated = sqrt(2 / pi) sum_b sqrt(sum_{i in b} p_i (1 - p_i)) / N

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.
        num_bins: M.

    Returns:
        The error, its null value and the table of bins; mean confidence and accuracy of an empty bin are NaN.
    """
    num_bins = positive_integer(num_bins, "num_bins")
    p, y = _confidences_and_correct(confidences, correct)
    edges, index = _assign_bins(p, num_bins)
    counts = np.bincount(index, minlength=num_bins)
    sum_p = np.bincount(index, weights=p, minlength=num_bins)
    sum_y = np.bincount(index, weights=y, minlength=num_bins)
    variance = np.bincount(index, weights=p * (1.0 - p), minlength=num_bins)
    sizes = np.where(counts > 0, counts, np.nan)
    return CalibrationResult(
        expected_calibration_error=float(np.abs(sum_y - sum_p).sum() / len(p)),
        ece_if_calibrated=float(np.sqrt(2.0 / np.pi) * np.sqrt(variance).sum() / len(p)),
        n=len(p),
        num_bins=num_bins,
        bin_edges=edges,
        bin_counts=counts,
        bin_confidence=sum_p / sizes,
        bin_accuracy=sum_y / sizes,
    )


def reliability_null_band(
    confidences: npt.ArrayLike, num_bins: int = 15, level: float = 0.95, seed: int = 0, num_simulations: int = 1000
) -> ReliabilityNullBand:
    """Where each bar of a reliability diagram would lie if the model were calibrated (Broecker and Smith 2007).

    Confidences are kept and y_i ~ Bernoulli(p_i) is drawn `num_simulations` times; the band is the central `level` of
    each bin's simulated accuracy, bin by bin (not simultaneous over bins).

    Args:
        confidences: p, shape (N,), in [0, 1].
        num_bins, level, seed, num_simulations: M, the band's coverage, and the simulation's seed and size.
    """
    num_bins = positive_integer(num_bins, "num_bins")
    num_simulations = positive_integer(num_simulations, "num_simulations")
    level = open_unit_level(level, "level")
    p = confidence_array(confidences, "confidences")
    p = np.sort(p)  # bins become runs, which reduceat can sum
    edges, index = _assign_bins(p, num_bins)
    filled, starts = np.unique(index, return_index=True)
    counts = np.bincount(index, minlength=num_bins)

    generator = np.random.default_rng(seed)
    rows = max(1, SIMULATION_ENTRIES // len(p))
    hits = np.empty((num_simulations, len(filled)))
    for start in range(0, num_simulations, rows):
        stop = min(start + rows, num_simulations)
        outcomes = generator.random((stop - start, len(p))) < p
        hits[start:stop] = np.add.reduceat(outcomes, starts, axis=1, dtype=np.int64)
    low, high = np.full(num_bins, np.nan), np.full(num_bins, np.nan)
    tails = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    low[filled], high[filled] = np.quantile(hits / counts[filled], tails, axis=0)
    return ReliabilityNullBand(level=level, bin_edges=edges, bin_counts=counts, low=low, high=high)


def brier_score(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool = False
) -> ProperScoreResult:
    """Multi-class Brier score (Brier 1950), from 0 to 2; scikit-learn's binary form is half of it.

        brier_i = sum_c (p_ic - [reference_i = c])^2

    Args:
        probabilities: shape (N, C), rows summing to 1; or finite logits where `from_logits` is True.
        references: true labels, shape (N,), in [0, C).
        from_logits: apply a float64 softmax first. Logits are never recognised by their values.
    """
    log_or_p, true = _class_scores_and_references(probabilities, references, from_logits)
    p = np.exp(log_or_p) if from_logits else log_or_p
    p[np.arange(len(true)), true] -= 1.0
    per_sample = np.square(p).sum(axis=1)
    return ProperScoreResult(mean=float(per_sample.mean()), n=len(true), per_sample=per_sample)


def negative_log_likelihood(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool = False
) -> ProperScoreResult:
    """Negative log-likelihood of the true class in nats, with its probability clipped from below at 1e-12.

        nll_i = -log max(p_i[reference_i], 1e-12)

    Arguments are those of `brier_score`. Logits take the same clip, so both forms give one number.
    """
    log_or_p, true = _class_scores_and_references(probabilities, references, from_logits)
    of_true_class = log_or_p[np.arange(len(true)), true]
    log_p = of_true_class if from_logits else np.log(np.maximum(of_true_class, MIN_PROBABILITY))
    per_sample = np.abs(np.maximum(log_p, np.log(MIN_PROBABILITY)))  # log p <= 0, and abs turns -0.0 into 0.0
    return ProperScoreResult(mean=float(per_sample.mean()), n=len(true), per_sample=per_sample)


def _confidences_and_correct(confidences: Any, correct: Any) -> tuple[FloatArray, BoolArray]:
    p = confidence_array(confidences, "confidences")
    y = binary_array(correct, "correct", "1 where the prediction is right")
    require_equal_lengths(confidences=p, correct=y)
    return p, y


def _class_scores_and_references(scores: Any, references: Any, from_logits: bool) -> tuple[FloatArray, IntArray]:
    """Log-probabilities where `from_logits`, else probabilities, of shape (N, C); and labels of shape (N,)."""
    if from_logits:
        logits = float_array(scores, "probabilities", ("N", "C"))
        shifted = logits - logits.max(axis=1, keepdims=True)
        values = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    else:
        values = probability_array(scores, "probabilities")
    true = label_array(references, "references", num_classes=values.shape[1])
    require_equal_lengths(probabilities=values, references=true)
    return values, true


def _assign_bins(p: FloatArray, num_bins: int) -> tuple[FloatArray, IntArray]:
    # Not linspace: linspace(0, 1, 11)[3] exceeds 0.3, which would then fall on the wrong side of its own edge.
    edges = np.arange(num_bins + 1) / num_bins
    index = np.maximum(np.searchsorted(edges, p, side="left") - 1, 0)
    return edges, index.astype(np.int64)
