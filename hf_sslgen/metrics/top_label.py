"""Reduce class probabilities or logits, (N, C), to the predicted class, its confidence and its correctness."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.class_scores import class_scores_and_references
from hf_sslgen.metrics.inputs import BoolArray, FloatArray, IntArray
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class TopLabelResult(MetricResult):
    """Prediction, confidence and correctness of N samples, the inputs of confidence and calibration metrics."""

    n: int
    num_classes: int
    per_sample_prediction: IntArray
    per_sample_confidence: FloatArray
    per_sample_correct: BoolArray


def top_label(probabilities: npt.ArrayLike, references: npt.ArrayLike, from_logits: bool = False) -> TopLabelResult:
    """Return the most probable class of each sample, its probability, and whether it is the true one.

    Ties are resolved in favour of the first class, as by `numpy.argmax`.

    Args:
        probabilities: shape (N, C), rows summing to 1; or finite logits if `from_logits` is True.
        references: true labels, shape (N,), in [0, C).
        from_logits: apply a float64 softmax. Logits are never recognised from their values.

    >>> result = top_label([[0.2, 0.8], [0.6, 0.4]], [1, 1])
    >>> result.per_sample_confidence.tolist(), result.per_sample_correct.tolist()
    ([0.8, 0.6], [True, False])
    """
    table, true = class_scores_and_references(probabilities, references, from_logits)
    n, num_classes = table.shape
    prediction, confidence = np.empty(n, dtype=np.int64), np.empty(n)
    for block in table.blocks():
        prediction[block.rows] = block.prediction
        confidence[block.rows] = block.confidence()
    return TopLabelResult(n, num_classes, prediction, confidence, prediction == true)
