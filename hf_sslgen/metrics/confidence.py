"""Prediction confidence: its level on right and wrong predictions, and how well it separates them.

The confidence p of a sample is its largest softmax probability; y is 1 where the prediction is correct, else 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.inputs import FloatArray, confidences_and_correct
from hf_sslgen.metrics.intervals import LEVEL
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult
from hf_sslgen.metrics.two_groups import MIN_OUTCOMES, confidence_interval, outcome_interval

BESIDE = 1e-9


@dataclass(frozen=True, eq=False)
class ConfidenceResult(MetricResult):
    """Confidence numbers; undefined ones (for example without incorrect predictions) are NaN, with a `reason`."""

    mean_confidence: float
    mean_confidence_correct: float
    mean_confidence_incorrect: float
    gap: float
    auroc: float
    n: int
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def prediction_confidence(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> ConfidenceResult:
    """Measure how confident predictions are, and how well confidence separates right from wrong.

        gap = mean p - accuracy                       (positive: over-confident)
        auroc = P(p_correct > p_incorrect) + P(p_correct = p_incorrect) / 2

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.

    Returns:
        Result in which `auroc` and the mean over the missing side are NaN, with a `reason`, if all predictions are
        right or all are wrong.

    >>> result = prediction_confidence([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 0])
    >>> round(result.gap, 3), result.auroc
    (0.25, 1.0)
    """
    p, y = confidences_and_correct(confidences, correct)
    intervals = {
        "mean_confidence": confidence_interval(p, p),
        "gap": outcome_interval(p - y, y),
        "auroc": NO_INTERVAL,
    }
    reason = ""
    auroc = math.nan
    if y.all():
        reason = "every prediction is correct: no AUROC and no confidence on incorrect predictions"
    elif not y.any():
        reason = "every prediction is incorrect: no AUROC and no confidence on correct predictions"
    else:
        auroc, intervals["auroc"] = _auroc(p[y], p[~y])
    return ConfidenceResult(
        mean_confidence=float(p.mean()),
        mean_confidence_correct=float(p[y].mean()) if y.any() else math.nan,
        mean_confidence_incorrect=float(p[~y].mean()) if not y.all() else math.nan,
        gap=float((p - y).mean()),
        auroc=auroc,
        n=len(p),
        reason=reason,
        intervals=intervals,
    )


def _auroc(right: FloatArray, wrong: FloatArray) -> tuple[float, Interval]:
    """Compute AUROC and its interval, given at least ten samples in either class.

    Each bound is the wider of two. The interval of DeLong, DeLong and Clarke-Pearson (1988), symmetric in
    log(AUROC / (1 - AUROC)) with Student's t for the smaller class, collapses if the samples of one class happen to be
    tied or nearly all exceed those of the other. Newcombe's score interval (2006) with the variance of Hanley and
    McNeil (1982) ignores placements, and so is too narrow if ties split them in two.
    """
    m, n = len(right), len(wrong)
    ranks = scipy.stats.rankdata(np.concatenate([right, wrong]))
    # The share of the other class that a sample exceeds, with ties counting half.
    exceeded_by_right = (ranks[:m] - scipy.stats.rankdata(right)) / n
    exceeded_by_wrong = (ranks[m:] - scipy.stats.rankdata(wrong)) / m
    auroc = float(exceeded_by_right.mean())
    if min(m, n) < MIN_OUTCOMES:
        return auroc, NO_INTERVAL
    low, high = _score_limits(auroc, m, n)
    variance = float(exceeded_by_right.var(ddof=1) / m + exceeded_by_wrong.var(ddof=1) / n)
    if 0.0 < auroc < 1.0:
        quantile = float(scipy.special.stdtrit(min(m, n) - 1, (1.0 + LEVEL) / 2.0))
        half_width = quantile * float(np.sqrt(variance)) / (auroc * (1.0 - auroc))
        centre = float(scipy.special.logit(auroc))
        low = min(low, float(scipy.special.expit(centre - half_width)))
        high = max(high, float(scipy.special.expit(centre + half_width)))
    return auroc, Interval(low, high)


def _score_limits(auroc: float, m: int, n: int) -> tuple[float, float]:
    """Find the AUROCs whose Hanley-McNeil standard error, at the mean size of both classes, reaches the estimate."""
    z = float(scipy.special.ndtri((1.0 + LEVEL) / 2.0))
    others = (m + n) / 2.0 - 1.0

    def excess(x: float) -> float:
        variance = x * (1.0 - x) * (1.0 + others * (1.0 - x) / (2.0 - x) + others * x / (1.0 + x)) / (m * n)
        return (auroc - x) ** 2 - z**2 * variance

    # At 0 and 1 the standard error vanishes, which would end the search there, so it starts next to them.
    low = 0.0 if auroc == 0.0 else float(scipy.optimize.brentq(excess, 0.0, auroc * (1.0 - BESIDE)))
    return low, 1.0 if auroc == 1.0 else float(scipy.optimize.brentq(excess, auroc + (1.0 - auroc) * BESIDE, 1.0))
