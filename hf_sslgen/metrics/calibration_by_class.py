"""Classwise calibration error: are the probabilities of each class calibrated, whether predicted or not?"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.class_scores import class_scores_and_references
from hf_sslgen.metrics.inputs import FloatArray, IntArray, positive_integer
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class ClasswiseCalibrationResult(MetricResult):
    """Mean over classes, and the binary calibration error of each of the C classes, shape (C,)."""

    classwise_calibration_error: float
    class_calibration_error: FloatArray
    n: int
    num_bins: int


def classwise_calibration_error(
    probabilities: npt.ArrayLike, references: npt.ArrayLike, num_bins: int = 15, from_logits: bool = False
) -> ClasswiseCalibrationResult:
    """Compute the classwise expected calibration error (Kull et al. 2019; static error of Nixon et al. 2019).

        class_calibration_error[c] = sum_b |sum_{i : p_ic in bin b} ([reference_i = c] - p_ic)| / N

    and its mean over all C classes, including absent ones, with the bins of `expected_calibration_error`. With many
    classes nearly all p_ic lie near 0 and the mean is small for any model, so compare it only at equal C.

    Args:
        probabilities: shape (N, C), rows summing to 1; or finite logits if `from_logits` is True.
        references: true labels, shape (N,), in [0, C).
        num_bins: M.
        from_logits: apply a float64 softmax first. Logits are never recognised from their values.
    """
    num_bins = positive_integer(num_bins, "num_bins")
    table, true = class_scores_and_references(probabilities, references, from_logits)
    n, num_classes = table.shape
    edges = np.arange(num_bins + 1) / num_bins
    offsets = num_bins * np.arange(num_classes)
    excess = np.zeros(num_classes * num_bins)  # sum of p - y, class by class and bin by bin
    for block in table.blocks():
        p = block.probabilities()
        cells = _equal_width_bins(p, edges)
        cells += offsets
        p[np.arange(len(p)), true[block.rows]] -= 1.0
        excess += np.bincount(cells.ravel(), weights=p.ravel(), minlength=len(excess))
    of_class = np.abs(excess).reshape(num_classes, num_bins).sum(axis=1) / n
    return ClasswiseCalibrationResult(float(of_class.mean()), of_class, n, num_bins)


def _equal_width_bins(p: FloatArray, edges: FloatArray) -> IntArray:
    """Compute the bins of `calibration.assign_bins` by arithmetic, because a search would take most of the time."""
    num_bins = len(edges) - 1
    index = np.clip(np.ceil(p * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    # The product may round across an edge by one bin, so a comparison with the edge itself decides.
    index -= (p <= edges[index]) & (index > 0)
    index += p > edges[index + 1]
    return index
