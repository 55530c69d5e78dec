"""Pictures of a single colour that encodes their split, class and number, so that reading them can be checked."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit

SPLITS = ("train", "validation", "test", "other")

LOSSLESS = {".png": "PNG", ".bmp": "BMP", ".ppm": "PPM", ".tiff": "TIFF", ".webp": "WEBP"}


class Kind(NamedTuple):
    """The origin of a picture: a position in `SPLITS`, a class, and a number within both."""

    split: int
    label: int
    number: int


def write_picture(path: Path, kind: Kind) -> Path:
    """Write the picture in the format of its suffix, without loss."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"lossless": True} if path.suffix.lower() == ".webp" else {}
    Image.new("RGB", (4, 4), tuple(kind)).save(path, LOSSLESS[path.suffix.lower()], **options)
    return path


def kinds(split: ImageSplit, class_names: Iterable[str]) -> list[tuple[Kind, str]]:
    """What the pictures of a split are of, each with the name of the class that the split has it in."""
    names = list(class_names)
    found = []
    for position, label in enumerate(split.labels):
        pixels = np.asarray(split.image(position)).reshape(-1, 3)
        assert (pixels == pixels[0]).all()
        found.append((Kind(*map(int, pixels[0])), names[label]))
    return found


def kinds_by_role(domain: Domain) -> dict[str, list[tuple[Kind, str]]]:
    """`kinds` of every split of a domain, sorted."""
    splits = {"train": domain.train, "validation": domain.validation, "test": domain.test}
    return {role: sorted(kinds(split, domain.class_names)) for role, split in splits.items()}
