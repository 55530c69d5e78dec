"""Guards against collapsed representations, which could pass for invariant ones."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import FloatArray, float_array
from hf_sslgen.metrics.results import MetricResult
from hf_sslgen.metrics.stages import PRETRAINED_STAGE, Stage

DEAD_TOLERANCE = 1e-6  # relative to the dimension's size; float32 features carry rounding of about 1e-7
COLLAPSED_BELOW = 2.0
"""Effective rank of the covariance below which an encoder counts as collapsed; two equal directions have 2."""

MIN_SAMPLES = 3
MIN_JUDGED = 10
"""Minimum number of samples to judge collapse: the rank is at most N - 1, so even a healthy encoder's is low."""

RANKME_EPSILON = 1e-7
"""Epsilon of Garrido et al. (2023), for float32."""


@dataclass(frozen=True, eq=False)
class GuardsResult(MetricResult):
    """`collapsed` is only ever True in the pretrained stage: after fine-tuning a rank near C - 1 is healthy."""

    covariance_effective_rank: float
    rankme: float
    dead_dimension_share: float
    collapsed: bool
    n: int
    reason: str = ""


def representation_guards(features: npt.ArrayLike, stage: Stage = PRETRAINED_STAGE) -> GuardsResult:
    """Measure how many directions the features use, by two ranks and the share of dimensions that never vary.

        covariance_effective_rank = exp(H(q)),   q_k = l_k / sum l,         l the eigenvalues of the covariance
        rankme = exp(-sum_k p_k log p_k),        p_k = s_k / sum s + 1e-7,  s the singular values of the features

    The first is the effective rank of Roy and Vetterli (2007) of the covariance matrix, whose singular values are its
    eigenvalues: the squared singular values of the centred features. It is at most min(N - 1, D) and weighs directions
    by their variance, so faint ones hardly count. RankMe (Garrido et al. 2023) uses the singular values of the
    uncentred features themselves: it is at most about min(N, D), far larger on the same features, grows with N, and
    falls if all features share a large mean. Neither replaces the other.

    `collapsed` means one direction and almost nothing else (a covariance rank below 2), not merely fewer directions
    than possible. On 1,000 samples of 512 dimensions, each correlated by .95 with its transformed version:

        k equal directions            k = 1   2     3     4     5     10    50
        covariance_effective_rank         1.0 2.0   3.0   4.0   5.0   9.9   49
        recall@1 of 256                   .01 .04   .16   .41   .62   .98   1.0
        corrected invariance              .77 .90   .92   .93   .94   .94   .95

        spectrum l_k = k^-a           a = 1   1.5   2     3
        covariance_effective_rank         103 17    5.1   2.0
        RankMe                            376 239   108   16
        recall@1 of 256                   1.0 1.0   .94   .66

    A higher threshold would flag steep but useful spectra as collapsed before it flagged three equal directions, so
    that case is left to recall@1. Features that are one point plus noise keep their covariance rank, but RankMe falls
    and the chance cosine is near 1.

    Args:
        features: shape (N, D).
        stage: `collapsed` is judged only for `"pretrained"`.

    Returns:
        Features that do not vary have covariance rank 1, the smallest value: all of the (absent) variance fits into
        one direction. All-zero features also have a RankMe of 1. A dimension is dead if it varies by at most 1e-6 of
        its own size. With fewer than 3 samples every number is NaN, and with fewer than 10 `collapsed` is not judged;
        `reason` says so.
    """
    if stage not in get_args(Stage):
        raise ValueError(f"stage must be 'pretrained' or 'fine-tuned', got {stage!r}")
    z = float_array(features, "features", ("N", "D"))
    if len(z) < MIN_SAMPLES:
        nan = float("nan")
        return GuardsResult(
            nan, nan, nan, collapsed=False, n=len(z), reason=f"{len(z)} samples cannot show a rank of 2"
        )
    largest = np.abs(z).max(axis=0)
    scale = largest.max() or 1.0  # squares of very large or small features would overflow or vanish
    centred = z / scale
    rankme = _rankme(centred)
    centred -= centred.mean(axis=0)
    dead = np.abs(centred).max(axis=0) <= DEAD_TOLERANCE * (largest / scale)
    centred[:, dead] = 0.0

    rank = 1.0
    if not dead.all():
        gram = centred @ centred.T if len(z) < z.shape[1] else centred.T @ centred
        eigenvalues = np.maximum(np.linalg.eigvalsh(gram), 0.0)
        rank = _exp_entropy(eigenvalues / eigenvalues.sum())
    judged = len(z) >= MIN_JUDGED
    return GuardsResult(
        covariance_effective_rank=rank,
        rankme=rankme,
        dead_dimension_share=float(dead.mean()),
        collapsed=stage == PRETRAINED_STAGE and judged and rank < COLLAPSED_BELOW,
        n=len(z),
        reason="" if judged else f"collapse is judged from {MIN_JUDGED} samples on, and there are {len(z)}",
    )


def _rankme(z: FloatArray) -> float:
    singular_values = np.linalg.svd(z, compute_uv=False)
    total = singular_values.sum()
    return _exp_entropy(singular_values / total + RANKME_EPSILON) if total > 0.0 else 1.0


def _exp_entropy(shares: FloatArray) -> float:
    shares = shares[shares > 0.0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
