"""Predict the class of a picture, and find the parts of the picture on which the prediction rests."""

import json
from pathlib import Path

import numpy as np
import torch
from intensity import STATED, Intensity, stored_values, to_rgb
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModelForImageClassification

SPACE = json.loads((Path(__file__).parent / "space.json").read_text(encoding="utf-8"))
INTENSITY = Intensity(**SPACE["intensity"]) if SPACE["intensity"] else STATED
"""The stored values of a picture that are black and white, as in training."""

GRID = 8
"""Number of cells per side, which are hidden one after another."""

BATCH_SIZE = 16
SHOWN_CLASSES = 5

OPTIONS = {"revision": SPACE["revision"], "trust_remote_code": False}
MODEL = AutoModelForImageClassification.from_pretrained(SPACE["model"], **OPTIONS).eval()
PROCESSOR = AutoImageProcessor.from_pretrained(SPACE["model"], **OPTIONS)


def probabilities(pixels: torch.Tensor) -> torch.Tensor:
    """Return probabilities (B, C) for processed pictures (B, 3, H, W)."""
    with torch.inference_mode():
        return torch.cat([MODEL(pixel_values=part).logits.softmax(1) for part in pixels.split(BATCH_SIZE)])


def occlusion_map(pixels: torch.Tensor, label: int) -> np.ndarray:
    """Return the drop in the class's probability when each cell is gray, (GRID, GRID) (Zeiler and Fergus 2014).

    Args:
        pixels: (1, 3, H, W), a processed picture.
    """
    height, width = pixels.shape[2:]
    rows, columns = (np.linspace(0, side, GRID + 1).round().astype(int) for side in (height, width))
    hidden = pixels.repeat(GRID * GRID, 1, 1, 1)
    for cell in range(GRID * GRID):
        row, column = divmod(cell, GRID)
        hidden[cell, :, rows[row] : rows[row + 1], columns[column] : columns[column + 1]] = 0
    drops = probabilities(pixels)[0, label] - probabilities(hidden)[:, label]
    return drops.reshape(GRID, GRID).numpy()


def overlay(pixels: torch.Tensor, drops: np.ndarray) -> Image.Image:
    """Show the picture as the network sees it, with stretched contrast; red where hiding a cell lowers the
    probability."""
    shown = pixels[0].permute(1, 2, 0).numpy()
    shown = (shown - shown.min()) / max(float(np.ptp(shown)), 1e-6)
    heat = Image.fromarray((255 * drops.clip(0) / max(float(drops.max()), 1e-6)).astype(np.uint8))
    strength = np.asarray(heat.resize(shown.shape[1::-1], Image.Resampling.BICUBIC), dtype=float)[..., None] / 255
    blended = shown * (1 - 0.6 * strength) + np.array([1.0, 0.1, 0.1]) * 0.6 * strength
    return Image.fromarray((255 * blended).round().astype(np.uint8)).resize((384, 384), Image.Resampling.BICUBIC)


def read_picture(path: str) -> Image.Image:
    """Load the picture as RGB and upright, with the intensities used in training."""
    with Image.open(path) as opened:
        stored = stored_values(opened)
        return to_rgb(ImageOps.exif_transpose(opened), stored, INTENSITY, "the picture")


def predict(path: str) -> tuple[dict[str, float], Image.Image]:
    """Return the most probable classes with their confidence, and what the first one rests on."""
    pixels = PROCESSOR(read_picture(path), return_tensors="pt")["pixel_values"]
    confidences = probabilities(pixels)[0]
    best = confidences.topk(min(SHOWN_CLASSES, len(confidences)))
    named = {MODEL.config.id2label[int(i)]: float(value) for value, i in zip(*best, strict=True)}
    return named, overlay(pixels, occlusion_map(pixels, int(best.indices[0])))
