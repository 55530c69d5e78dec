"""One line on what was done: backbones, domains, images, runs and computing time."""

import math
from collections.abc import Sequence

from hf_sslgen.reporting.table_rows import shown_accuracy
from hf_sslgen.reporting.vocabulary import format_seconds
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.zoo.backbone_registry import UNTRAINED


def work_done(cells: Sequence[Cell]) -> str:
    """Return the line, such as `3 backbones and an untrained control · 1 domain · 2,000 test images · 1 seed`."""
    backbones = {cell.backbone: cell.objective for cell in cells}
    controls = sum(objective == UNTRAINED for objective in backbones.values())
    domains = {cell.domain for cell in cells}
    seeds = {cell.seed for cell in cells if cell.protocol != PRETRAINED_PROTOCOL}
    seconds = sum(float(cell.provenance.get("seconds") or 0) for cell in cells)
    trained = _counted(len(backbones) - controls, "backbone") if len(backbones) > controls else "No trained backbone"
    if controls:
        trained += f" and {'an' if controls == 1 else controls} untrained control{'s' if controls > 1 else ''}"
    parts = [trained, _counted(len(domains), "domain"), _images(cells)]
    if seeds:
        parts.append(_counted(len(seeds), "seed"))
    if len(cells) > len(backbones):
        parts.append(_counted(len(cells), "cell"))
    if seconds:
        parts.append(f"{format_seconds(math.ceil(seconds))} of computing")
    return " · ".join(part for part in parts if part)


def _images(cells: Sequence[Cell]) -> str:
    """Count the test images of each domain once, by the most that any number was computed from."""
    sizes: dict[str, int] = {}
    for cell in cells:
        accuracy = cell.number(shown_accuracy(cell))
        if accuracy is not None and not cell.labels.endswith("-shot"):
            sizes[cell.domain] = max(sizes.get(cell.domain, 0), accuracy.n)
    return _counted(sum(sizes.values()), "test image") if sizes else ""


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
