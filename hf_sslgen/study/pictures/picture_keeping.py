"""Keep small pictures of the images of a cell that are worth a look, when the cell is written."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.transforms import VARIANTS
from hf_sslgen.decoding import CorruptImageError
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.files import is_disk_full, replace_file, write_json
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.study.cells.record_files import columns_of_frame
from hf_sslgen.study.pictures.picture_choice import COLUMNS, MovedImage, least_invariant, pictured_errors
from hf_sslgen.study.pictures.small_picture import QUALITY, SIDE, small_picture
from hf_sslgen.study.pictures.stored_pictures import (
    PICTURES,
    index_path,
    moved_key,
    picture_path,
)
from hf_sslgen.study.prepared_cell import PreparedCell

logger = logging.getLogger(__name__)


def keep_pictures(study: Path, cell: str, prepared: PreparedCell, analysis: Analysis) -> None:
    """Write the pictures of a cell's images into its study's folder, and the index that leads to them.

    Pictures that another cell has kept are not decoded again. A picture that can't be written is left out, because no
    number depends on it; only a full disk is an error.

    Args:
        cell: name of the cell's folder.
    """
    try:
        _keep(study / PICTURES, cell, prepared, analysis)
    except OSError as error:
        if is_disk_full(error):
            raise
        logger.warning("no pictures of %s are kept in %s: %s", prepared.spec.title, study / PICTURES, error)


def _keep(folder: Path, cell: str, prepared: PreparedCell, analysis: Analysis) -> None:
    records = columns_of_frame(analysis.records[[name for name in analysis.records if name in COLUMNS]])
    test = prepared.domain.test
    errors = [error.sample_id for error in pictured_errors(records.clean)]
    moved = least_invariant(records, prepared.domain.not_label_preserving)
    if not errors and not moved:
        return
    place = {sample_id: position for position, sample_id in enumerate(test.sample_ids.tolist())}
    images = _keep_images(folder, test.select(np.array([place[each] for each in errors], dtype=np.int64)))
    of_moved = test.select(np.array([place[each.sample_id] for each in moved], dtype=np.int64))
    content = {"images": images, "moved": _keep_moved(folder, of_moved, moved, prepared)}
    write_json(index_path(folder, cell), content)


def _keep_images(folder: Path, images: ImageSplit) -> dict[str, str]:
    """Keep the pictures of these images; returns their names by sample id."""
    found = {}
    for position, (sample_id, source) in enumerate(zip(images.sample_ids.tolist(), _sources(images), strict=True)):
        name = _name(source)
        if not picture_path(folder, name).exists():
            try:
                picture = images.image(position)
            except CorruptImageError:  # it has changed since it was measured, which the worker will notice
                continue
            _write(folder, name, small_picture(picture))
        found[str(sample_id)] = name
    return found


def _keep_moved(
    folder: Path, images: ImageSplit, moved: Sequence[MovedImage], prepared: PreparedCell
) -> dict[str, list[str]]:
    """Keep pictures of what the network saw of these images, before and after the transform of each."""
    geometry, seed = prepared.facts.preprocessing.geometry, prepared.spec.analysis.seed
    found = {}
    for position, (image, source) in enumerate(zip(moved, _sources(images), strict=True)):
        seen = [source, asdict(geometry)]
        names = [_name(*seen), _name(*seen, image.variant, seed, int(image.sample_id))]
        if image.variant not in VARIANTS:
            continue
        if not all(picture_path(folder, name).exists() for name in names):
            pixels = evaluation_pixels(images.image(position), geometry)[None].float().div_(255)
            after = VARIANTS[image.variant](pixels, [int(image.sample_id)], seed)
            for name, picture in zip(names, (pixels, after), strict=True):
                _write(folder, name, small_picture(_to_image(picture)))
        found[moved_key(image.sample_id, image.variant)] = names
    return found


def _sources(images: ImageSplit) -> list[str]:
    """Identify the pixels of pictures by their files and the values that mean black and white."""
    return [f"{int(digest):016x} {images.intensity}" for digest in images.picture_digests()]


def _name(*shown: Any) -> str:
    """Name a picture after what it shows."""
    return hashlib.blake2b(json.dumps([SIDE, QUALITY, *shown]).encode(), digest_size=16).hexdigest()


def _to_image(pixels: Tensor) -> Image.Image:
    """Convert (1, 3, S, S) values in [0, 1]."""
    values = pixels[0].mul(255).round().clamp(0, 255).to(torch.uint8)
    return Image.fromarray(values.permute(1, 2, 0).numpy())


def _write(folder: Path, name: str, content: bytes) -> None:
    with replace_file(picture_path(folder, name)) as unfinished:
        unfinished.write_bytes(content)
