"""How the protocol of a cell differs from that of a published result, as far as both are known."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.protocols.presets import PRESETS, protocol_settings
from hf_sslgen.study.reference.published_values import FINETUNE, KNN, LINEAR, PublishedValue, ReferenceTable

ADAPTATIONS = {"inverse_regularisations": LINEAR, "learning_rates": FINETUNE, "neighbours": KNN}
"""The setting that only a kind of protocol has, and the kind."""

INPUTS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "unit_range": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "swav": ((0.485, 0.456, 0.406), (0.228, 0.224, 0.225)),
}
"""Mean and standard deviation of each normalisation of the zoo."""


def adaptation_of(cell: Cell) -> str | None:
    """Return the kind of a cell's protocol; None for those that no published result is compared with."""
    settings = _settings(cell)
    return next((kind for name, kind in ADAPTATIONS.items() if name in settings), None)


def protocol_differences(table: ReferenceTable, published: PublishedValue, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Return every known difference, as short phrases.

    Args:
        cells: those of one backbone, domain, protocol and label budget.
    """
    cell = cells[0]
    found = [
        *_of_protocol(table, cell),
        *_of_pixels(table, cell),
        *_of_inputs(published, cell),
        *_of_split(published, cell),
        f"seeds: ours {len(cells)}, theirs {table.seeds or 'not stated'}" if len(cells) != table.seeds else "",
        f"selection: {table.selection}" if table.selection is not None else "",
        *published.differences,
        *table.differences,
    ]
    return tuple(text for text in found if text)


def _settings(cell: Cell) -> Mapping[str, Any]:
    settings = cell.identity.get("protocol_settings")
    return settings if isinstance(settings, dict) else {}


def _of_protocol(table: ReferenceTable, cell: Cell) -> Iterable[str]:
    if table.protocol is None:
        yield f"protocol: ours {cell.protocol}"
        return
    like, own = protocol_settings(PRESETS[table.protocol]), _settings(cell)
    changed = [name for name in like if own.get(name) != like[name]]
    if changed and cell.protocol == table.protocol:
        yield f"protocol: ours changes {', '.join(changed)} of {table.protocol}"
    elif changed:
        yield f"protocol: ours {cell.protocol}, theirs as in {table.protocol}"


def _of_pixels(table: ReferenceTable, cell: Cell) -> Iterable[str]:
    """A fact that the publication does not state is no difference; `differences` of its table says so."""
    geometry = (cell.identity.get("preprocessing") or {}).get("geometry") or {}
    for name, word in (("image_size", "image size"), ("crop_pct", "crop"), ("interpolation", "interpolation")):
        theirs = vars(table)[name]
        if theirs is not None and geometry.get(name) != theirs:
            yield f"{word}: ours {_said(geometry.get(name))}, theirs {_said(theirs)}"


def _of_inputs(published: PublishedValue, cell: Cell) -> Iterable[str]:
    pixels = cell.identity.get("preprocessing") or {}
    own = tuple(pixels.get("mean") or ()), tuple(pixels.get("std") or ())
    if published.inputs is not None and own != INPUTS[published.inputs]:
        name = next((name for name, each in INPUTS.items() if each == own), "another")
        yield f"normalisation of the inputs: ours {name}, theirs {published.inputs}".replace("_", " ")


def _of_split(published: PublishedValue, cell: Cell) -> Iterable[str]:
    number = cell.number(published.metric)
    if number is not None and published.test_images is not None and number.n != published.test_images:
        yield f"test images: ours {number.n:,}, theirs {published.test_images:,}"


def _said(value: object) -> str:
    return "not recorded" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
