"""Whether a file, read as in a layout, holds a whole network and nothing that is unknown."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import Architecture, Shapes, resnet_from_shapes
from hf_sslgen.zoo.conversion.efficientnet_blocks import efficientnet_from_shapes, in_stages
from hf_sslgen.zoo.conversion.layout_reading import LayoutReading
from hf_sslgen.zoo.conversion.tensor_accounting import (
    FileTensor,
    faults,
    plain_tensors,
    shown,
    with_joined_attention,
)
from hf_sslgen.zoo.conversion.vit_from_shapes import vit_from_shapes
from hf_sslgen.zoo.conversion.wide_resnet import WIDE_CLASSIFIER, is_wide, wide_resnet_from_shapes, wide_resnet_names

VIT: Final = re.compile(r"blocks\.|patch_embed\.|pos_embed$|cls_token$")


@dataclass(frozen=True, eq=False)
class Fit:
    """How well a file fits a layout.

    Attributes:
        held: the network's tensors as the file has them.
        state: the network's tensors under timm's names.
        architecture: None if the tensors are of none.
        num_classes: outputs of the classifier, or 0.
        elsewhere: keys that belong to another network, in another layout.
        faults: ends of a sentence about the file; none if it is in the layout.
    """

    reading: LayoutReading
    held: dict[str, FileTensor]
    state: dict[str, FileTensor]
    architecture: Architecture | None
    num_classes: int
    elsewhere: tuple[str, ...]
    faults: tuple[str, ...]

    def makes_the_same_network_as(self, other: "Fit") -> bool:
        """Whether two layouts make the same network of a file, and imply the same input."""
        here, there = self.reading.layout, other.reading.layout
        return (
            self.architecture == other.architecture
            and self.num_classes == other.num_classes
            and self.reading.wrapper == other.reading.wrapper
            and self.reading.sources == other.reading.sources
            and (here.padding, here.normalization) == (there.padding, there.normalization)
        )


def fit_of(reading: LayoutReading, others: Sequence[LayoutReading]) -> Fit:
    """Find out how well a file fits a layout.

    Args:
        others: the file's readings in all layouts, which may explain keys that this one does not know.
    """
    elsewhere = _elsewhere(reading, others) if reading.unknown else ()
    unknown = [key for key in reading.unknown if key not in elsewhere]
    found = []
    if reading.twice:
        first, second = min(reading.twice.values())
        found.append(f"has two keys for each of {len(reading.twice)} tensors, such as {first!r} and {second!r}")
    if unknown:
        found.append(f"has {len(unknown)} keys that the layout does not know: {shown(unknown)}")
    held: dict[str, FileTensor] = {}
    state: dict[str, FileTensor] = {}
    architecture, num_classes = None, 0
    try:
        held = plain_tensors(reading.values | reading.classifier, reading.sources, reading.naming)
        state, architecture, num_classes = _assembled(reading, held)
    except InputError as error:
        found.insert(0, str(error))
    else:
        found = faults(state, architecture, num_classes) + found
    return Fit(reading, held, state, architecture, num_classes, elsewhere, tuple(found))


def _assembled(
    reading: LayoutReading, held: Mapping[str, FileTensor]
) -> tuple[dict[str, FileTensor], Architecture, int]:
    """Find the architecture and put the tensors under timm's names; a classifier's are `weight` and `bias` before."""
    trunk = with_joined_attention({name: each for name, each in held.items() if name not in reading.classifier})
    shapes = _shapes(trunk)
    if reading.naming == "efficientnet":
        architecture = efficientnet_from_shapes(shapes)
        trunk = in_stages(trunk, architecture.name)
    elif any(VIT.match(name) for name in shapes):
        architecture = vit_from_shapes(shapes, _has_twelve_heads(reading))
    elif is_wide(shapes):
        architecture = wide_resnet_from_shapes(shapes)
        trunk = wide_resnet_names(trunk)
    else:
        architecture = resnet_from_shapes(shapes)
    classifier = {f"{architecture.classifier}.{end}": held[end] for end in reading.classifier}
    if (weight := classifier.get(WIDE_CLASSIFIER)) is not None and weight.tensor.ndim == 2:
        classifier[WIDE_CLASSIFIER] = FileTensor(weight.key, weight.tensor[..., None, None])
    outputs = {each.tensor.shape[0] for each in classifier.values() if each.tensor.ndim}
    return trunk | classifier, architecture, max(outputs, default=0)


def _shapes(tensors: Mapping[str, FileTensor]) -> Shapes:
    return {name: tuple(each.tensor.shape) for name, each in tensors.items()}


def _has_twelve_heads(reading: LayoutReading) -> bool:
    """Whether a ViT-S in the file has the heads of MoCo v3's."""
    pattern = reading.layout.twelve_heads
    return pattern is not None and any(re.match(pattern, key) for key in (*reading.dropped, *reading.sources.values()))


def _elsewhere(reading: LayoutReading, others: Sequence[LayoutReading]) -> tuple[str, ...]:
    """The unknown keys that belong to another whole network, none of whose tensors this reading takes."""
    own = set(reading.sources.values())
    explained: set[str] = set()
    for other in others:
        if other.wrapper == reading.wrapper:
            theirs = set(other.sources.values())
            found = (theirs | other.dropped.keys()).intersection(reading.unknown) if own.isdisjoint(theirs) else set()
        else:
            found = {key for key in reading.unknown for path in other.wrapper if f"{path}.".startswith(f"{key}.")}
        if found - explained and _is_whole(other):
            explained |= found
    return tuple(key for key in reading.unknown if key in explained)


def _is_whole(reading: LayoutReading) -> bool:
    try:
        held = plain_tensors(reading.values | reading.classifier, reading.sources, reading.naming)
        return not faults(*_assembled(reading, held))
    except InputError:
        return False
