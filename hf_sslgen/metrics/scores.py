"""Proper scores: Brier and negative log-likelihood, which only the true probabilities minimise in expectation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.class_scores import class_scores_and_references
from hf_sslgen.metrics.inputs import BoolArray, FloatArray, confidences_and_correct
from hf_sslgen.metrics.results import Interval, MetricResult
from hf_sslgen.metrics.two_groups import outcome_interval

MIN_PROBABILITY = 1e-12


@dataclass(frozen=True, eq=False)
class ProperScoreResult(MetricResult):
    """A score that is a mean over samples, lower is better, with its N per-sample values."""

    mean: float
    n: int
    per_sample_score: FloatArray
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def brier_score(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool = False
) -> ProperScoreResult:
    """Compute the multi-class Brier score (Brier 1950), from 0 to 2; scikit-learn's binary form is half of it.

        brier_i = sum_c (p_ic - [reference_i = c])^2

    Args:
        probabilities: shape (N, C), rows summing to 1; or finite logits if `from_logits` is True.
        references: true labels, shape (N,), in [0, C).
        from_logits: apply a float64 softmax first. Logits are never recognised from their values.

    >>> brier_score([[0.25, 0.75]], [1]).mean
    0.125
    """
    table, true = class_scores_and_references(probabilities, references, from_logits)
    score, correct = np.empty(len(true)), np.empty(len(true), dtype=np.bool_)
    for block in table.blocks():
        correct[block.rows] = block.prediction == true[block.rows]
        p = block.probabilities()
        p[np.arange(len(p)), true[block.rows]] -= 1.0
        score[block.rows] = np.einsum("ij,ij->i", p, p)
    return mean_score(score, correct)


def negative_log_likelihood(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool = False
) -> ProperScoreResult:
    """Compute the negative log-likelihood of the true class in nats, with its probability clipped to at least 1e-12.

        nll_i = -log max(p_i[reference_i], 1e-12)

    The arguments are those of `brier_score`. Logits are clipped likewise, so both forms give the same number.
    """
    table, true = class_scores_and_references(probabilities, references, from_logits)
    score, correct = np.empty(len(true)), np.empty(len(true), dtype=np.bool_)
    for block in table.blocks():
        correct[block.rows] = block.prediction == true[block.rows]
        here = np.arange(len(block.scores)), true[block.rows]
        if from_logits:
            shifted = block.shifted_logits()
            of_true_class = shifted[here]
            log_p = of_true_class - np.log(np.exp(shifted, out=shifted).sum(axis=1))
        else:
            log_p = np.log(np.clip(block.scores[here].astype(np.float64), MIN_PROBABILITY, 1.0))
        score[block.rows] = np.minimum(np.abs(log_p), -np.log(MIN_PROBABILITY))  # log p <= 0, and abs makes -0.0 0.0
    return mean_score(score, correct)


def top_label_brier(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> ProperScoreResult:
    """Compute the Brier score of the event "the prediction is correct", from the confidence alone: mean (p - y)^2.

    It is at most 1 and is not comparable with the multi-class score.

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.

    >>> top_label_brier([0.5, 1.0], [1, 1]).per_sample_score.tolist()
    [0.25, 0.0]
    """
    p, y = confidences_and_correct(confidences, correct)
    return mean_score(np.square(p - y), y)


def mean_score(score: FloatArray, correct: BoolArray) -> ProperScoreResult:
    """A score from its per-sample values, (N,), and whether each prediction is right, (N,)."""
    return ProperScoreResult(float(score.mean()), len(score), score, {"mean": outcome_interval(score, correct)})
