"""Invariance of a representation to a transform of its image, relative to the distance to other images.

Read chance-corrected cosine, recall@1 and the guards together: a rank-1 collapse has a chance-corrected cosine of 1,
and an untrained network has a raw cosine near 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.defined import ROUNDING, interval_of_defined, mean_of_defined, per_sample
from hf_sslgen.metrics.features import FeaturePairs, chance_cosines, feature_pairs, squared_distances
from hf_sslgen.metrics.inputs import FloatArray, positive_integer
from hf_sslgen.metrics.ratio import ratio_interval
from hf_sslgen.metrics.results import NO_INTERVAL, Interval, MetricResult
from hf_sslgen.metrics.retrieval import count_better_and_tied, expected_recall_at_1
from hf_sslgen.metrics.shares import credit_interval

MIN_CHANCE_DISTANCE = 1e-6


@dataclass(frozen=True, eq=False)
class InvarianceResult(MetricResult):
    """`n_undefined` samples are left out everywhere; a further `n_without_chance` are alone in their group.

    `per_sample_chance_cosine` is a sample's mean similarity to others' transformed versions, and
    `per_sample_candidate_chance_cosine` that of its transformed version to other samples; both average to
    `chance_cosine`, and both contribute to the error of that average. `per_sample_relative_distance` is the squared
    distance to a sample's own transformed version divided by the mean squared distance to others'.
    """

    invariance: float
    cosine: float
    chance_cosine: float
    distance_invariance: float
    recall_at_1: float
    rank_auc: float
    gallery_size: int
    n: int
    n_undefined: int
    n_without_chance: int
    per_sample_relative_distance: FloatArray
    per_sample_cosine: FloatArray
    per_sample_chance_cosine: FloatArray
    per_sample_candidate_chance_cosine: FloatArray
    per_sample_recall_at_1: FloatArray
    per_sample_rank_auc: FloatArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def chance_corrected(cosine: float, chance: float) -> float:
    """Compute (c+ - c-) / (1 - c-); NaN if 1 - c- < 1e-6, since features that all point one way are uninformative."""
    distance = 1.0 - chance
    return (cosine - chance) / distance if distance >= MIN_CHANCE_DISTANCE else float("nan")


def invariance(
    features: npt.ArrayLike,
    transformed_features: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    unchanged: npt.ArrayLike | None = None,
    gallery_size: int = 256,
    block_size: int = 1024,
) -> InvarianceResult:
    """Measure chance-corrected similarity and retrieval of images' transformed versions.

    With z_i the features of image i and z_i^t those of its transformed version,

        c+_i = cos(z_i, z_i^t)
        c-_i = mean over j != i of cos(z_i, z_j^t)           (same group only, if groups are given)
        invariance = (c+ - c-) / (1 - c-)                    with c+ and c- the means over samples
        distance_invariance = 1 - mean_i ||z_i - z_i^t||^2 / mean over i != j of ||z_i - z_j^t||^2

    `recall_at_1` is the chance that z_i is closest (by cosine) to its own z_i^t in a gallery of that and
    `gallery_size - 1` others drawn without replacement, with k-way ties earning 1/k. The expectation over all draws is
    computed exactly, so there is no seed. `rank_auc` is the share of all other z_j^t that are farther from z_i than
    z_i^t is, with ties counting half: 0.5 by chance. Both ignore groups.

    Args:
        features, transformed_features: z and z^t, both of shape (N, D).
        groups: labels of shape (N,), such as classes, within which chance pairs are formed.
        unchanged: shape (N,), True where the transform did not change the image.
        gallery_size: number of images in a gallery, at most the number of defined samples.
        block_size: number of rows and columns of similarities held at a time.

    Returns:
        Result in which a sample that is unchanged, or has a zero vector, is NaN in every per-sample array, is counted
        in `n_undefined`, and belongs to no chance pair or gallery. A sample alone in its group has no chance value and
        is counted in `n_without_chance`. `invariance` is NaN, with a `reason`, if 1 - c- < 1e-6 or there is no chance
        pair. Both invariances have intervals from 100 defined samples on, for a ratio by the delta method with each
        image counting as query and as candidate. The interval of `recall_at_1` is that of a share and applies to other
        queries against the same images. `chance_cosine` and `rank_auc` have none: they too are means over pairs, and
        no form for the former covers if features are centred.

    >>> result = invariance([[1.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 3.0]])
    >>> result.invariance, result.chance_cosine, result.recall_at_1
    (1.0, 0.0, 1.0)
    """
    gallery_size = positive_integer(gallery_size, "gallery_size", minimum=2)
    block_size = positive_integer(block_size, "block_size")
    pairs = feature_pairs(features, transformed_features, groups, unchanged)
    n, n_defined = len(pairs.defined), int(pairs.defined.sum())
    gallery_size = min(gallery_size, n_defined)

    # Computed first, so that its copies are freed before the unit vectors are allocated.
    distance_form, relative_distance, distance_interval = _distance_invariance(pairs)
    u, v = pairs.unit_vectors()
    cosine = np.einsum("nd,nd->n", u, v)
    as_query, as_candidate = chance_cosines(u, v, cosine, pairs.group)
    recall, auc = np.full(n_defined, np.nan), np.full(n_defined, np.nan)
    if n_defined >= 2:
        better, tied = count_better_and_tied(u, v, cosine, block_size)
        recall = expected_recall_at_1(better, tied, n_defined - 1, gallery_size - 1)
        auc = 1.0 - (better + tied / 2.0) / (n_defined - 1)

    mean_cosine, mean_chance = mean_of_defined(cosine), mean_of_defined(as_query)
    corrected = chance_corrected(mean_cosine, mean_chance)
    samples: dict[str, Any] = {
        "per_sample_relative_distance": relative_distance,
        "per_sample_cosine": cosine,
        "per_sample_chance_cosine": as_query,
        "per_sample_candidate_chance_cosine": as_candidate,
        "per_sample_recall_at_1": recall,
        "per_sample_rank_auc": auc,
    }
    return InvarianceResult(
        invariance=corrected,
        cosine=mean_cosine,
        chance_cosine=mean_chance,
        distance_invariance=distance_form,
        recall_at_1=mean_of_defined(recall),
        rank_auc=mean_of_defined(auc),
        gallery_size=gallery_size,
        n=n,
        n_undefined=n - n_defined,
        n_without_chance=int(np.isnan(as_query).sum()),
        **{name: per_sample(values, pairs.defined) for name, values in samples.items()},
        reason=_reason(n, as_query, corrected),
        intervals={
            "invariance": NO_INTERVAL
            if np.isnan(corrected)
            else ratio_interval(1.0 - cosine, 1.0 - as_query, 1.0 - as_candidate, pairs.group),
            "cosine": interval_of_defined(cosine),
            "distance_invariance": distance_interval,
            "recall_at_1": credit_interval(recall),
        },
    )


def _reason(n: int, as_query: FloatArray, corrected: float) -> str:
    if len(as_query) < 2:
        return f"{len(as_query)} of {n} samples are defined, and an image is never paired with itself"
    if np.isnan(as_query).all():
        return "every sample is alone in its group, so there is no chance pair"
    if np.isnan(corrected):
        return f"chance cosine is 1 within {MIN_CHANCE_DISTANCE}: all features point one way"
    return ""


def _distance_invariance(pairs: FeaturePairs) -> tuple[float, FloatArray, Interval]:
    """Return the distance form, each defined sample's distance relative to chance, and the form's interval."""
    x, y = pairs.centred()
    own, as_query, as_candidate = squared_distances(x, y, pairs.group)
    chance = mean_of_defined(as_query)
    if not chance > x.shape[1] * ROUNDING**2:
        return float("nan"), np.full(len(own), np.nan), NO_INTERVAL
    relative = own / chance
    return 1.0 - mean_of_defined(relative), relative, ratio_interval(own, as_query, as_candidate, pairs.group)
