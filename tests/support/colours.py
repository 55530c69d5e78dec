"""Pictures whose colour encodes their class, so that labels and pixels can be checked on each."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import load_backbone, set_linear_classifier

COLOURS = {"cat": (220, 30, 30), "dog": (30, 60, 220), "fox": (30, 200, 40), "owl": (230, 220, 30)}


def picture(name: str, seed: int = 0, side: int = 32) -> Image.Image:
    """A noisy square of the class's colour; all seeds differ."""
    noise = np.random.default_rng([seed, sorted(COLOURS).index(name)]).normal(0, 8, (side, side, 3))
    return Image.fromarray((np.array(COLOURS[name]) + noise).clip(0, 255).astype(np.uint8))


def encoded(name: str, seed: int = 0, file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture(name, seed).save(buffer, file_format)
    return buffer.getvalue()


def colour_of(image: Image.Image) -> str:
    """The class whose colour a picture has."""
    mean = np.asarray(image.convert("RGB"), dtype=float).mean(axis=(0, 1))
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def write_folder(root: Path, names: Mapping[str, str] | Sequence[str], counts: Mapping[str, int]) -> Path:
    """Write `split/class/number.png`; a mapping gives the colour of each class folder."""
    shown = names if isinstance(names, Mapping) else {name: name for name in names}
    for number, (split, count) in enumerate(counts.items()):
        for folder, colour in shown.items():
            (root / split / folder).mkdir(parents=True)
            for seed in range(count):
                path = root / split / folder / f"{seed}.png"
                path.write_bytes(encoded(colour, 1000 * number + seed))
    return root


def write_classifier(base: str, folder: Path, names: Sequence[str]) -> Path:
    """A checkpoint that tells the colours apart, its outputs in the order of the names."""
    backbone = load_backbone(base, tuple(names))
    pictures = [picture(name, 99) for name in names]
    pixels = torch.stack([evaluation_pixels(each, backbone.preprocessing.geometry) for each in pictures])
    seen: list[torch.Tensor] = []
    _, classifier = find_classifier(backbone.model)
    hook = classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        backbone.model(pixel_values=normalise(pixels, backbone.preprocessing))
    hook.remove()
    centres = seen[0]  # the class whose centre is nearest has the largest x . c - |c|^2 / 2
    scale = 100 / torch.cdist(centres, centres).square().max()
    set_linear_classifier(backbone.model, scale * centres, -scale * centres.square().sum(1) / 2)
    backbone.model.save_pretrained(folder)
    return folder
