"""Temperature scaling: divide logits by one number, fitted on validation logits, to calibrate them.

Fitting and applying are separate functions, and a fit refuses the logits it was fitted on, because scores after
scaling are meant for unseen samples.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.class_scores import ClassScores, class_scores, class_scores_and_references
from hf_sslgen.metrics.inputs import FloatArray, IntArray
from hf_sslgen.metrics.results import MetricResult

LARGEST_DIFFERENCE = 1e150  # of two logits of a sample; sums and products of larger ones would leave float64's range
NEGLIGIBLE = 1e-12  # slopes of NLL below this share of the logits' spread are rounding


@dataclass(frozen=True, eq=False)
class TemperatureFit(MetricResult):
    """A temperature with the mean negative log-likelihood of the validation samples before and after it.

    Attributes:
        temperature: T > 0; NaN, with a `reason`, if the likelihood has no maximum at a positive, finite T.
        negative_log_likelihood_before, negative_log_likelihood_after: the minimised quantity, in nats, at 1 and at T;
            not clipped, so that it never rises. The second is NaN if T is.
        n: number of validation samples.
        reason: why there is no temperature.
        logits_digest: hash of the validation logits, by which `apply_temperature` recognises them.
    """

    temperature: float
    negative_log_likelihood_before: float
    negative_log_likelihood_after: float
    n: int
    reason: str = ""
    logits_digest: str = field(default="", repr=False)


def fit_temperature(validation_logits: npt.ArrayLike, validation_references: npt.ArrayLike) -> TemperatureFit:
    """Fit the temperature that minimises the negative log-likelihood of validation samples (Guo et al. 2017).

        NLL(b) = mean_i [logsumexp_c(b z_ic) - b z_i[reference_i]],    b = 1 / T

    is convex in b, so its minimum is the root of its slope, mean_i (sum_c softmax(b z_i)_c z_ic - z_i[reference_i]),
    which Brent's method finds to rounding. There is no root with 0 < b < infinity

    - if every true class has the largest logit of its sample (NLL keeps falling as T goes to 0),
    - if true classes do not on average have larger logits than the others (NLL falls as T goes to infinity),
    - if logits are the same for all classes (NLL does not depend on T).

    Args:
        validation_logits: shape (N, C), finite.
        validation_references: true labels, shape (N,), in [0, C).
    """
    table, true = class_scores_and_references(
        validation_logits, validation_references, from_logits=True, name="validation_logits"
    )
    n = len(true)
    before, _ = _likelihood_and_slope(table, true, 1.0)
    digest = _digest(table)
    spread, slope_at_zero, slope_at_infinity = _limits(table, true)
    reason = ""
    if spread <= 1.0 / LARGEST_DIFFERENCE:
        reason = "all classes of a sample have the same logit: no temperature changes a probability"
    elif slope_at_infinity <= NEGLIGIBLE * spread:
        reason = "the true class has the largest logit in every sample: the likelihood rises as T goes to 0"
    elif slope_at_zero >= -NEGLIGIBLE * spread:
        reason = "true classes have no larger logits than others on average: the likelihood rises as T grows"
    if reason:
        return TemperatureFit(math.nan, before, math.nan, n, reason, digest)

    def slope(log_inverse: float) -> float:
        return _likelihood_and_slope(table, true, np.exp(log_inverse))[1]

    low = high = -np.log(spread)
    while slope(low) > 0.0:
        low -= 1.0
    while slope(high) < 0.0:
        high += 1.0
    log_inverse = low if low == high else scipy.optimize.brentq(slope, low, high, xtol=1e-12, rtol=1e-12)
    after, _ = _likelihood_and_slope(table, true, np.exp(log_inverse))
    return TemperatureFit(float(np.exp(-log_inverse)), before, after, n, "", digest)


def apply_temperature(
    logits: npt.ArrayLike, fit_or_temperature: TemperatureFit | float, allow_fitting_data: bool = False
) -> FloatArray:
    """Compute probabilities softmax(logits / T), float64 of shape (N, C).

    Args:
        logits: shape (N, C), finite.
        fit_or_temperature: the result of `fit_temperature`, or T itself.
        allow_fitting_data: also accept the logits of the fit, for which results are too optimistic.

    Raises:
        ValueError: there is no temperature, or `logits` are those that it was fitted on.

    >>> apply_temperature([[0.0, 2.0]], 2.0).round(3).tolist()
    [[0.269, 0.731]]
    """
    table = class_scores(logits, "logits", from_logits=True)
    if isinstance(fit_or_temperature, TemperatureFit):
        fit = fit_or_temperature
        if fit.reason:
            raise ValueError(f"fit_or_temperature has no temperature to apply: {fit.reason}")
        if not allow_fitting_data and fit.logits_digest == _digest(table):
            raise ValueError(
                "logits are the ones that the temperature was fitted on: scale those of other samples, or pass "
                "allow_fitting_data=True if no number is to be reported from them"
            )
        temperature = fit.temperature
    else:
        temperature = _positive_number(fit_or_temperature, "fit_or_temperature")
    probabilities = np.empty(table.shape)
    for block in table.blocks():
        probabilities[block.rows] = block.softmax(temperature)
    return probabilities


def _likelihood_and_slope(table: ClassScores, true: IntArray, inverse: float) -> tuple[float, float]:
    """Compute the mean negative log-likelihood at b = `inverse`, and its derivative with respect to b."""
    likelihood = slope = 0.0
    for below, below_of_true in _shortfalls(table, true):
        weights = np.exp(-inverse * below)
        totals = weights.sum(axis=1)
        likelihood += float((np.log(totals) + inverse * below_of_true).sum())
        slope += float((below_of_true - np.einsum("ij,ij->i", weights, below) / totals).sum())
    return likelihood / len(true), slope / len(true)


def _limits(table: ClassScores, true: IntArray) -> tuple[float, float, float]:
    """Compute the mean distance of logits from their sample's largest, and the slope as b goes to 0 and infinity."""
    spread = at_infinity = 0.0
    for below, below_of_true in _shortfalls(table, true):
        spread += float(below.mean(axis=1).sum())
        at_infinity += float(below_of_true.sum())
    n = len(true)
    return spread / n, (at_infinity - spread) / n, at_infinity / n


def _shortfalls(table: ClassScores, true: IntArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Iterate by blocks over each logit's distance below its sample's largest, (B, C), and the true class's, (B,)."""
    for block in table.blocks():
        below = np.minimum(-block.shifted_logits(), LARGEST_DIFFERENCE)
        yield below, below[np.arange(len(below)), true[block.rows]]


def _digest(table: ClassScores) -> str:
    """Hash logits by value, independent of their container, layout and precision."""
    digest = hashlib.blake2b(repr(table.shape).encode(), digest_size=16)
    for block in table.blocks():
        digest.update((block.scores.astype(np.float64) + 0.0).tobytes())  # -0.0 becomes 0.0
    return digest.hexdigest()


def _positive_number(value: Any, name: str) -> float:
    is_number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not is_number or not 0.0 < value < float("inf"):
        raise ValueError(f"{name} must be a TemperatureFit or a positive, finite number, got {value!r}")
    return float(value)
