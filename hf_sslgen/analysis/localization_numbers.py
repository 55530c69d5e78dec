"""Localisation of attribution maps on the objects marked by a domain's boxes or masks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.estimated_numbers import numbers_of
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.geometry import Geometry, evaluation_boxes, evaluation_points
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.localization import axis_overlap
from hf_sslgen.metrics.stages import Stage


def region_coverage(
    inside: NDArray[np.bool_], x_edges: NDArray[np.float64], y_edges: NDArray[np.float64], grid: Sequence[int]
) -> NDArray[np.float64]:
    """Compute the exact share of each grid cell that a region covers, even if their edges do not align.

    Args:
        inside: (R, C), whether the region contains the rectangle between neighbouring edges.
        x_edges, y_edges: (C + 1,) and (R + 1,), ascending, in fractions of the grid's width and height.
        grid: h and w.

    Returns:
        (h, w), in [0, 1].

    >>> region_coverage(np.array([[True]]), np.array([0.0, 0.75]), np.array([0.0, 1.0]), (1, 2))
    array([[1. , 0.5]])
    """
    across = axis_overlap(x_edges[:-1], x_edges[1:], grid[1])
    down = axis_overlap(y_edges[:-1], y_edges[1:], grid[0])
    return (down.T @ inside @ across).clip(0.0, 1.0)  # sums of shares are rounded


def box_coverage(boxes: NDArray[np.float64], grid: Sequence[int]) -> NDArray[np.float64]:
    """Compute the share (h, w) of each cell inside any box, (K, 4) as x0, y0, x1, y1 in fractions of the input."""
    if len(boxes) == 0:
        return np.zeros(tuple(grid))
    x_edges, y_edges = np.unique(boxes[:, [0, 2]]), np.unique(boxes[:, [1, 3]])
    inside = np.zeros((len(y_edges) - 1, len(x_edges) - 1), dtype=np.bool_)
    for x0, y0, x1, y1 in boxes:
        rows = slice(*np.searchsorted(y_edges, (y0, y1)))
        inside[rows, slice(*np.searchsorted(x_edges, (x0, x1)))] = True
    return region_coverage(inside, x_edges, y_edges, grid)


def mask_coverage(mask: NDArray[np.bool_], geometry: Geometry, grid: Sequence[int]) -> NDArray[np.float64]:
    """Compute the share (h, w) of each cell of the network's input covered by a picture's mask, (height, width)."""
    height, width = mask.shape
    columns = np.stack([np.arange(width + 1.0), np.zeros(width + 1)], axis=1)
    rows = np.stack([np.zeros(height + 1), np.arange(height + 1.0)], axis=1)
    x_edges = evaluation_points(columns, (width, height), geometry)[:, 0].clip(0.0, 1.0)
    y_edges = evaluation_points(rows, (width, height), geometry)[:, 1].clip(0.0, 1.0)
    return region_coverage(mask, x_edges, y_edges, grid)


def object_coverage(subset: ImageSplit, geometry: Geometry, grid: Sequence[int]) -> NDArray[np.float64]:
    """Compute how much of each cell the object covers, from masks if the domain has them and else from boxes.

    Args:
        geometry: how pictures are converted to the network's input.
        grid: h and w of the attribution maps.

    Returns:
        (N, h, w) in [0, 1]; all zero for an image without the object, or if the crop removes it.

    Raises:
        InputError: the domain has neither column, or one of its boxes or masks can't be used.
    """
    coverage = np.empty((len(subset), *grid))
    for position in range(len(subset)):
        if subset.has("mask"):
            coverage[position] = mask_coverage(subset.mask(position), geometry, grid)
        else:
            size = subset.stored(position).upright_size
            coverage[position] = box_coverage(evaluation_boxes(subset.boxes(position), size, geometry), grid)
    return coverage


def localization_analysis(
    maps: NDArray[np.float32], subset: ImageSplit, geometry: Geometry, stage: Stage
) -> tuple[list[Number], dict[str, NDArray[np.float64]]]:
    """Measure the localisation of attribution maps on the annotated object.

    Args:
        maps: (N, h, w), on the layer's own grid, of the subset's images.

    Returns:
        The numbers of `attribution_localization`, and (N,) columns of the same names. Images with an all-zero map or
        without an object are NaN and counted.
    """
    measured = measure(Subject.OBJECTS, maps, object_coverage(subset, geometry, maps.shape[1:]))
    return numbers_of(measured, stage), measured.columns


def first_boxes(subset: ImageSplit, geometry: Geometry) -> NDArray[np.float64]:
    """Return each image's first box, (N, 4) x0, y0, x1, y1 in fractions of the input; NaN if there is none."""
    found = np.full((len(subset), 4), np.nan)
    for position in range(len(subset)):
        size = subset.stored(position).upright_size
        boxes = evaluation_boxes(subset.boxes(position), size, geometry)
        if len(boxes):
            found[position] = boxes[0]
    return found
