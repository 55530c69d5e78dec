"""Similarity of two representations of the same images up to rotation and scale."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import FloatArray, float_array, require_equal_lengths
from hf_sslgen.metrics.results import MetricResult

MIN_SAMPLES = 4
MIN_SHARE = 1e-12  # of the squared variance; a smaller HSIC is rounding


@dataclass(frozen=True, eq=False)
class CKAResult(MetricResult):
    """`linear_cka` is 1 for equal representations and near 0 for unrelated ones; if NaN, `reason` says why."""

    linear_cka: float
    n: int
    reason: str = ""


def debiased_linear_cka(features: npt.ArrayLike, transformed_features: npt.ArrayLike) -> CKAResult:
    """Compute linear centred kernel alignment with the unbiased HSIC estimate.

    Sources: Song et al. (2012); Nguyen, Raghu and Kornblith (2021), equations 1 to 3.

        CKA = HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)),   K = X X^T, L = Y Y^T without their diagonals
        HSIC(K, L) = [tr(K L) + 1^T K 1 1^T L 1 / ((N - 1)(N - 2)) - 2 / (N - 2) 1^T K L 1] / (N (N - 3))

    Kornblith's plain CKA tends to 1 as D grows beyond N; this estimate does not. It can be slightly negative.
    It is computed from the D x D cross products, in O(N D^2), without an N x N matrix.

    Args:
        features, transformed_features: X and Y, shapes (N, D) and (N, D').

    Returns:
        Result with NaN, and a `reason`, for fewer than 4 samples and for features that do not vary.
    """
    x = float_array(features, "features", ("N", "D"))
    y = float_array(transformed_features, "transformed_features", ("N", "D'"))
    require_equal_lengths(features=x, transformed_features=y)
    n = len(x)
    if n < MIN_SAMPLES:
        return CKAResult(float("nan"), n, f"{n} samples are too few: the unbiased estimate needs {MIN_SAMPLES}")
    x, y = _centred(x), _centred(y)
    xx, yy = _hsic(x, x), _hsic(y, y)
    smallest = [MIN_SHARE * np.square(values).sum() ** 2 for values in (x, y)]
    if not (xx > smallest[0] and yy > smallest[1]):
        which = "transformed_features" if xx > smallest[0] else "features"
        return CKAResult(float("nan"), n, f"the variation of {which} can't be told from none")
    return CKAResult(float(_hsic(x, y) / np.sqrt(xx * yy)), n)


def _centred(x: FloatArray) -> FloatArray:
    """Centre and scale to a largest entry of 1, which changes HSIC only in scale and keeps sums exact."""
    x = x / (np.abs(x).max() or 1.0)
    x -= x.mean(axis=0)
    rounding = 1e-12  # residual of a constant after subtracting its mean
    largest = np.abs(x).max()
    scaled: FloatArray = x / largest if largest > rounding else np.zeros_like(x)
    return scaled


def _hsic(x: FloatArray, y: FloatArray) -> float:
    """Compute the unbiased estimate for linear kernels, times N (N - 3). Columns must sum to zero.

    With columns summing to zero, row i of the kernel sums to -k_ii without its diagonal.
    """
    n = len(x)
    diagonal_k, diagonal_l = np.einsum("nd,nd->n", x, x), np.einsum("nd,nd->n", y, y)
    both = diagonal_k @ diagonal_l
    trace = np.square(x.T @ y).sum() - both
    return float(trace + diagonal_k.sum() * diagonal_l.sum() / ((n - 1) * (n - 2)) - 2.0 / (n - 2) * both)
