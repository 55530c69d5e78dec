"""Occlusion of the embedding: where an encoder looks, without any label, class or classifier.

The pixels of one cell of a grid are replaced by a neutral colour (Zeiler and Fergus 2014), and the cell's value is how
far the image's features move. No class is asked, so an encoder that was never given labels can be looked at.
"""

from collections.abc import Callable

import torch
from captum.attr import FeatureAblation
from torch import Tensor
from torch.nn import functional as F

from hf_sslgen.errors import InputError

Embed = Callable[[Tensor], Tensor]

MAX_SIDE = 16
"""Cells a side beyond which windows are made larger: 256 forward passes for an image are a lot already."""


def occlusion_grid(h: int, w: int) -> tuple[int, int]:
    """The grid of windows for a layer's (h, w) grid: the same up to 16 cells a side, else coarser and of its aspect.

    >>> occlusion_grid(7, 10), occlusion_grid(16, 16), occlusion_grid(37, 37), occlusion_grid(64, 32)
    ((7, 10), (16, 16), (16, 16), (16, 8))
    """
    longer = max(h, w)
    if longer <= MAX_SIDE:
        return h, w
    return max(1, round(h * MAX_SIDE / longer)), max(1, round(w * MAX_SIDE / longer))


def _borders(num_cells: int, num_pixels: int) -> Tensor:
    """(num_cells + 1,) borders of equal cells, each at the nearest border of a pixel."""
    return torch.arange(num_cells + 1).mul(num_pixels).div(num_cells).add(0.5).floor().long()


def cell_of_pixels(grid: tuple[int, int], height: int, width: int) -> Tensor:
    """(height, width) index of the cell that each pixel belongs to, counted row by row from the top left.

    Where the cells' size is no whole number of pixels, a border lies at the nearest border of a pixel.

    >>> cell_of_pixels((2, 2), 3, 4).tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3]]
    """
    h, w = grid
    rows = torch.repeat_interleave(_borders(h, height).diff())
    columns = torch.repeat_interleave(_borders(w, width).diff())
    return rows[:, None] * w + columns


def cosine_distance(features: Tensor, others: Tensor) -> Tensor:
    """(B,) 1 - cosine of rows of (B, D), as half the squared distance of unit vectors, so that equal rows give 0."""
    return (F.normalize(features.float()) - F.normalize(others.float())).square().sum(dim=1) / 2


def occlusion_maps(
    embed: Embed,
    pixel_values: Tensor,
    grid: tuple[int, int],
    neutral: Tensor | float = 0.0,
    batch_size: int | None = None,
) -> Tensor:
    """How far the features move when a cell is hidden, for every cell; by captum's `FeatureAblation`.

    The distance is 1 - cosine because that is the measure of this package's invariance: a map says what hiding a cell
    does to the image, as invariance says what a transform does to it. A cell that is neutral already has 0.

    Args:
        embed: from images such as `pixel_values` to (B, D) features.
        pixel_values: (B, 3, H, W).
        grid: rows and columns of cells that share the image equally, as nearly as pixels allow.
        neutral: what a hidden pixel becomes, a number or (3, 1, 1); for normalised images 0, which is the mean colour
            of the normalisation.
        batch_size: most images in a call of `embed`; by default, and at least, as many as there are.

    Returns:
        (B, h, w) float32, nonnegative. It takes h w + 2 passes over the images.

    Raises:
        InputError: more cells than pixels.
    """
    num_images, _, height, width = pixel_values.shape
    h, w = grid
    if not (1 <= h <= height and 1 <= w <= width):
        raise InputError(f"grid {grid} does not fit images of {height} x {width} px; give at most a cell per pixel")
    cells = cell_of_pixels(grid, height, width).to(pixel_values.device)
    hidden = torch.as_tensor(neutral, dtype=pixel_values.dtype, device=pixel_values.device).expand(1, 3, height, width)
    with torch.no_grad():
        features = embed(pixel_values)
        moved = FeatureAblation(lambda images, clean: -cosine_distance(embed(images), clean)).attribute(
            pixel_values,
            baselines=hidden,
            additional_forward_args=features,
            feature_mask=cells[None, None],
            perturbations_per_eval=max(1, (batch_size or num_images) // num_images),
        )
        rows, columns = _borders(h, height)[:-1], _borders(w, width)[:-1]
        maps = moved[:, 0, rows[:, None], columns].float()
        changed = torch.zeros(num_images, h * w, device=cells.device)
        changed.index_add_(1, cells.flatten(), (pixel_values != hidden).any(dim=1).flatten(1).float())
        return maps.clamp(min=0) * (changed > 0).unflatten(1, grid)
