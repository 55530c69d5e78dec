"""Predict the class of a picture, and find the parts of the picture on which the prediction rests."""

import json
from pathlib import Path

import torch
from intensity import STATED, Intensity
from picture_view import in_batches, occlusion_map, overlay, read_picture, stretched
from PIL import Image
from same_padding import obey_padding
from transformers import AutoImageProcessor, AutoModelForImageClassification

SPACE = json.loads((Path(__file__).parent / "space.json").read_text(encoding="utf-8"))
INTENSITY = Intensity(**SPACE["intensity"]) if SPACE["intensity"] else STATED
"""The stored values of a picture that are black and white, as in training."""

SHOWN_CLASSES = 5

OPTIONS = {"revision": SPACE["revision"], "trust_remote_code": False}
MODEL = AutoModelForImageClassification.from_pretrained(SPACE["model"], **OPTIONS).eval()
obey_padding(MODEL)
PROCESSOR = AutoImageProcessor.from_pretrained(SPACE["model"], **OPTIONS)


def probabilities(pixels: torch.Tensor) -> torch.Tensor:
    """Return probabilities (B, C) for processed pictures (B, 3, H, W)."""
    return MODEL(pixel_values=pixels).logits.softmax(1)


def predict(path: str) -> tuple[dict[str, float], Image.Image]:
    """Return the most probable classes with their confidence, and what the first one rests on."""
    pixels = PROCESSOR(read_picture(path, INTENSITY), return_tensors="pt")["pixel_values"]
    confidences = in_batches(probabilities, pixels)[0]
    best = confidences.topk(min(SHOWN_CLASSES, len(confidences)))
    named = {MODEL.config.id2label[int(i)]: float(value) for value, i in zip(*best, strict=True)}
    drops = occlusion_map(lambda hidden: probabilities(hidden)[:, best.indices[0]], pixels)
    return named, overlay(stretched(pixels), drops)
