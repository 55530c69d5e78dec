"""Occlusion of the embedding: where an encoder looks, without labels, classes or a classifier.

The pixels of one grid cell, or of a window around it, are replaced by a neutral colour (Zeiler and Fergus 2014), and
the cell's value is how far the image's features move. Since no class is involved, this works for encoders that never
saw labels.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hf_sslgen.errors import InputError

Embed = Callable[[Tensor], Tensor]

MAX_SIDE = 16
"""Maximum number of cells per side; windows grow beyond it, because 256 forward passes per image are already many."""


def occlusion_grid(h: int, w: int) -> tuple[int, int]:
    """Return the grid of windows for a layer's (h, w) grid: the same up to 16 cells per side, else coarser.

    >>> occlusion_grid(7, 10), occlusion_grid(16, 16), occlusion_grid(37, 37), occlusion_grid(64, 32)
    ((7, 10), (16, 16), (16, 16), (16, 8))
    """
    longer = max(h, w)
    if longer <= MAX_SIDE:
        return h, w
    return max(1, round(h * MAX_SIDE / longer)), max(1, round(w * MAX_SIDE / longer))


def cell_of_pixels(num_cells: int, num_pixels: int) -> Tensor:
    """Return the cell index of each row or column of pixels, (num_pixels,).

    If a cell's side is not a whole number of pixels, its borders are rounded to pixel borders.

    >>> cell_of_pixels(2, 5).tolist()
    [0, 0, 0, 1, 1]
    """
    borders = torch.arange(num_cells + 1).mul(num_pixels).div(num_cells).add(0.5).floor().long()
    return torch.repeat_interleave(borders.diff())


def cosine_distance(features: Tensor, others: Tensor) -> Tensor:
    """Return 1 - cosine of rows, (B,), computed as half the squared distance of unit vectors; equal rows give 0."""
    return (F.normalize(features.float()) - F.normalize(others.float())).square().sum(dim=1) / 2


def occlusion_maps(
    embed: Embed,
    pixel_values: Tensor,
    grid: tuple[int, int],
    neutral: Tensor | float = 0.0,
    window: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Measure how far the features move when each cell is hidden.

    The distance is 1 - cosine, the measure used for invariance: a map shows the effect of hiding a cell as invariance
    shows the effect of a transform. Cells that are already neutral have 0. With whole pixels per cell and a window of
    one cell this equals captum's `Occlusion`, which does not handle other borders or the image's edge.

    Args:
        embed: maps images such as `pixel_values` to (B, D) features.
        pixel_values: (B, 3, H, W).
        grid: number of rows and columns of cells, as equal in size as pixels allow.
        neutral: replacement for hidden pixels, a number or (3, 1, 1); for normalised images 0, the mean colour of the
            normalisation.
        window: side, in cells, of the hidden window around each cell; odd. It is clipped at the image's edge.
        batch_size: maximum number of images per call of `embed`; by default, and at least, the number of images.

    Returns:
        (B, h, w) float32, nonnegative. It takes h w + 1 passes over the images.

    Raises:
        InputError: there are more cells than pixels, or the window is even.
    """
    num_images, _, height, width = pixel_values.shape
    h, w = grid
    if not (1 <= h <= height and 1 <= w <= width):
        raise InputError(f"grid {grid} does not fit images of {height} x {width} px; give at most a cell per pixel")
    if window < 1 or window % 2 == 0:
        raise InputError(f"window {window} has no central cell; give an odd number of cells")
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
