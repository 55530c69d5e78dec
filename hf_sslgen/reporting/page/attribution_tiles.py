"""The same images under every backbone, with its attribution map, its prediction and its confidence."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.reporting.attribution_words import METHODS, attribution_method, attribution_words
from hf_sslgen.reporting.page.overlay_pictures import has_evidence, overlay_picture, plain_picture
from hf_sslgen.reporting.page.picture_tiles import Room, Tile, class_word, percent
from hf_sslgen.study.cells.cell_folder import Cell

MOST_IMAGES = 4
"""Example images per domain and setting, few enough that the page of a large study opens quickly."""

Examples = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Overlays:
    """Images and their maps.

    Attributes:
        columns: the backbones that have maps, and their names as shown.
        rows: for each image, its tile and one per backbone.
        method: name of the attribution method.
        with_boxes: whether any image shows its object's box.
        left_out: backbones with maps from another method, which are not shown.
    """

    columns: dict[str, str]
    rows: list[list[Tile]]
    method: str
    with_boxes: bool
    left_out: list[str]


def overlays_of(cells: Sequence[Cell], room: Room, names: Mapping[str, str]) -> Overlays | None:
    """Return the example images that all of these cells have; None without maps, or without room for one image.

    Args:
        names: short names of backbones.
    """
    found = {cell.backbone: (cell, examples) for cell in cells if (examples := cell.examples()) is not None}
    if not found:
        return None
    first, own = next(iter(found.values()))
    shown = {name: each for name, each in found.items() if attribution_words(each[0]) == attribution_words(first)}
    places = {
        name: {str(sample): at for at, sample in enumerate(examples["sample_ids"])}
        for name, (_, examples) in shown.items()
    }
    shared = [sample for sample in places[first.backbone] if all(sample in of_cell for of_cell in places.values())]
    rows = []
    for sample in _of_different_classes(first, shared)[:MOST_IMAGES]:
        tiles = [_image_tile(first, own, places[first.backbone][sample], room)]
        tiles += [
            _map_tile(cell, names.get(name, name), examples, places[name][sample], room)
            for name, (cell, examples) in shown.items()
        ]
        if any(tile is None for tile in tiles):
            break
        rows.append([tile for tile in tiles if tile is not None])
    if not rows:
        return None
    method = attribution_method(first)
    boxes = own.get("boxes")
    return Overlays(
        columns={name: names.get(name, name) for name in shown},
        rows=rows,
        method=METHODS[method][0] if method in METHODS else method.replace("_", " "),
        with_boxes=boxes is not None and bool(np.isfinite(boxes[: len(rows)]).any()),
        left_out=[names.get(name, name) for name in found if name not in shown],
    )


def _of_different_classes(cell: Cell, samples: Sequence[str]) -> list[str]:
    """Order images so that the first ones show as many classes as possible."""
    seen: Counter[float | None] = Counter()
    ranks = []
    for sample in samples:
        reference = _record(cell, sample).get("reference")
        ranks.append(seen[reference])
        seen[reference] += 1
    return [samples[at] for at in np.argsort(ranks, kind="stable")]


def _image_tile(cell: Cell, examples: Examples, at: int, room: Room) -> Tile | None:
    source = room.address(plain_picture(examples["images"][at], _box(examples, at)))
    reference = _record(cell, examples["sample_ids"][at]).get("reference")
    words = "" if reference is None else f"true: {class_word(cell, int(reference))}"
    return None if source is None else Tile(source, f"the image; {words}" if words else "the image", (words,))


def _map_tile(cell: Cell, name: str, examples: Examples, at: int, room: Room) -> Tile | None:
    attribution = examples["maps"][at]
    source = room.address(overlay_picture(examples["images"][at], attribution, _box(examples, at)))
    if source is None:
        return None
    record = _record(cell, examples["sample_ids"][at])
    lines, verdict = [], ""
    if "prediction" in record and "reference" in record:
        verdict = "right" if record["prediction"] == record["reference"] else "wrong"
        lines.append(class_word(cell, int(record["prediction"])))
        lines += [percent(record["confidence"])] if "confidence" in record else []
    alt = f"where {name} looks"
    if verdict:
        alt = f"{alt}; predicted {', '.join(lines)}; {verdict}"
    if not has_evidence(attribution):
        lines.append("no positive evidence" if np.isfinite(attribution).all() else "no map")
    return Tile(source, alt, tuple(lines), verdict=verdict)


def _record(cell: Cell, sample_id: Any) -> dict[str, float]:
    """Return what is recorded of an untransformed image."""
    rows = cell.columns().clean
    at = np.flatnonzero(rows.sample_ids.astype(str) == str(sample_id))
    if not len(at):
        return {}
    names = [name for name in ("reference", "prediction", "confidence") if name in rows.filled]
    values = {name: float(rows[name][at[0]]) for name in names}
    return {name: value for name, value in values.items() if not np.isnan(value)}


def _box(examples: Examples, at: int) -> NDArray[np.floating[Any]] | None:
    return examples["boxes"][at] if "boxes" in examples else None
