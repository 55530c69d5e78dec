"""Whether attribution lies on the object: against a mask or a box, on the attribution's own grid."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import FloatArray, float_array, raise_at_first, require_equal_lengths
from hf_sslgen.metrics.intervals import mean_interval, proportion_interval
from hf_sslgen.metrics.maps import Sign, mean_of_defined, per_sample, signed_maps
from hf_sslgen.metrics.results import Interval, MetricResult


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
    """How much of the attribution lies on the object, against how much of the image the object takes.

    With a the cells of one map after the sign rule and m in [0, 1] the share of each cell that the object covers:

        mass_accuracy = sum a m / sum a
        area_share    = mean m
        lift          = mass_accuracy / area_share       1 where attribution ignores the object
        pointing_game = mean m over the cells where a is largest     (Zhang et al. 2018; ties count fractionally)

    Mass accuracy alone is high for any map where the object fills the image, so lift is the number to compare.

    Args:
        maps: finite attributions, shape (N, h, w), on the layer's own grid.
        masks: the object, values in [0, 1] or booleans, shape (N, r h, s w) with whole r and s; averaged into cells.
        boxes: the object as (x0, y0, x1, y1), shape (N, 4), in shares of width and height: left and top edge 0, right
            and bottom edge 1. Cells are covered fractionally.
        sign: `"positive"` keeps max(A, 0), the convention of Grad-CAM; `"absolute"` takes |A|.

    Returns:
        All are NaN for a map that is all-zero after the sign rule and for an empty mask.

    Raises:
        ValueError: unless exactly one of `masks` and `boxes` is given; for masks of another grid, and for boxes that
            leave the image or enclose nothing.

    >>> result = attribution_localization([[[3.0, 1.0], [0.0, 0.0]]], boxes=[[0.0, 0.0, 0.5, 1.0]])
    >>> result.mass_accuracy, result.area_share, result.lift, result.pointing_game
    (0.75, 0.5, 1.5, 1.0)
    """
    if (masks is None) == (boxes is None):
        raise ValueError(f"give either masks or boxes, got {'neither' if masks is None else 'both'}")
    a, nonzero = signed_maps(maps, sign)
    height, width = a.shape[1:]
    if boxes is not None:
        coverage = _box_coverage(boxes, height, width)
        require_equal_lengths(maps=nonzero, boxes=coverage)
    else:
        coverage = _mask_coverage(masks, height, width)
        require_equal_lengths(maps=nonzero, masks=coverage)

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
        intervals={name: mean_interval(each) for name, each in values.items()}
        | {"zero_map_rate": proportion_interval(num_zero, n)},
    )


def _mask_coverage(masks: Any, height: int, width: int) -> FloatArray:
    """(N, h, w) mean of the mask in each cell."""
    values = float_array(masks, "masks", ("N", "h'", "w'"))
    raise_at_first((values < 0.0) | (values > 1.0), values, "masks", "in [0, 1]")
    n, rows, columns = values.shape
    if rows % height or columns % width:
        raise ValueError(
            f"masks must have a height and width that are multiples of the maps' {height} x {width}, got {rows} x "
            f"{columns}; resize them, or give boxes"
        )
    cells: FloatArray = values.reshape(n, height, rows // height, width, columns // width).mean(axis=(2, 4))
    return cells


def _box_coverage(boxes: Any, height: int, width: int) -> FloatArray:
    """(N, h, w) share of each cell inside the box."""
    values = float_array(boxes, "boxes", ("N", "4"))
    if values.shape[1] != 4:
        raise ValueError(f"boxes must have shape (N, 4): x0, y0, x1, y1, got shape {values.shape}")
    expected = "in [0, 1], shares of the image's width and height (divide pixels by the image's size)"
    raise_at_first((values < 0.0) | (values > 1.0), values, "boxes", expected)
    x0, y0, x1, y1 = values.T
    empty = (x1 <= x0) | (y1 <= y0)
    if empty.any():
        row = int(np.argmax(empty))
        raise ValueError(f"boxes must be x0, y0, x1, y1 with x0 < x1 and y0 < y1, but boxes[{row}] is {values[row]}")
    across, down = _overlap(x0, x1, width), _overlap(y0, y1, height)
    return down[:, :, None] * across[:, None, :]


def _overlap(start: FloatArray, stop: FloatArray, cells: int) -> FloatArray:
    """(N, cells) share of each cell along one axis that lies between start and stop."""
    edges = np.arange(cells + 1) / cells
    low = np.maximum(start[:, None], edges[None, :-1])
    high = np.minimum(stop[:, None], edges[None, 1:])
    return np.clip((high - low) * cells, 0.0, 1.0)
