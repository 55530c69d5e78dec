"""Cosine similarity after whitening with a covariance estimated on other images."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.defined import ROUNDING, interval_of_defined, mean_of_defined, per_sample
from hf_sslgen.metrics.features import unit_rows
from hf_sslgen.metrics.inputs import (
    BoolArray,
    FloatArray,
    binary_array,
    float_array,
    positive_integer,
    require_equal_lengths,
)
from hf_sslgen.metrics.results import Interval, MetricResult

SAMPLES_PER_DIMENSION = 4
MIN_RELATIVE_VARIANCE = 1e-12  # of the features' size; below it, variation is rounding


@dataclass(frozen=True, eq=False)
class Whitening(MetricResult):
    """A whitening: (z - mean) / scale @ projection has `dimension` coordinates of unit variance.

    `mean` has shape (D,) and `projection` (D, dimension); `scale` is the largest magnitude of a training feature, and
    `shrinkage` is that of Ledoit and Wolf, in [0, 1]. An unusable whitening has a `reason`.
    """

    mean: FloatArray
    scale: float
    projection: FloatArray
    shrinkage: float
    dimension: int
    n: int
    reason: str = ""


@dataclass(frozen=True, eq=False)
class WhitenedCosineResult(MetricResult):
    """`whitened_cosine` is a mean over defined samples; `n_undefined` counts the others."""

    whitened_cosine: float
    n: int
    n_undefined: int
    per_sample_whitened_cosine: FloatArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def fit_whitening(training_features: npt.ArrayLike, dimension: int = 128) -> Whitening:
    """Fit mean and covariance of clean training features: principal components, then Ledoit-Wolf shrinkage (2004).

        S = covariance in the leading d principal components, divided by n
        Sigma = (1 - shrinkage) S + shrinkage (trace(S) / d) I

    S is diagonal in that basis, so whitening divides each component by the root of its entry of Sigma.

    Args:
        training_features: shape (n, D), from images other than those to be measured.
        dimension: maximum of d; D if that is smaller.

    Returns:
        Whitening without usable arrays, and with a `reason`, if n < 4 d or the features do not vary.
    """
    dimension = positive_integer(dimension, "dimension")
    x = float_array(training_features, "training_features", ("n", "D"))
    n, num_features = x.shape
    d = min(dimension, num_features)
    if n < SAMPLES_PER_DIMENSION * d:
        reason = f"{n} training samples are too few to whiten {d} dimensions: {SAMPLES_PER_DIMENSION * d} are needed"
        return _unusable(d, n, reason)
    scale = float(np.abs(x).max()) or 1.0
    centred = x / scale
    mean = centred.mean(axis=0)
    centred -= mean
    covariance = centred.T @ centred / n
    variances, basis = scipy.linalg.eigh(covariance, subset_by_index=(num_features - d, num_features - 1))
    variances = np.maximum(variances, 0.0)
    average = variances.mean()
    if average <= MIN_RELATIVE_VARIANCE**2:
        return _unusable(d, n, "the training features don't vary")
    shrinkage = _ledoit_wolf_shrinkage(centred @ basis, variances)
    shrunk = (1.0 - shrinkage) * variances + shrinkage * average
    # A dimension in which all samples agree has no scale to divide by without shrinkage, so it is left out.
    inverse = np.where(shrunk > 0.0, 1.0 / np.sqrt(np.where(shrunk > 0.0, shrunk, 1.0)), 0.0)
    return Whitening(mean * scale, scale, basis * inverse, shrinkage, d, n)


def whitened_cosine(
    whitening: Whitening,
    features: npt.ArrayLike,
    transformed_features: npt.ArrayLike,
    unchanged: npt.ArrayLike | None = None,
) -> WhitenedCosineResult:
    """Compute the mean cosine similarity of whitened features (Ericsson, Gouk and Hospedales 2021).

    Whitening removes what all features have in common, so that a large mean or a few strong directions do not make
    everything look alike: unrelated images have an expected value of 0.

    Args:
        whitening: from `fit_whitening`, on training images.
        features, transformed_features: z and z^t, both of shape (N, D).
        unchanged: shape (N,), True where the transform did not change the image.

    Returns:
        Result in which a sample is NaN and counted in `n_undefined` if it is unchanged or has no direction after
        whitening. With an unusable whitening all samples are NaN, and the `reason` is the whitening's.
    """
    z = float_array(features, "features", ("N", "D"))
    z_t = float_array(transformed_features, "transformed_features", ("N", "D"))
    if z.shape != z_t.shape:
        raise ValueError(f"features and transformed_features must have one shape, got {z.shape} and {z_t.shape}")
    skipped = np.zeros(len(z), dtype=np.bool_)
    if unchanged is not None:
        skipped = binary_array(unchanged, "unchanged", "1 where the transform changed nothing")
    require_equal_lengths(features=z, unchanged=skipped)
    if whitening.reason:
        nothing = np.full(len(z), np.nan)
        return WhitenedCosineResult(float("nan"), len(z), len(z), nothing, whitening.reason)
    if z.shape[1] != len(whitening.mean):
        raise ValueError(f"features must have the whitening's {len(whitening.mean)} dimensions, got shape {z.shape}")
    (w, directed), (w_t, directed_t) = (_whitened_directions(whitening, values) for values in (z, z_t))
    defined = ~skipped & directed & directed_t
    cosine = per_sample(np.einsum("nd,nd->n", w[defined], w_t[defined]), defined)
    return WhitenedCosineResult(
        whitened_cosine=mean_of_defined(cosine),
        n=len(z),
        n_undefined=int((~defined).sum()),
        per_sample_whitened_cosine=cosine,
        reason="" if defined.any() else "every sample is unchanged or has no direction after whitening",
        intervals={"whitened_cosine": interval_of_defined(cosine)},
    )


def _unusable(dimension: int, n: int, reason: str) -> Whitening:
    return Whitening(np.empty(0), float("nan"), np.empty((0, 0)), float("nan"), dimension, n, reason)


def _whitened_directions(whitening: Whitening, features: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return whitened features scaled to length 1, (N, d), and which have a direction; other rows are zero."""
    centred = features - whitening.mean
    has_direction = centred.any(axis=1)
    coordinates = np.zeros((len(centred), whitening.projection.shape[1]))
    # Scaled to length 1 before the projection, so that features far from the training features do not overflow.
    coordinates[has_direction] = unit_rows(centred[has_direction]) @ whitening.projection
    longest = np.linalg.norm(whitening.projection, axis=0).max()
    has_direction &= np.linalg.norm(coordinates, axis=1) > ROUNDING * longest
    coordinates[has_direction] = unit_rows(coordinates[has_direction])
    coordinates[~has_direction] = 0.0
    return coordinates, has_direction


def _ledoit_wolf_shrinkage(components: FloatArray, variances: FloatArray) -> float:
    """Compute the optimal shrinkage towards a multiple of the identity (Ledoit and Wolf 2004, lemmas 3.2 to 3.4).

    Args:
        components: centred principal components, shape (n, d), whose covariance is diagonal.
        variances: that diagonal, shape (d,).
    """
    n, d = components.shape
    dispersion = np.square(variances - variances.mean()).sum() / d
    fourth = np.square(np.square(components).sum(axis=1)).sum() / n
    error = (fourth - np.square(variances).sum()) / (n * d)
    return float(min(error, dispersion) / dispersion) if dispersion > 0.0 else 0.0
