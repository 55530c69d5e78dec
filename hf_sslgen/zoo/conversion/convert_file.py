"""Convert a published checkpoint file to a folder that every tool here loads."""

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import timm

from hf_sslgen.errors import InputError, reworded
from hf_sslgen.files import replace_files
from hf_sslgen.zoo.backbone_registry import Backbone, twin_sets
from hf_sslgen.zoo.checkpoint_preprocessing import IMAGENET_PREPROCESSING
from hf_sslgen.zoo.conversion.checkpoint_file import CheckpointFile, read_checkpoint_file
from hf_sslgen.zoo.conversion.layouts import FoundNetwork, find_network
from hf_sslgen.zoo.same_padding import PADDING_KEY, TORCH
from hf_sslgen.zoo.timm_folder import write_timm_files

logger = logging.getLogger(__name__)

Normalization = Literal["imagenet", "half", "unit_range", "swav"]
Padding = Literal["torch", "same"]

MEANS_AND_DEVIATIONS: Final[Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]] = {
    "imagenet": (IMAGENET_PREPROCESSING.mean, IMAGENET_PREPROCESSING.std),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit_range": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    # facebookresearch/swav's first deviation is its own.
    "swav": (IMAGENET_PREPROCESSING.mean, (0.228, 0.224, 0.225)),
}
"""Mean and standard deviation of each normalisation, for values in [0, 1]."""

IMAGE_SIZE, CROP_PCT = 224, 0.875

CONVERSION_KEY = "conversion"
"""Key in `config.json` under which a converted folder says what it was made from."""


@dataclass(frozen=True, eq=False)
class ConvertedCheckpoint:
    """A folder made from a published file, and how it was made.

    Attributes:
        folder: where it is, with `config.json`, `model.safetensors` and, if asked for, a card.
        network: what the file was found to hold.
        pretrained_cfg: timm's description of the input.
        padding: of strided convolutions and max-pooling.
        normalization: of the input.
        assumed_normalization: whether nothing states the normalisation, so that ImageNet's is assumed.
        source: address that the file was published under; None if unknown.
        licence: of the weights, as spelled on the Hub; None if not stated.
        row: the registry's row of the network, if it has one.
        other_size: says that the network is not of the row's size; "" if it is.
    """

    folder: Path
    file: CheckpointFile
    network: FoundNetwork
    pretrained_cfg: dict[str, Any]
    padding: Padding
    normalization: Normalization
    assumed_normalization: bool
    source: str | None
    licence: str | None
    row: Backbone | None
    other_size: str = ""

    @property
    def padding_words(self) -> str:
        """How strided layers pad; timm's `tf_` architectures pad as TensorFlow does by themselves."""
        if self.network.architecture.startswith("tf_"):
            return "TensorFlow's SAME, as the architecture has it"
        return "TensorFlow's SAME" if self.padding == "same" else "torch's"


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
        InputError: the file can't be read, fits no layout or several, its tensors do not make up the network, or the
            registry says otherwise of it.
    """
    file = read_checkpoint_file(path)
    try:
        network = _find(file, layout or (row.layout if row is not None else None))
        chosen_normalization, assumed = _normalization(normalization, network, row)
        chosen_padding = _padding(padding, network, row)
        _require_architecture(network, row)
    except InputError as error:
        raise reworded(error, f"{path}: {error}") from error
    if assumed:
        logger.warning(
            "%s: nothing states how its input was normalised; ImageNet's mean and standard deviation are assumed "
            "(--normalization states another)",
            path,
        )
    converted = ConvertedCheckpoint(
        output_folder,
        file,
        network,
        _pretrained_cfg(network, chosen_normalization, row),
        chosen_padding,
        chosen_normalization,
        assumed,
        source or (row.url if row is not None else None),
        licence or (row.licence if row is not None else None),
        row,
        _other_size(network, row),
    )
    if converted.other_size:
        logger.warning("%s: %s", path, converted.other_size)
    tensors = {name: tensor.clone() for name, tensor in network.tensors.items()}  # safetensors shares no storage
    with replace_files(output_folder) as unfinished:
        write_timm_files(unfinished, _config(converted), tensors)
        if write_card is not None:
            write_card(converted, unfinished)
    return converted


def _find(file: CheckpointFile, layout: str | None) -> FoundNetwork:
    if not isinstance(file.content, Mapping):
        raise InputError(f"it holds a value of type {type(file.content).__name__} instead of tensors by name")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # and nothing writes to it
        return find_network(file.content, layout)


def _normalization(
    asked: Normalization | None, network: FoundNetwork, row: Backbone | None
) -> tuple[Normalization, bool]:
    """Return the normalisation, and whether nothing states it."""
    if asked is not None:
        return asked, False
    if row is not None:
        _require_agreement("normalization", row.normalization, network.normalization, network)
        return row.normalization, False  # type: ignore[return-value]
    return network.normalization or "imagenet", network.normalization is None


def _padding(asked: Padding | None, network: FoundNetwork, row: Backbone | None) -> Padding:
    if asked is not None:
        return asked
    if row is not None:
        implied = network.padding if network.padding != TORCH else None
        _require_agreement("padding", row.padding, implied, network)
        return row.padding  # type: ignore[return-value]
    return network.padding


def _require_agreement(option: str, stated: str, implied: str | None, network: FoundNetwork) -> None:
    if implied not in (None, stated):
        raise InputError(
            f"the registry states {option} {stated!r}, but its layout {network.layout!r} implies {implied!r}; give "
            f"--{option} to decide"
        )


def _require_architecture(network: FoundNetwork, row: Backbone | None) -> None:
    """Require the registry's architecture; one that timm has no name for is described there in words."""
    if row is not None and timm.is_model(row.architecture) and network.architecture != row.architecture:
        raise InputError(f"it holds a {network.architecture}, and the registry states {row.architecture}")


def _other_size(network: FoundNetwork, row: Backbone | None) -> str:
    """Say that a network has another size than its row, so that the file is not the published one; else ""."""
    found = num_trunk_parameters(network)
    if row is None or row.is_of_size(found):
        return ""
    return (
        f"it holds a network of {found:,} parameters, and {row.id} has {row.parameters:,}: it is not the published "
        "file, so the registry's facts and accuracies are not its own"
    )


def num_trunk_parameters(network: FoundNetwork) -> int:
    """Return the number of a network's parameters without its classifier and the statistics of its normalisation."""
    others = ("running_mean", "running_var", "num_batches_tracked")
    classifier = ("fc.", "head.", "classifier.") if network.num_classes else ()
    return sum(
        tensor.numel()
        for name, tensor in network.tensors.items()
        if not name.endswith(others) and not name.startswith(classifier)
    )


def _pretrained_cfg(network: FoundNetwork, normalization: str, row: Backbone | None) -> dict[str, Any]:
    """Return timm's description of the network's input.

    Size, crop and interpolation are the twin set's, because twins must see the same pixels, or else the usual ones:
    torchvision's for ResNets, the same with bicubic interpolation for vision transformers, and timm's for
    EfficientNets, each of which has its own size.
    """
    twin_set = twin_sets().get(row.twin_set or "") if row is not None else None
    described = timm.get_pretrained_cfg(network.architecture, allow_unregistered=False)
    layers = {} if described is None else {"first_conv": described.first_conv, "classifier": described.classifier}
    side, crop_pct = IMAGE_SIZE, CROP_PCT
    interpolation = "bicubic" if network.image_size is not None else "bilinear"
    if twin_set is not None:
        side, crop_pct, interpolation = twin_set.image_size, twin_set.crop_pct, twin_set.interpolation
    elif described is not None and "efficientnet" in network.architecture:
        side, crop_pct, interpolation = described.input_size[-1], described.crop_pct, described.interpolation
    side = network.image_size or side
    mean, deviation = MEANS_AND_DEVIATIONS[normalization]
    return {
        "input_size": [3, side, side],
        "mean": list(mean),
        "std": list(deviation),
        "interpolation": interpolation,
        "crop_pct": crop_pct,
        **layers,
    }


def _config(converted: ConvertedCheckpoint) -> dict[str, Any]:
    network, file = converted.network, converted.file
    made_from = {"layout": network.layout, "sha256": file.sha256, "bytes": file.size, "source": converted.source}
    return {
        "architecture": network.architecture,
        "num_classes": network.num_classes,
        "num_features": network.num_features,
        "model_args": network.model_args,
        **({PADDING_KEY: converted.padding} if converted.padding != TORCH else {}),
        "pretrained_cfg": converted.pretrained_cfg,
        CONVERSION_KEY: {**made_from, "normalization_assumed": converted.assumed_normalization},
    }
