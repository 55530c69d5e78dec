"""Concentration and spatial spread of attribution maps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.defined import interval_of_defined, mean_of_defined, per_sample
from hf_sslgen.metrics.inputs import FloatArray, positive_integer
from hf_sslgen.metrics.maps import Sign, signed_maps
from hf_sslgen.metrics.results import Interval, MetricResult
from hf_sslgen.metrics.shares import share_interval

TOP_SHARE = 10  # the mass of the n / 10 strongest cells
MASS_LEVEL = 0.8
BLOCK_CELLS = 1 << 16


@dataclass(frozen=True, eq=False)
class ConcentrationResult(MetricResult):
    """Means over maps that are not all-zero; `n_undefined` counts all-zero maps and `zero_map_rate` is their share."""

    gini: float
    effective_area: float
    participation_ratio: float
    top_10_percent_mass: float
    area_at_80_percent_mass: float
    entropy: float
    spread: float
    zero_map_rate: float
    n: int
    n_undefined: int
    per_sample_gini: FloatArray
    per_sample_effective_area: FloatArray
    per_sample_participation_ratio: FloatArray
    per_sample_top_10_percent_mass: FloatArray
    per_sample_area_at_80_percent_mass: FloatArray
    per_sample_entropy: FloatArray
    per_sample_spread: FloatArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def attribution_concentration(maps: npt.ArrayLike, sign: Sign = "positive") -> ConcentrationResult:
    """Measure concentration and spatial spread of attribution maps, each map normalised separately.

    With a the n = h w cells of one map after the sign rule, a_(1) <= ... <= a_(n), and p = a / sum(a):

        gini                    = sum_i (2 i - n - 1) a_(i) / (n sum a)     uniform 0, a single cell (n - 1) / n
        entropy                 = -sum p log p                              nats; grows with n
        effective_area          = exp(entropy) / n                          uniform 1, a single cell 1 / n
        participation_ratio     = 1 / (n sum p^2)                           uniform 1, a single cell 1 / n
        top_10_percent_mass     = mass of the n / 10 strongest cells        the last one counted fractionally
        area_at_80_percent_mass = share of cells, strongest first, that hold 80% of the mass, likewise
        spread                  = sqrt(trace Cov_p / trace Cov_uniform)     over cell centres in [0, 1]^2

    The Gini coefficient follows Hurley and Rickard (2009) and Chalasani et al. (2020). It ignores where the mass lies
    (rectified Gaussian noise has an expected Gini of 1/sqrt(2), like a clean centred blob, but a spread near 1), so
    both are always reported. For none of these numbers is higher or lower better. Only entropy and effective area
    always rank maps on the same grid alike. Measure on the layer's own grid, because upsampling changes the Gini.
    Cloning every cell k times changes only entropy and spread, so compare those on equal grids.

    Args:
        maps: finite attributions, shape (N, h, w).
        sign: `"positive"` keeps max(A, 0), the convention of Grad-CAM; `"absolute"` takes |A|.

    Returns:
        Result whose values are NaN for a map that is all-zero after the sign rule; spread is also NaN on a 1 x 1 grid.
        An undefined mean is NaN, with a `reason`.

    >>> result = attribution_concentration([[[0.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [1.0, 1.0]]])
    >>> result.per_sample_gini.tolist(), result.per_sample_spread.tolist()
    ([0.75, 0.0], [0.0, 1.0])
    """
    a, defined = signed_maps(maps, sign)
    num_cells = a.shape[1] * a.shape[2]
    # Blocks that fit the processor's cache are several times faster.
    block_size = max(1, BLOCK_CELLS // num_cells)
    starts = range(0, max(1, len(a)), block_size)
    blocks = [_of_block(a[start : start + block_size]) for start in starts]
    values: dict[str, Any] = {
        name: per_sample(np.concatenate([block[name] for block in blocks]), defined) for name in blocks[0]
    }
    n, n_undefined = len(defined), int((~defined).sum())
    reason = ""
    if n_undefined == n:
        reason = "every map is all-zero after the sign rule"
    elif num_cells == 1:
        reason = "a 1 x 1 grid has no spread"
    return ConcentrationResult(
        **dict[str, Any]({name: mean_of_defined(each) for name, each in values.items()}),
        **{f"per_sample_{name}": each for name, each in values.items()},
        zero_map_rate=n_undefined / n,
        n=n,
        n_undefined=n_undefined,
        reason=reason,
        intervals={name: interval_of_defined(each) for name, each in values.items()}
        | {"zero_map_rate": share_interval(n_undefined, n)},
    )


def noise_null(height: int, width: int, num_maps: int = 1000, seed: int = 0) -> ConcentrationResult:
    """Measure the concentration of uninformative maps: independent, rectified Gaussian noise.

    Its Gini is near 1/sqrt(2) (.70 on 7 x 7 cells), like that of a clean blob in the middle of the image; its spread
    is near 1.

    Args:
        height, width: h and w of the grid to compare with.
        num_maps, seed: size and seed of the simulation.
    """
    shape = tuple(
        positive_integer(value, name) for name, value in (("num_maps", num_maps), ("height", height), ("width", width))
    )
    return attribution_concentration(np.random.default_rng(seed).standard_normal(shape))


def _of_block(a: FloatArray) -> dict[str, FloatArray]:
    """Compute all seven numbers for non-zero maps of shape (M, h, w)."""
    return {**_by_rank(a.reshape(len(a), a.shape[1] * a.shape[2])), "spread": _spread(a)}


def _by_rank(a: FloatArray) -> dict[str, FloatArray]:
    """Compute the numbers that do not depend on cell positions, for non-zero maps of shape (M, n)."""
    num_cells = a.shape[1]
    ascending = np.sort(a, axis=1)
    total = ascending.sum(axis=1)
    rank_weights = 2.0 * np.arange(1, num_cells + 1) - num_cells - 1.0
    gini = ascending @ rank_weights / (num_cells * total)

    p = ascending / total[:, None]
    entropy = np.maximum(-(p * np.log(np.where(p > 0.0, p, 1.0))).sum(axis=1), 0.0)
    descending = p[:, ::-1]
    mass = np.concatenate([np.zeros((len(a), 1)), np.cumsum(descending, axis=1)], axis=1)
    whole, part = divmod(num_cells, TOP_SHARE)
    top_mass = mass[:, whole] + part / TOP_SHARE * descending[:, whole]

    last = np.minimum((mass[:, 1:] < MASS_LEVEL).sum(axis=1), num_cells - 1)  # the cell in which the level is reached
    rows = np.arange(len(a))
    area = (last + (MASS_LEVEL - mass[rows, last]) / descending[rows, last]) / num_cells
    return {
        "gini": gini,
        "effective_area": np.exp(entropy) / num_cells,
        "participation_ratio": 1.0 / (num_cells * np.square(p).sum(axis=1)),
        "top_10_percent_mass": top_mass,
        "area_at_80_percent_mass": area,
        "entropy": entropy,
    }


def _spread(a: FloatArray) -> FloatArray:
    """Compute the spatial spread of non-zero maps of shape (M, h, w); NaN on a 1 x 1 grid."""
    _, height, width = a.shape
    if height * width == 1:
        return np.full(len(a), np.nan)
    total = a.sum(axis=(1, 2))[:, None]
    variance = _axis_variance(a.sum(axis=2) / total) + _axis_variance(a.sum(axis=1) / total)
    of_uniform = (1.0 - 1.0 / height**2) / 12.0 + (1.0 - 1.0 / width**2) / 12.0
    spread: FloatArray = np.sqrt(variance / of_uniform)
    return spread


def _axis_variance(mass: FloatArray) -> FloatArray:
    """Compute the variance of position along one axis; `mass` has shape (M, cells) and rows summing to 1."""
    cells = mass.shape[1]
    centres = (np.arange(cells) + 0.5) / cells
    deviation = centres - (mass @ centres)[:, None]
    variance: FloatArray = (mass * np.square(deviation)).sum(axis=1)
    return variance
