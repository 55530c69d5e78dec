"""How little a representation moves when its image is transformed, and whether there is a representation at all.

Chance-corrected cosine, recall@1 and the guards belong together: a rank-1 collapse has a chance-corrected cosine of 1,
and an untrained network a raw cosine near 1.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import (
    FloatArray,
    IntArray,
    binary_array,
    float_array,
    label_array,
    positive_integer,
    require_equal_lengths,
)
from hf_sslgen.metrics.results import MetricResult
from hf_sslgen.metrics.retrieval import count_better_and_tied, expected_recall_at_1

MIN_CHANCE_DISTANCE = 1e-6
DEAD_TOLERANCE = 1e-6  # relative to the dimension's size; float32 features carry rounding of about 1e-7
MIN_EFFECTIVE_RANK = 2.0


@dataclass(frozen=True, eq=False)
class InvarianceResult(MetricResult):
    """`n_undefined` samples are left out everywhere; `n_without_chance` more are alone in their group."""

    invariance: float
    cosine: float
    chance_cosine: float
    recall_at_1: float
    gallery_size: int
    n: int
    n_undefined: int
    n_without_chance: int
    per_sample_cosine: FloatArray
    per_sample_chance_cosine: FloatArray
    per_sample_recall_at_1: FloatArray
    reason: str = ""


@dataclass(frozen=True, eq=False)
class GuardsResult(MetricResult):
    """`collapsed` is only ever True in the pretrained stage: after fine-tuning a rank near C - 1 is healthy."""

    effective_rank: float
    dead_dimension_share: float
    collapsed: bool
    n: int
    reason: str = ""


def chance_corrected(cosine: FloatArray, chance: FloatArray) -> FloatArray:
    """(c+ - c-) / (1 - c-) elementwise, NaN where 1 - c- < 1e-6: features that all point one way tell nothing."""
    distance = 1.0 - chance
    usable = distance >= MIN_CHANCE_DISTANCE
    return np.where(usable, (cosine - chance) / np.where(usable, distance, 1.0), np.nan)


def invariance(
    features: npt.ArrayLike,
    transformed_features: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    unchanged: npt.ArrayLike | None = None,
    gallery_size: int = 256,
    block_size: int = 1024,
) -> InvarianceResult:
    """Chance-corrected cosine similarity and retrieval of images' transformed versions.

    With z_i the features of image i and z_i^t those of its transformed version,

        c+_i = cos(z_i, z_i^t)
        c-_i = mean over j != i of cos(z_i, z_j^t)           (same group only, where groups are given)
        invariance = (c+ - c-) / (1 - c-)                    with c+ and c- the means over samples

    `recall_at_1` is the chance that z_i is closest (by cosine) to its own z_i^t in a gallery of that and
    `gallery_size - 1` others drawn without replacement, k-way ties earning 1/k. The expectation over all draws is
    computed exactly, so there is no seed. The gallery ignores groups.

    Args:
        features, transformed_features: z and z^t, both of shape (N, D).
        groups: labels of shape (N,), such as classes, within which chance pairs are taken.
        unchanged: shape (N,), True where the transform left the image as it was.
        gallery_size: images in a gallery, at most the number of defined samples.
        block_size: rows and columns of similarities held at a time.

    Returns:
        A sample that is unchanged, or has a zero vector, is NaN in every per-sample array, counted in `n_undefined`
        and takes no part in anyone's chance or gallery. A sample alone in its group has no chance value and is counted
        in `n_without_chance`. `invariance` is NaN, with a `reason`, where 1 - c- < 1e-6 or there is no chance pair.
    """
    z = float_array(features, "features", ("N", "D"))
    z_t = float_array(transformed_features, "transformed_features", ("N", "D"))
    if z.shape != z_t.shape:
        raise ValueError(f"features and transformed_features must have one shape, got {z.shape} and {z_t.shape}")
    gallery_size = positive_integer(gallery_size, "gallery_size", minimum=2)
    block_size = positive_integer(block_size, "block_size")
    group_of = np.zeros(len(z), dtype=np.int64) if groups is None else label_array(groups, "groups")
    skipped = np.zeros(len(z), dtype=np.bool_)
    if unchanged is not None:
        skipped = binary_array(unchanged, "unchanged", "1 where the transform changed nothing")
    require_equal_lengths(features=z, groups=group_of, unchanged=skipped)

    defined = ~skipped & z.any(axis=1) & z_t.any(axis=1)
    u, v = _unit_rows(z[defined]), _unit_rows(z_t[defined])
    n_defined = len(u)
    gallery_size = min(gallery_size, n_defined)
    cosine, chance, recall = (np.full(len(z), np.nan) for _ in range(3))
    cosine[defined] = np.einsum("nd,nd->n", u, v)
    chance[defined] = _chance_cosine(u, v, cosine[defined], group_of[defined])
    if n_defined >= 2:
        better, tied = count_better_and_tied(u, v, cosine[defined], block_size)
        recall[defined] = expected_recall_at_1(better, tied, n_defined - 1, gallery_size - 1)

    mean_cosine, mean_chance, mean_recall = (_mean_of_defined(values) for values in (cosine, chance, recall))
    corrected = float(chance_corrected(np.array(mean_cosine), np.array(mean_chance)))
    n_with_chance = int((~np.isnan(chance)).sum())
    reason = ""
    if n_defined < 2:
        reason = f"{n_defined} of {len(z)} samples are defined, and an image is never paired with itself"
    elif n_with_chance == 0:
        reason = "every sample is alone in its group, so there is no chance pair"
    elif np.isnan(corrected):
        reason = f"chance cosine is 1 within {MIN_CHANCE_DISTANCE}: all features point one way"
    return InvarianceResult(
        invariance=corrected,
        cosine=mean_cosine,
        chance_cosine=mean_chance,
        recall_at_1=mean_recall,
        gallery_size=gallery_size,
        n=len(z),
        n_undefined=len(z) - n_defined,
        n_without_chance=n_defined - n_with_chance,
        per_sample_cosine=cosine,
        per_sample_chance_cosine=chance,
        per_sample_recall_at_1=recall,
        reason=reason,
    )


def representation_guards(
    features: npt.ArrayLike, stage: Literal["pretrained", "fine-tuned"] = "pretrained"
) -> GuardsResult:
    """Whether features use more than one direction (effective rank of Roy and Vetterli 2007).

        effective_rank = exp(H(q)),   q_k = s_k^2 / sum s^2,   s the singular values of the centred features

    It is at most min(N - 1, D). Features that don't vary have effective rank 1, the smallest value: all of the
    (absent) variance fits in one direction.

    Args:
        features: shape (N, D).
        stage: `collapsed` (effective rank below 2) is only judged for `"pretrained"`.

    Returns:
        A dimension is dead where it varies by no more than 1e-6 of its own size. With fewer than 3 samples every
        number is NaN, with a `reason`, because the rank could not reach 2.
    """
    if stage not in ("pretrained", "fine-tuned"):
        raise ValueError(f"stage must be 'pretrained' or 'fine-tuned', got {stage!r}")
    z = float_array(features, "features", ("N", "D"))
    if len(z) < 3:
        return GuardsResult(
            effective_rank=float("nan"),
            dead_dimension_share=float("nan"),
            collapsed=False,
            n=len(z),
            reason=f"{len(z)} samples cannot show a rank of 2",
        )
    largest = np.abs(z).max(axis=0)
    scale = largest.max() or 1.0  # squares of very large or small features would overflow or vanish
    centred = z / scale
    centred -= centred.mean(axis=0)
    dead = np.abs(centred).max(axis=0) <= DEAD_TOLERANCE * (largest / scale)
    centred[:, dead] = 0.0

    effective_rank = 1.0
    if not dead.all():
        gram = centred @ centred.T if len(z) < z.shape[1] else centred.T @ centred
        squared = np.maximum(np.linalg.eigvalsh(gram), 0.0)
        share = squared[squared > 0.0] / squared.sum()
        effective_rank = float(np.exp(-(share * np.log(share)).sum()))
    return GuardsResult(
        effective_rank=effective_rank,
        dead_dimension_share=float(dead.mean()),
        collapsed=stage == "pretrained" and effective_rank < MIN_EFFECTIVE_RANK,
        n=len(z),
    )


def _unit_rows(x: FloatArray) -> FloatArray:
    x = x / np.abs(x).max(axis=1, keepdims=True)  # so that squaring neither overflows nor vanishes
    unit: FloatArray = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit


def _mean_of_defined(values: FloatArray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _chance_cosine(u: FloatArray, v: FloatArray, own: FloatArray, groups: IntArray) -> FloatArray:
    """Mean of cos(u_i, v_j) over j != i of i's group in O(N D): u_i times the group's sum of v, less its own pair."""
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    sums = np.zeros((len(sizes), u.shape[1]))
    np.add.at(sums, group, v)
    others = sizes[group] - 1
    totals = np.einsum("nd,nd->n", u, sums[group]) - own
    return np.where(others > 0, totals / np.maximum(others, 1), np.nan)
