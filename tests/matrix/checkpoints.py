"""Classifiers with an image processor of their own, and what both together make of a picture."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import (
    CLIPImageProcessor,
    ConvNextImageProcessor,
    DeiTImageProcessor,
    EfficientNetImageProcessor,
    MobileViTImageProcessor,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessor,
)

from tests.matrix.encodings import ENCODINGS
from tests.matrix.pictures import NUM_CLASSES, Picture, pictures

SIDE = 16

HEAD_ORDER = (2, 0, 1)
"""The class of each of the head's outputs: another order than that of any data set."""

_SQUARE = {"height": SIDE, "width": SIDE}
_LARGER = {"height": SIDE + 4, "width": SIDE + 4}
_SHORTEST = {"shortest_edge": SIDE + 4}

PROCESSORS: dict[str, Any] = {
    "vit": ViTImageProcessor(size=_SQUARE),
    "convnext": ConvNextImageProcessor(size={"shortest_edge": SIDE}, crop_pct=0.875),
    "deit": DeiTImageProcessor(size=_LARGER, crop_size=_SQUARE),
    "mobilevit": MobileViTImageProcessor(size=_SHORTEST, crop_size=_SQUARE, do_flip_channel_order=True),
    "efficientnet": EfficientNetImageProcessor(size=_SQUARE, include_top=True, rescale_offset=False),
    "clip": CLIPImageProcessor(size=_SHORTEST, crop_size=_SQUARE),
}
"""Image processors of transformers."""


def processed(kind: str, images: list[NDArray[np.uint8]]) -> torch.Tensor:
    """(N, 3, side, side): what the processor itself makes of pictures."""
    made = [PROCESSORS[kind](Image.fromarray(each), return_tensors="pt")["pixel_values"] for each in images]
    return torch.cat(made)


@cache
def network() -> ResNetForImageClassification:
    """A small random classifier whose confidences spread widely over the pictures."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        config = ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=NUM_CLASSES
        )
        model = ResNetForImageClassification(config).eval()
        logits = model(processed("vit", [ENCODINGS["png"].decoded(each) for each in pictures("train")])).logits
        head = model.classifier[-1]
        scale = 1 / logits.std(dim=0)
        head.weight.mul_(scale[:, None])
        head.bias.copy_((head.bias - logits.mean(dim=0)) * scale)
    return model


@dataclass(frozen=True)
class Expected:
    """What the classifier says of a picture: the class by number, how sure it is of it, and by how much it is ahead
    of the next."""

    class_index: int
    confidence: float
    margin: float


@cache
def expected(kind: str, encoding: str, picture: Picture) -> Expected:
    """By transformers alone, on the pixels that a right reader finds."""
    with torch.no_grad():
        probabilities = network()(processed(kind, [ENCODINGS[encoding].decoded(picture)])).logits[0].softmax(-1)
    first, second = probabilities.sort(descending=True).values[:2].tolist()
    return Expected(HEAD_ORDER[int(probabilities.argmax())], first, first - second)


def save_checkpoint(folder: Path, kind: str, class_names: tuple[str, ...]) -> Path:
    """The classifier with its processor as anyone would save both, its outputs named in `HEAD_ORDER`."""
    names = [class_names[index] for index in HEAD_ORDER]
    model = network()
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    model.save_pretrained(folder)
    PROCESSORS[kind].save_pretrained(folder)
    return folder
