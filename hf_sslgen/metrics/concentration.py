"""How concentrated an attribution map is, and over how much of the image it spreads."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import FloatArray, float_array
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class ConcentrationResult(MetricResult):
    """Means over maps that are not all-zero; `n_undefined` counts the all-zero ones, `zero_map_rate` their share."""

    gini: float
    spread: float
    zero_map_rate: float
    n: int
    n_undefined: int
    per_sample_gini: FloatArray
    per_sample_spread: FloatArray
    reason: str = ""


def attribution_concentration(
    maps: npt.ArrayLike, sign: Literal["positive", "absolute"] = "positive"
) -> ConcentrationResult:
    """Gini coefficient and spatial spread of attribution maps, each map normalised on its own.

    With a the n = h w cells of one map after the sign rule, a_(1) <= ... <= a_(n), and p = a / sum(a):

        gini   = sum_i (2 i - n - 1) a_(i) / (n sum a)                 uniform 0, a single cell (n - 1) / n
        spread = sqrt(trace Cov_p / trace Cov_uniform)                 over cell centres in [0, 1]^2

    The Gini coefficient follows Hurley and Rickard (2009) and Chalasani et al. (2020). It does not see where mass lies
    (rectified Gaussian noise has an expected Gini of 1/sqrt(2), like a clean centred blob, but a spread near 1), so
    both are always given. Neither has a better direction. Measure on the layer's own grid: upsampling changes the
    Gini.

    Args:
        maps: finite attributions, shape (N, h, w).
        sign: `"positive"` keeps max(A, 0), the convention of Grad-CAM; `"absolute"` takes |A|.

    Returns:
        Both are NaN for a map that is all-zero after the sign rule; spread is NaN on a 1 x 1 grid. A mean that can't
        be had is NaN, with a `reason`.
    """
    if sign not in ("positive", "absolute"):
        raise ValueError(f"sign must be 'positive' or 'absolute', got {sign!r}")
    values = float_array(maps, "maps", ("N", "h", "w"))
    num_maps, height, width = values.shape
    num_cells = height * width
    a = np.maximum(values, 0.0) if sign == "positive" else np.abs(values)

    peak = a.max(axis=(1, 2), keepdims=True)
    defined = peak[:, 0, 0] > 0.0
    a = a[defined] / peak[defined]  # before any sum, so that maps of 1e-300 or 1e300 neither vanish nor overflow
    total = a.sum(axis=(1, 2))

    gini = np.full(num_maps, np.nan)
    rank_weights = 2.0 * np.arange(1, num_cells + 1) - num_cells - 1.0
    gini[defined] = np.sort(a.reshape(-1, num_cells), axis=1) @ rank_weights / (num_cells * total)

    spread = np.full(num_maps, np.nan)
    if num_cells > 1:
        variance = _axis_variance(a.sum(axis=2) / total[:, None]) + _axis_variance(a.sum(axis=1) / total[:, None])
        of_uniform = (1.0 - 1.0 / height**2) / 12.0 + (1.0 - 1.0 / width**2) / 12.0
        spread[defined] = np.sqrt(variance / of_uniform)

    n_defined = int(defined.sum())
    reason = ""
    if n_defined == 0:
        reason = "every map is all-zero after the sign rule"
    elif num_cells == 1:
        reason = "a 1 x 1 grid has no spread"
    return ConcentrationResult(
        gini=float(gini[defined].mean()) if n_defined else float("nan"),
        spread=float(spread[defined].mean()) if n_defined else float("nan"),
        zero_map_rate=(num_maps - n_defined) / num_maps,
        n=num_maps,
        n_undefined=num_maps - n_defined,
        per_sample_gini=gini,
        per_sample_spread=spread,
        reason=reason,
    )


def _axis_variance(mass: FloatArray) -> FloatArray:
    """Variance of position along one axis; `mass` has shape (N, cells) and rows summing to 1."""
    cells = mass.shape[1]
    centres = (np.arange(cells) + 0.5) / cells
    deviation = centres - (mass @ centres)[:, None]
    variance: FloatArray = (mass * np.square(deviation)).sum(axis=1)
    return variance
