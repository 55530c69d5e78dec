"""Consistency of predictions under a transform of the image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import BoolArray, label_array, require_equal_lengths
from hf_sslgen.metrics.ratio import ratio_influence
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult
from hf_sslgen.metrics.shares import effective_share_interval, share_interval


@dataclass(frozen=True, eq=False)
class ConsistencyResult(MetricResult):
    """`prediction_consistency` is 1 minus the flip rate; `kappa` is NaN, with a `reason`, if chance always agrees."""

    prediction_consistency: float
    kappa: float
    n: int
    per_sample_consistent: BoolArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def prediction_consistency(predictions: npt.ArrayLike, transformed_predictions: npt.ArrayLike) -> ConsistencyResult:
    """Compute the share of images whose predicted class stays, and that share corrected for chance (Cohen 1960).

        prediction_consistency = sum_i [prediction_i = transformed_prediction_i] / N
        kappa = (prediction_consistency - e) / (1 - e),   e = sum_c share_c(predictions) share_c(transformed)

    Args:
        predictions: predicted labels of the images, shape (N,).
        transformed_predictions: those of their transformed versions, shape (N,).

    Returns:
        Result in which `kappa` is NaN, with a `reason`, if all predictions are one class. Its interval is that of the
        share of flips, with the effective number of images implied by kappa's variance (delta method).

    >>> result = prediction_consistency([0, 0, 1, 1], [0, 1, 1, 1])
    >>> result.prediction_consistency, result.kappa
    (0.75, 0.5)
    """
    clean = label_array(predictions, "predictions")
    moved = label_array(transformed_predictions, "transformed_predictions")
    require_equal_lengths(predictions=clean, transformed_predictions=moved)
    consistent = clean == moved
    n, num_consistent = len(clean), int(consistent.sum())

    classes, index = np.unique(np.concatenate([clean, moved]), return_inverse=True)
    before, after = index[:n], index[n:]
    counts, moved_counts = (np.bincount(part, minlength=len(classes)) for part in (before, after))
    agreeing_pairs = int(counts @ moved_counts)  # in integers, so that full agreement is detected exactly
    kappa, reason = float("nan"), ""
    if agreeing_pairs == n * n:
        reason = "every prediction is the same class, so chance agrees as well"
    else:
        kappa = (num_consistent * n - agreeing_pairs) / (n * n - agreeing_pairs)
    intervals = {"prediction_consistency": share_interval(num_consistent, n), "kappa": NO_INTERVAL}
    if not reason:
        # kappa is 1 - mean(flip) / mean(disagreement by chance), and a sample contributes to both margins.
        influence = ratio_influence(
            1.0 - consistent, 1.0 - moved_counts[before] / n, 1.0 - counts[after] / n, np.zeros(n, dtype=np.int64)
        )
        by_chance = 1.0 - agreeing_pairs / n**2
        flips = effective_share_interval(1.0 - num_consistent / n, float(influence.var()) * by_chance**2, n)
        low, high = max(-1.0, 1.0 - flips.high / by_chance), 1.0 - flips.low / by_chance
        intervals["kappa"] = Interval(min(low, kappa), max(high, kappa))  # up to rounding
    return ConsistencyResult(
        prediction_consistency=num_consistent / n,
        kappa=kappa,
        n=n,
        per_sample_consistent=consistent,
        reason=reason,
        intervals=intervals,
    )
