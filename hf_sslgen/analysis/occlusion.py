"""Occlusion of the embedding: where an encoder looks, without any label, class or classifier.

The pixels of one cell of a grid, or of a window around it, are replaced by a neutral colour (Zeiler and Fergus 2014),
and the cell's value is how far the image's features move. No class is asked, so an encoder that was never given labels
can be looked at.
"""

from collections.abc import Callable

import torch
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


def cell_of_pixels(num_cells: int, num_pixels: int) -> Tensor:
    """(num_pixels,) index of the cell that each row or column of pixels belongs to.

    Where a cell's side is no whole number of pixels, its borders lie at the nearest borders of pixels.

    >>> cell_of_pixels(2, 5).tolist()
    [0, 0, 0, 1, 1]
    """
    borders = torch.arange(num_cells + 1).mul(num_pixels).div(num_cells).add(0.5).floor().long()
    return torch.repeat_interleave(borders.diff())


def cosine_distance(features: Tensor, others: Tensor) -> Tensor:
    """(B,) 1 - cosine of rows of (B, D), as half the squared distance of unit vectors, so that equal rows give 0."""
    return (F.normalize(features.float()) - F.normalize(others.float())).square().sum(dim=1) / 2


def occlusion_maps(
    embed: Embed,
    pixel_values: Tensor,
    grid: tuple[int, int],
    neutral: Tensor | float = 0.0,
    window: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """How far the features move when a cell is hidden, for every cell.

    The distance is 1 - cosine because that is the measure of this package's invariance: a map says what hiding a cell
    does to the image, as invariance says what a transform does to it. What is neutral already has 0. With whole pixels
    in a cell and a window of one cell this is captum's `Occlusion`, which knows neither other borders nor the edge.

    Args:
        embed: from images such as `pixel_values` to (B, D) features.
        pixel_values: (B, 3, H, W).
        grid: rows and columns of cells that share the image equally, as nearly as pixels allow.
        neutral: what a hidden pixel becomes, a number or (3, 1, 1); for normalised images 0, which is the mean colour
            of the normalisation.
        window: cells a side, an odd number, that are hidden together around the cell whose value it is; at the edge of
            the image what lies inside.
        batch_size: most images in a call of `embed`; by default, and at least, as many as there are.

    Returns:
        (B, h, w) float32, nonnegative. It takes h w + 1 passes over the images.

    Raises:
        InputError: more cells than pixels, or an even window.
    """
    num_images, _, height, width = pixel_values.shape
    h, w = grid
    if not (1 <= h <= height and 1 <= w <= width):
        raise InputError(f"grid {grid} does not fit images of {height} x {width} px; give at most a cell per pixel")
    if window < 1 or window % 2 == 0:
        raise InputError(f"window {window} has no cell in its middle; give an odd number of cells")
    device, reach = pixel_values.device, window // 2
    rows = (cell_of_pixels(h, height) - torch.arange(h)[:, None]).abs() <= reach
    columns = (cell_of_pixels(w, width) - torch.arange(w)[:, None]).abs() <= reach
    hides = (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1).to(device)  # (h w, H, W)
    colour = torch.as_tensor(neutral, dtype=pixel_values.dtype, device=device)
    differs = (pixel_values != colour).any(dim=1)
    distances = []
    with torch.no_grad():
        features = embed(pixel_values)
        for hidden in hides.split(max(1, (batch_size or num_images) // num_images)):
            images = torch.where(hidden[:, None, None], colour, pixel_values).flatten(0, 1)
            moved = cosine_distance(embed(images), features.repeat(len(hidden), 1)).unflatten(0, (-1, num_images))
            distances.append(moved * (hidden[:, None] & differs).flatten(2).any(dim=2))
    return torch.cat(distances).movedim(0, 1).unflatten(1, grid)
