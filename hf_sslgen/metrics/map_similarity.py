"""Similarity of two attribution maps of the same image."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.defined import mean_of_defined, per_sample
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.maps import Sign, signed_maps
from hf_sslgen.metrics.results import MetricResult

LARGEST_WINDOW = 7
LUMINANCE, CONTRAST = 0.01**2, 0.03**2
"""C1 and C2 of Wang et al. (2004) for values in [0, 1]."""

BLOCK_MAPS = 64


@dataclass(frozen=True, eq=False)
class MapSimilarityResult(MetricResult):
    """Means over images for which both maps are defined; `n_undefined` counts the others.

    Neither number has an interval: re-initialised weights are one draw, and numbers vary more between draws than over
    images.
    """

    rank_correlation: float
    structural_similarity: float
    n: int
    n_undefined: int
    per_sample_rank_correlation: FloatArray
    per_sample_structural_similarity: FloatArray
    reason: str = ""


def map_similarity(maps: npt.ArrayLike, other_maps: npt.ArrayLike, sign: Sign = "absolute") -> MapSimilarityResult:
    """Compute rank correlation and structural similarity of two maps of each image (Adebayo et al. 2018).

    After the sign rule each map is divided by its own peak, so that it lies in [0, 1]. Then

        rank_correlation       Spearman's: the correlation of the cells' ranks, ties averaged
        structural_similarity  SSIM (Wang et al. 2004), mean over all windows within the map of
                               (2 m m' + C1) (2 s_mm' + C2) / ((m^2 + m'^2 + C1) (s^2 + s'^2 + C2))

    with m, s^2 and s_mm' the mean, variance and covariance (over n - 1) of a window, C1 = .01^2 and C2 = .03^2.
    Windows are squares of min(7, h, w) cells with equal weights, since the layer's own grid is often smaller than the
    11 cells of Wang et al. Both numbers are 1 for equal maps. Maps of unrelated networks score above 0 if both favour
    the centre.

    Args:
        maps, other_maps: finite attributions, shape (N, h, w) both.
        sign: `"absolute"` takes |A|, as Adebayo et al. do; `"positive"` keeps max(A, 0).

    Returns:
        Result in which both numbers are NaN for an image with a map that is all-zero after the sign rule. Structural
        similarity is also NaN on a grid with one row or column, and rank correlation for a constant map, which is left
        out of its mean. `n_undefined` counts the images for which either is NaN.

    >>> result = map_similarity([[[0.0, 1.0], [2.0, 3.0]]], [[[0.0, 2.0], [3.0, 9.0]]])
    >>> result.rank_correlation, round(result.structural_similarity, 3)
    (1.0, 0.905)
    """
    first, first_defined = signed_maps(maps, sign)
    second, second_defined = signed_maps(other_maps, sign)
    if first_defined.shape != second_defined.shape or first.shape[1:] != second.shape[1:]:
        raise ValueError(
            f"maps and other_maps must have one shape, got {(len(first_defined), *first.shape[1:])} and "
            f"{(len(second_defined), *second.shape[1:])}"
        )
    defined = first_defined & second_defined
    first, second = first[defined[first_defined]], second[defined[second_defined]]
    correlation = per_sample(_rank_correlation(first, second), defined)
    similarity = per_sample(_structural_similarity(first, second), defined)
    undefined = np.isnan(correlation) | np.isnan(similarity)
    return MapSimilarityResult(
        rank_correlation=mean_of_defined(correlation),
        structural_similarity=mean_of_defined(similarity),
        n=len(defined),
        n_undefined=int(undefined.sum()),
        per_sample_rank_correlation=correlation,
        per_sample_structural_similarity=similarity,
        reason=_reason(first, correlation, similarity),
    )


def _reason(first: FloatArray, correlation: FloatArray, similarity: FloatArray) -> str:
    if len(first) == 0:
        return "no image has two maps that are not all-zero after the sign rule"
    if np.isnan(similarity).all():
        return f"a {first.shape[1]} x {first.shape[2]} grid has no window of two cells squared"
    if np.isnan(correlation).all():
        return "a map of every image is the same everywhere"
    return ""


def _rank_correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    """Rank the cells of each map, (M, h, w), and correlate: (M,)."""
    shape = (len(first), first.shape[1] * first.shape[2])
    ranks: list[Any] = [scipy.stats.rankdata(maps.reshape(shape), axis=1) for maps in (first, second)]
    x, y = (each - each.mean(axis=1, keepdims=True) for each in ranks)
    scale = np.sqrt(np.square(x).sum(axis=1) * np.square(y).sum(axis=1))
    return np.where(scale > 0.0, (x * y).sum(axis=1) / np.where(scale > 0.0, scale, 1.0), np.nan)


def _structural_similarity(first: FloatArray, second: FloatArray) -> FloatArray:
    """Compute SSIM of maps (M, h, w) with values in [0, 1]: (M,)."""
    side = min(LARGEST_WINDOW, *first.shape[1:])
    if side < 2:
        return np.full(len(first), np.nan)
    starts = range(0, len(first), BLOCK_MAPS)
    parts = [
        _of_block(first[start : start + BLOCK_MAPS], second[start : start + BLOCK_MAPS], side) for start in starts
    ]
    return np.concatenate([np.empty(0), *parts])


def _of_block(first: FloatArray, second: FloatArray, side: int) -> FloatArray:
    x, y = (np.lib.stride_tricks.sliding_window_view(maps, (side, side), axis=(1, 2)) for maps in (first, second))
    mean_x, mean_y = x.mean(axis=(-2, -1)), y.mean(axis=(-2, -1))
    x, y = x - mean_x[..., None, None], y - mean_y[..., None, None]
    degrees = side * side - 1
    variances = (np.square(x).sum(axis=(-2, -1)) + np.square(y).sum(axis=(-2, -1))) / degrees
    covariance = (x * y).sum(axis=(-2, -1)) / degrees
    alike = (2.0 * mean_x * mean_y + LUMINANCE) * (2.0 * covariance + CONTRAST)
    similarity: FloatArray = alike / ((mean_x**2 + mean_y**2 + LUMINANCE) * (variances + CONTRAST))
    return similarity.mean(axis=(1, 2))
