"""Find the network in a published checkpoint: which layout it is in, and its tensors under timm's names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import resnet_from_shapes
from hf_sslgen.zoo.conversion.layout_reading import LayoutReading, read_as
from hf_sslgen.zoo.conversion.layout_rows import LAYOUTS, ROWS
from hf_sslgen.zoo.conversion.tensor_accounting import check_complete, check_finite, finished, plain_tensors

__all__ = ["LAYOUTS", "FoundNetwork", "find_network"]


@dataclass(frozen=True, eq=False)
class FoundNetwork:
    """The network that a published file holds.

    Attributes:
        layout: name of the layout, a key of LAYOUTS.
        architecture: timm's name of the architecture.
        model_args: arguments of `timm.create_model` beyond the name and `num_classes`.
        num_features: channels of the features before the classifier.
        num_classes: outputs of the classifier, or 0 for a trunk alone.
        tensors: everything that the network's `state_dict` holds, under timm's names; batch counters that the file
            lacks are zero. Half-precision weights are stored as float32, which changes no value.
        dropped: keys of the file that are not part of the network, each with why.
        image_size: side in pixels that the position embedding was made for; None if the network has none.
        padding: "same" if the layout implies TensorFlow's padding and the architecture does not have it built in.
        normalization: of the input, in the registry's words; None if the layout does not imply it.
        notes: what was decided without the file saying so, in sentences.
    """

    layout: str
    architecture: str
    model_args: dict[str, Any]
    num_features: int
    num_classes: int
    tensors: dict[str, torch.Tensor]
    dropped: dict[str, str] = field(default_factory=dict)
    image_size: int | None = None
    padding: Literal["torch", "same"] = "torch"
    normalization: Literal["imagenet", "half", "unit_range", "swav"] | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_tensors(self) -> int:
        """Tensors besides counters of batches: 265 in the trunk of a ResNet-50."""
        return sum(not name.endswith("num_batches_tracked") for name in self.tensors)


def find_network(content: Mapping[str, Any], layout: str | None = None) -> FoundNetwork:
    """Find the network in what a file holds.

    Args:
        content: nested mappings with torch's tensors or NumPy's arrays.
        layout: name of the layout; None recognises it by the file's keys.

    Raises:
        InputError: the layout is unknown, the file fits none or several, or its tensors do not make up the network:
            one is missing, surplus, of another shape or type, or holds NaN or infinity.
    """
    readings = [each for row in ROWS if layout in (None, row.name) for each in read_as(content, row)]
    readings = [each for each in readings if each.marked or layout is not None]
    if not readings:
        raise InputError(f"it is in none of the known layouts: {', '.join(LAYOUTS)}")
    return _network(readings[0])


def _network(reading: LayoutReading) -> FoundNetwork:
    tensors = plain_tensors(reading)
    architecture = resnet_from_shapes({name: tuple(tensor.shape) for name, tensor in tensors.items()})
    check_complete(tensors, reading.sources, architecture, 0)
    check_finite(tensors, reading.sources)
    return FoundNetwork(
        layout=reading.layout.name,
        architecture=architecture.name,
        model_args=architecture.model_args,
        num_features=architecture.num_features,
        num_classes=0,
        tensors=finished(tensors, architecture, 0),
        dropped=reading.dropped,
        image_size=architecture.image_size,
        padding=reading.layout.padding,
        normalization=reading.layout.normalization,
        notes=architecture.notes,
    )
