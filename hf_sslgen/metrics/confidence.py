"""Prediction confidence: its level on right and wrong predictions, and whether it tells them apart.

The confidence p of a sample is its largest softmax probability; y is 1 where the prediction is correct, else 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from hf_sslgen.metrics.inputs import FloatArray, confidences_and_correct
from hf_sslgen.metrics.intervals import mean_interval
from hf_sslgen.metrics.results import Interval, MetricResult

_NAN = float("nan")


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
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def prediction_confidence(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> ConfidenceResult:
    """How confident predictions are, and whether confidence tells right from wrong.

        gap = mean p - accuracy                       (positive: over-confident)
        auroc = P(p_correct > p_incorrect) + P(p_correct = p_incorrect) / 2

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.

    Returns:
        With all predictions right (or all wrong), `auroc` and the mean over the missing side are NaN with a `reason`.

    >>> result = prediction_confidence([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 0])
    >>> round(result.gap, 3), result.auroc
    (0.25, 1.0)
    """
    p, y = confidences_and_correct(confidences, correct)
    intervals = {"mean_confidence": mean_interval(p), "gap": mean_interval(p - y)}
    reason = ""
    auroc = _NAN
    if y.all():
        reason = "every prediction is correct: no AUROC and no confidence on incorrect predictions"
    elif not y.any():
        reason = "every prediction is incorrect: no AUROC and no confidence on correct predictions"
    else:
        auroc, interval = _auroc(p[y], p[~y])
        if interval is not None:
            intervals["auroc"] = interval
    return ConfidenceResult(
        mean_confidence=float(p.mean()),
        mean_confidence_correct=float(p[y].mean()) if y.any() else _NAN,
        mean_confidence_incorrect=float(p[~y].mean()) if not y.all() else _NAN,
        gap=float((p - y).mean()),
        auroc=auroc,
        n=len(p),
        reason=reason,
        intervals=intervals,
    )


def _auroc(right: FloatArray, wrong: FloatArray) -> tuple[float, Interval | None]:
    """AUROC with the interval of DeLong, DeLong and Clarke-Pearson (1988), by ranks (Sun and Xu 2014)."""
    m, n = len(right), len(wrong)
    ranks = rankdata(np.concatenate([right, wrong]))
    # The share of the other side that a sample beats, ties counting half.
    beaten_by_right = (ranks[:m] - rankdata(right)) / n
    beaten_by_wrong = (ranks[m:] - rankdata(wrong)) / m
    auroc = float(beaten_by_right.mean())
    if min(m, n) < 2:
        return auroc, None
    variance = beaten_by_right.var(ddof=1) / m + beaten_by_wrong.var(ddof=1) / n
    half_width = 1.959963984540054 * float(np.sqrt(variance))
    return auroc, Interval(auroc - half_width, auroc + half_width)
