"""Localisation of attribution on the object, given by a mask or a box, on the attribution's own grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.defined import interval_of_defined, mean_of_defined, per_sample
from hf_sslgen.metrics.inputs import FloatArray, float_array, raise_at_first, require_shape, to_numpy
from hf_sslgen.metrics.maps import Sign, signed_maps
from hf_sslgen.metrics.results import Interval, MetricResult
from hf_sslgen.metrics.shares import credit_interval, share_interval

BLOCK_PIXELS = 1 << 20


@dataclass(frozen=True, eq=False)
class LocalizationResult(MetricResult):
    """Means over samples whose map is not all-zero and whose mask is not empty; `n_undefined` counts the others."""

    mass_accuracy: float
    lift: float
    pointing_game: float
    area_share: float
    zero_map_rate: float
    n: int
    n_undefined: int
    per_sample_mass_accuracy: FloatArray
    per_sample_lift: FloatArray
    per_sample_pointing_game: FloatArray
    per_sample_area_share: FloatArray
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)


def attribution_localization(
    maps: npt.ArrayLike,
    masks: npt.ArrayLike | None = None,
    boxes: npt.ArrayLike | None = None,
    sign: Sign = "positive",
) -> LocalizationResult:
    """Compare the share of attribution on the object with the share of the image that the object covers.

    With a the cells of one map after the sign rule and m in [0, 1] the share of each cell that the object covers:

        mass_accuracy = sum a m / sum a
        area_share    = mean m
        lift          = mass_accuracy / area_share       1 if attribution ignores the object
        pointing_game = mean m over the cells where a is largest     (Zhang et al. 2018; ties count fractionally)

    Mass accuracy alone is high for any map if the object fills the image, so compare lift.

    Args:
        maps: finite attributions, shape (N, h, w), on the layer's own grid.
        masks: the object, values in [0, 1] or booleans, shape (N, r h, s w) with whole r and s; averaged per cell.
        boxes: the object as (x0, y0, x1, y1), shape (N, 4), in fractions of width and height: the left and top edges
            are 0, the right and bottom edges 1. Cells are covered fractionally.
        sign: `"positive"` keeps max(A, 0), the convention of Grad-CAM; `"absolute"` takes |A|.

    Returns:
        Result whose values are NaN for a map that is all-zero after the sign rule and for an empty mask. Intervals of
        means need 100 defined samples; `pointing_game` and `zero_map_rate` have intervals of shares for any number.

    Raises:
        ValueError: not exactly one of `masks` and `boxes` is given, masks do not fit the grid, or boxes leave the
            image or enclose nothing.

    >>> result = attribution_localization([[[3.0, 1.0], [0.0, 0.0]]], boxes=[[0.0, 0.0, 0.5, 1.0]])
    >>> result.mass_accuracy, result.area_share, result.lift, result.pointing_game
    (0.75, 0.5, 1.5, 1.0)
    """
    if (masks is None) == (boxes is None):
        raise ValueError(f"give either masks or boxes, got {'neither' if masks is None else 'both'}")
    a, nonzero = signed_maps(maps, sign)
    shape = (len(nonzero), *a.shape[1:])
    coverage = _box_coverage(boxes, shape) if masks is None else _mask_coverage(masks, shape)

    area_share = coverage.mean(axis=(1, 2))
    defined = nonzero & (area_share > 0.0)
    a, coverage, area_share = a[defined[nonzero]], coverage[defined], area_share[defined]
    mass_accuracy = (a * coverage).sum(axis=(1, 2)) / a.sum(axis=(1, 2))
    is_peak = a == 1.0  # maps are divided by their peak
    values: dict[str, Any] = {
        "mass_accuracy": mass_accuracy,
        "lift": mass_accuracy / area_share,
        "pointing_game": (coverage * is_peak).sum(axis=(1, 2)) / is_peak.sum(axis=(1, 2)),
        "area_share": area_share,
    }
    values = {name: per_sample(of_defined, defined) for name, of_defined in values.items()}
    n, num_zero, n_undefined = len(defined), int((~nonzero).sum()), int((~defined).sum())
    return LocalizationResult(
        **dict[str, Any]({name: mean_of_defined(each) for name, each in values.items()}),
        **{f"per_sample_{name}": each for name, each in values.items()},
        zero_map_rate=num_zero / n,
        n=n,
        n_undefined=n_undefined,
        reason="every map is all-zero after the sign rule, or its mask is empty" if n_undefined == n else "",
        intervals={name: interval_of_defined(each) for name, each in values.items()}
        | {
            "pointing_game": credit_interval(values["pointing_game"]),
            "zero_map_rate": share_interval(num_zero, n),
        },
    )


def _mask_coverage(masks: Any, map_shape: tuple[int, ...]) -> FloatArray:
    """Average the mask in each cell to (N, h, w), block by block because pixel masks are large."""
    array = to_numpy(masks, "masks")
    require_shape(array.shape, "masks", ("N", "h'", "w'"))
    _require_one_per_map("masks", array.shape, map_shape)
    n, height, width = map_shape
    rows, columns = array.shape[1:]
    if rows % height or columns % width:
        raise ValueError(
            f"masks must have a height and width that are multiples of the maps' {height} x {width}, got {rows} x "
            f"{columns}; resize them, or give boxes"
        )
    coverage = np.empty(map_shape)
    block_size = max(1, BLOCK_PIXELS // (rows * columns))
    for start in range(0, n, block_size):
        block = array[start : start + block_size].astype(np.float64)
        if not (block.min() >= 0.0 and block.max() <= 1.0):  # also catches NaN
            raise_at_first(~((array >= 0) & (array <= 1)), array, "masks", "in [0, 1]")
        cells = block.reshape(len(block), height, rows // height, width, columns // width)
        coverage[start : start + len(block)] = cells.mean(axis=(2, 4))
    return coverage


def _box_coverage(boxes: Any, map_shape: tuple[int, ...]) -> FloatArray:
    """Compute the share of each cell inside the box: (N, h, w)."""
    values = float_array(boxes, "boxes", ("N", "4"))
    if values.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4): x0, y0, x1, y1, got shape {values.shape}")
    _require_one_per_map("boxes", values.shape, map_shape)
    expected = "in [0, 1], shares of the image's width and height (divide pixels by the image's size)"
    raise_at_first((values < 0.0) | (values > 1.0), values, "boxes", expected)
    x0, y0, x1, y1 = values.T
    empty = (x1 <= x0) | (y1 <= y0)
    if empty.any():
        row = int(np.argmax(empty))
        raise ValueError(
            f"boxes must be x0, y0, x1, y1 with x0 < x1 and y0 < y1, but boxes[{row}] is {values[row].tolist()}"
        )
    across, down = axis_overlap(x0, x1, map_shape[2]), axis_overlap(y0, y1, map_shape[1])
    return down[:, :, None] * across[:, None, :]


def _require_one_per_map(name: str, shape: tuple[int, ...], map_shape: tuple[int, ...]) -> None:
    if shape[0] != map_shape[0]:
        raise ValueError(f"maps and {name} must have the same length, got shapes {map_shape} and {shape}")


def axis_overlap(start: FloatArray, stop: FloatArray, cells: int) -> FloatArray:
    """Compute the share of each cell along one axis that lies between start and stop: (N, cells)."""
    edges = np.arange(cells + 1) / cells
    low = np.maximum(start[:, None], edges[None, :-1])
    high = np.minimum(stop[:, None], edges[None, 1:])
    return np.clip((high - low) * cells, 0.0, 1.0)
