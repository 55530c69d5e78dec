"""Look at pictures without labels through several backbones: what each rests on, and what it says they are."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from hf_sslgen.analysis.taps import captured_features
from hf_sslgen.app.found_images import MOST_LOOKED_AT
from hf_sslgen.app.picture_view import in_batches, occlusion_map, overlay
from hf_sslgen.decoding import CorruptImageError, decode_image
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.checkpoints import load_config, open_checkpoint
from hf_sslgen.zoo.class_names import output_names
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

SHOWN_CLASSES = 3

Outputs = Callable[[torch.Tensor], torch.Tensor]
"""Maps pictures (B, 3, H, W) to a network's outputs (B, ...)."""


@dataclass(frozen=True)
class View:
    """A picture as one backbone sees it.

    Attributes:
        overlay: red where hiding a part changes the answer most.
        named: the most probable classes with their confidence; empty for a backbone without a classifier.
        nearest: the other picture whose features are most alike, and their cosine; None if there is only one picture.
    """

    picture: str
    backbone: str
    shown: Image.Image
    overlay: Image.Image
    named: tuple[tuple[str, float], ...]
    nearest: tuple[str, float] | None


def class_names_of(name: str) -> tuple[str, ...]:
    """Return the classes that a checkpoint states, else numbers: two for a checkpoint without a classifier."""
    config = load_config(name, open_checkpoint(name, None, with_weights=False).folder)
    return output_names(config) or tuple(f"class {index}" for index in range(max(config.num_labels, 2)))


def label_free_views(backbones: Sequence[str], pictures: Sequence[Path]) -> Iterator[View]:
    """Look at the first pictures through each backbone; yields each view as soon as it is there.

    Raises:
        InputError: a picture or a backbone can't be read.
    """
    looked_at = pictures[:MOST_LOOKED_AT]
    are_apart = len({path.name for path in looked_at}) == len(looked_at)
    opened = [(path.name if are_apart else "/".join(path.parts[-2:]), _opened(path)) for path in looked_at]
    for name in backbones:
        if name.startswith(UNTRAINED_PREFIX):
            raise InputError(f"backbone {name!r} has no weights to look through; name a trained one")
        backbone = load_backbone(name, class_names_of(name))
        yield from _views(backbone, opened)


def _opened(path: Path) -> Image.Image:
    try:
        return decode_image({"bytes": path.read_bytes(), "path": path.name}, "picture")
    except CorruptImageError as error:
        raise InputError(f"{path.name!r} can't be read as a picture: {error.reason}") from error


def _views(backbone: LoadedBackbone, pictures: Sequence[tuple[str, Image.Image]]) -> Iterator[View]:
    model, geometry = backbone.model, backbone.preprocessing.geometry
    stored = [evaluation_pixels(picture, geometry) for _, picture in pictures]
    pixels = normalise(torch.stack(stored), backbone.preprocessing)
    class_names = output_names(model.config) or ()
    with captured_features(model) as captured:

        def probabilities(images: torch.Tensor) -> torch.Tensor:
            answered: torch.Tensor = model(pixel_values=images).logits.float().softmax(1)
            captured.clear()
            return answered

        def features_of(images: torch.Tensor) -> torch.Tensor:
            model(pixel_values=images)
            return captured.pop()

        features = in_batches(features_of, pixels)
        for index, (name, _) in enumerate(pictures):
            own, one = features[index : index + 1], pixels[index : index + 1]
            named: tuple[tuple[str, float], ...] = ()
            score = partial(_likeness, features_of, own)
            if backbone.has_trained_head:
                confidences = in_batches(probabilities, one)[0]
                best = confidences.topk(min(SHOWN_CLASSES, len(confidences)))
                named = tuple((class_names[int(at)], float(value)) for value, at in zip(*best, strict=True))
                score = partial(_probability, probabilities, int(best.indices[0]))
            shown = stored[index].permute(1, 2, 0).numpy()
            yield View(
                name,
                backbone.name,
                Image.fromarray(shown),
                overlay(shown / 255, occlusion_map(score, one)),
                named,
                _nearest(features, index, pictures),
            )


def _likeness(features_of: Outputs, own: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the cosine (B,) between the features of images and those of the unhidden picture (1, D)."""
    return cosine_similarity(features_of(images), own)


def _probability(probabilities: Outputs, label: int, images: torch.Tensor) -> torch.Tensor:
    """Return the probability (B,) of a class."""
    return probabilities(images)[:, label]


def _nearest(
    features: torch.Tensor, index: int, pictures: Sequence[tuple[str, Image.Image]]
) -> tuple[str, float] | None:
    """Return the other picture with the most similar features, and their cosine."""
    if len(pictures) < 2:
        return None
    likeness = cosine_similarity(features, features[index : index + 1])
    likeness[index] = -torch.inf
    nearest = int(likeness.argmax())
    return pictures[nearest][0], float(likeness[nearest])
