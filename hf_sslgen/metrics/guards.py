"""Whether there is a representation at all: a collapsed one is invariant to everything."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import float_array
from hf_sslgen.metrics.results import MetricResult

DEAD_TOLERANCE = 1e-6  # relative to the dimension's size; float32 features carry rounding of about 1e-7
MIN_EFFECTIVE_RANK = 2.0


@dataclass(frozen=True, eq=False)
class GuardsResult(MetricResult):
    """`collapsed` is only ever True in the pretrained stage: after fine-tuning a rank near C - 1 is healthy."""

    effective_rank: float
    dead_dimension_share: float
    collapsed: bool
    n: int
    reason: str = ""


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
