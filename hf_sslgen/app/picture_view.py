"""Show which parts of a picture a network's answer rests on: each part is hidden in turn, and the answer compared.

Demos of pushed models contain a copy of this module, so it needs none of the package but `intensity`.
"""

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageOps

from hf_sslgen.intensity import STATED, Intensity, stored_values, to_rgb

GRID = 8
"""Number of parts per side, which are hidden one after another."""

BATCH_SIZE = 16
SHOWN_SIDE = 384
"""Side in pixels at which a picture is shown."""

RED = (1.0, 0.1, 0.1)
STRENGTH = 0.6
"""Share of red where the answer rests most on the picture."""

Score = Callable[[torch.Tensor], torch.Tensor]
"""Maps pictures (B, 3, H, W) to the score (B,) of the answer."""


def in_batches(run: Callable[[torch.Tensor], torch.Tensor], pixels: torch.Tensor) -> torch.Tensor:
    """Return a network's outputs (B, ...) for pictures (B, 3, H, W), a few at a time and without gradients."""
    with torch.inference_mode():
        return torch.cat([run(part) for part in pixels.split(BATCH_SIZE)])


def occlusion_map(score: Score, pixels: torch.Tensor) -> np.ndarray:
    """Return the drop in the score when each part is gray, (GRID, GRID) (Zeiler and Fergus 2014).

    Args:
        pixels: (1, 3, H, W), a normalised picture.
    """
    height, width = pixels.shape[2:]
    rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in (height, width))
    hidden = pixels.repeat(GRID * GRID, 1, 1, 1)
    for part in range(GRID * GRID):
        row, column = divmod(part, GRID)
        hidden[part, :, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = 0
    drops = in_batches(score, pixels) - in_batches(score, hidden)
    return drops.reshape(GRID, GRID).numpy()


def stretched(pixels: torch.Tensor) -> np.ndarray:
    """Return a normalised picture (1, 3, H, W) as the network sees it, (H, W, 3) from 0 to 1, with full contrast."""
    shown = pixels[0].permute(1, 2, 0).numpy()
    return (shown - shown.min()) / max(float(np.ptp(shown)), 1e-6)


def overlay(shown: np.ndarray, drops: np.ndarray) -> Image.Image:
    """Return a picture (H, W, 3), from 0 to 1, that is red where hiding a part lowers the score."""
    heat = Image.fromarray((255 * drops.clip(0) / max(float(drops.max()), 1e-6)).astype(np.uint8))
    strength = np.asarray(heat.resize(shown.shape[1::-1], Image.Resampling.BICUBIC), dtype=float)[..., None] / 255
    blended = shown * (1 - STRENGTH * strength) + np.array(RED) * STRENGTH * strength
    shape = (SHOWN_SIDE, SHOWN_SIDE)
    return Image.fromarray((255 * blended).round().astype(np.uint8)).resize(shape, Image.Resampling.BICUBIC)


def read_picture(path: str, intensity: Intensity = STATED) -> Image.Image:
    """Load a picture as RGB and upright, with these intensities."""
    with Image.open(path) as opened:
        stored = stored_values(opened)
        return to_rgb(ImageOps.exif_transpose(opened), stored, intensity, "the picture")
