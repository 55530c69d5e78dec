"""Describe the attribution maps of a cell: the method, and what they show evidence for."""

from collections.abc import Iterable
from typing import Any

from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.study.cells.cell_folder import Cell

GRAD_CAM = "grad_cam"
OCCLUSION = "occlusion"

METHODS = {
    GRAD_CAM: ("Grad-CAM", "each channel of the layer, weighted by the class’s mean gradient with respect to it"),
    "integrated_gradients": (
        "layer integrated gradients",
        "the class’s gradient with respect to the layer, summed along a straight path from an empty layer",
    ),
    "gradient_x_activation": (
        "layer gradient × activation",
        "the class’s gradient with respect to the layer times the layer, cell by cell",
    ),
    OCCLUSION: (
        "occlusion of the embedding",
        "how far the image’s features move when a cell of the image is hidden. It refers to no class, so it also "
        "works for an encoder without a classifier",
    ),
}
"""The name of each method, and what it shows."""


def attribution_method(cell: Cell) -> str:
    """Return the method of a cell's maps, as named in the settings."""
    return str(_settings(cell).get("attribution_method", GRAD_CAM))


def shows_the_published_encoder(cell: Cell) -> bool:
    """Whether a cell's maps show the published encoder itself: they refer to no class, and its features are
    unchanged."""
    maps = cell.number("zero_map_rate")
    return attribution_method(cell) == OCCLUSION and maps is not None and maps.stage == PRETRAINED_STAGE


def attribution_words(cell: Cell) -> str:
    """Return the method of a cell's maps and what they show evidence for, such as `Grad-CAM of the predicted class
    (its logit minus the mean logit)`."""
    method = attribution_method(cell)
    name = METHODS[method][0] if method in METHODS else method.replace("_", " ")
    if method == OCCLUSION:
        return name
    settings = _settings(cell)
    score = "its logit" if settings.get("target") == "logit" else "its logit minus the mean logit"
    return f"{name} of the {settings.get('attributed_class', 'predicted')} class ({score})"


def quantity_words(cell: Cell) -> str:
    """Return what the values of a cell's maps are, for the scale of a figure."""
    if attribution_method(cell) == OCCLUSION:
        return "Effect of hiding a cell"
    return f"Evidence for the {_settings(cell).get('attributed_class', 'predicted')} class"


def attribution_meaning(cells: Iterable[Cell]) -> str:
    """Describe the maps of these cells in one sentence per kind; empty if no cell has maps."""
    found = {attribution_words(cell): attribution_method(cell) for cell in cells if cell.number("zero_map_rate")}
    sentences = []
    for words, method in found.items():
        meaning = f". It shows {METHODS[method][1]}" if method in METHODS else ""
        sentences.append(f"{words[0].upper()}{words[1:]}{meaning}.")
    return " ".join(sentences)


def _settings(cell: Cell) -> dict[str, Any]:
    """Return how a cell was analysed; cells made by other software may not state it."""
    return dict(cell.identity.get("analysis") or {})
