"""Convert a published checkpoint file to a folder that every tool here loads."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.conversion.checkpoint_file import CheckpointFile

Normalization = Literal["imagenet", "half", "unit_range", "swav"]
Padding = Literal["torch", "same"]


@dataclass(frozen=True, eq=False)
class ConvertedCheckpoint:
    """A folder made from a published file, and how it was made.

    Attributes:
        folder: where it is, with `config.json`, `model.safetensors` and, if asked for, a card.
        layout: name of the layout that the file was in.
        architecture: timm's name.
        num_tensors: tensors of the trunk that were written.
        dropped: keys of the file's tensors that were not taken, such as heads and optimiser states, each with why.
        padding: of strided convolutions and max-pooling.
        normalization: of the input.
        assumed_normalization: whether nothing states the normalisation, so that ImageNet's is assumed.
        source: address that the file was published under; None if unknown.
        licence: as spelled on the Hub; None if not stated.
        row: the registry's row of the network, if it has one.
    """

    folder: Path
    file: CheckpointFile
    layout: str
    architecture: str
    num_tensors: int
    dropped: dict[str, str]
    padding: Padding
    normalization: Normalization
    assumed_normalization: bool
    source: str | None
    licence: str | None
    row: Backbone | None


CardWriter = Callable[[ConvertedCheckpoint, Path], Any]
"""Writes the card of a conversion into an unfinished folder."""


def convert_checkpoint(
    path: Path,
    output_folder: Path,
    *,
    row: Backbone | None = None,
    layout: str | None = None,
    source: str | None = None,
    licence: str | None = None,
    normalization: Normalization | None = None,
    padding: Padding | None = None,
    write_card: CardWriter | None = None,
) -> ConvertedCheckpoint:
    """Convert a file to a timm-format folder, which is written completely or not at all.

    The same file gives the same bytes, whatever its name, folder or machine.

    Args:
        row: the registry's row, which states layout, preprocessing, source and licence where the arguments do not.
        layout: name of the file's layout; None recognises it by its keys.
        source: address that the file was published under.
        licence: of the weights, as spelled on the Hub.
        normalization: of the network's input; None takes the row's, or else what the layout implies.
        padding: of strided convolutions and max-pooling; None likewise.
        write_card: `hf_sslgen.hub.conversion_card.write_conversion_card`, which lies to the right of this room.

    Raises:
        InputError: the file can't be read, fits no layout or several, or its tensors do not make up the network.
    """
    raise NotImplementedError
