"""Find the network in a published checkpoint: which layout it is in, and its tensors under timm's names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.zoo.conversion.architecture_from_shapes import Architecture
from hf_sslgen.zoo.conversion.layout_fit import Fit, fit_of
from hf_sslgen.zoo.conversion.layout_form import Normalization, Padding
from hf_sslgen.zoo.conversion.layout_reading import LayoutReading, holds_tensors, read_as, unknown_prefix
from hf_sslgen.zoo.conversion.layout_rows import LAYOUTS, ROWS
from hf_sslgen.zoo.conversion.tensor_accounting import COUNTER, check_values, shown, whole_state

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
    padding: Padding = "torch"
    normalization: Normalization | None = None
    notes: tuple[str, ...] = ()

    @property
    def num_tensors(self) -> int:
        """Tensors, excluding batch counters: 265 in the trunk of a ResNet-50."""
        return sum(not name.endswith(COUNTER) for name in self.tensors)


def find_network(content: Mapping[str, Any], layout: str | None = None) -> FoundNetwork:
    """Find the network in what a file holds.

    Every key is part of the network, or dropped for a reason that its layout states, or refused by name. A classifier
    is kept only in layouts of supervised networks, where it lets users check the published accuracy.

    Args:
        content: nested mappings with torch's tensors or NumPy's arrays.
        layout: name of the layout; None recognises it by the file's keys.

    Raises:
        InputError: the layout is unknown, the file fits none or several, or its tensors do not make up the network:
            one is missing, surplus, of another shape or type, or holds NaN or infinity.
    """
    if layout is not None and layout not in LAYOUTS:
        raise InputError(hinted(f"there is no layout {layout!r}; known: {', '.join(LAYOUTS)}", layout, LAYOUTS))
    readings = [reading for row in ROWS for reading in read_as(content, row)]
    fits = [fit_of(reading, readings) for reading in readings if _is_asked_for(reading, layout)]
    if not fits:
        raise InputError(_nothing_found(content, layout))
    complete = [fit for fit in fits if not fit.faults]
    if not complete:
        raise InputError(_fault_of(_nearest(fits), layout))
    different = [fit for fit in complete if not fit.makes_the_same_network_as(complete[0])]
    if different:
        names = dict.fromkeys(fit.reading.layout.name for fit in (complete[0], *different))
        if len(names) == 1:
            raise InputError(
                f"the file holds two networks in the layout {complete[0].reading.layout.name!r}, at "
                f"{shown(_place(fit.reading) for fit in (complete[0], *different))}; save one of them alone"
            )
        raise InputError(
            f"the file fits the layouts {' and '.join(map(repr, names))}, which make different networks of it; choose "
            "one with --layout"
        )
    return _network(complete[0])


def _is_asked_for(reading: LayoutReading, layout: str | None) -> bool:
    return reading.recognised if layout is None else reading.layout.name == layout


def _nearest(fits: Sequence[Fit]) -> Fit:
    """The fit that explains most of a file."""
    return max(fits, key=lambda fit: (len(fit.reading.values) - len(fit.reading.unknown), len(fit.reading.classifier)))


def _fault_of(fit: Fit, layout: str | None) -> str:
    row = fit.reading.layout
    if layout is not None:
        return f"the file is not in the layout {layout!r}: it {'; it '.join(fit.faults)}"
    return (
        f"the file is nearest to the layout {row.name!r} ({row.description}), but it {'; it '.join(fit.faults)}; if "
        "it is in another, name that with --layout"
    )


def _nothing_found(content: Mapping[str, Any], layout: str | None) -> str:
    keys = shown(map(str, content)) if content else "none"
    if not holds_tensors(content):
        return f"the file holds no tensors (its keys: {keys}); give a file of weights"
    if layout is not None:
        return f"the file is not in the layout {layout!r} ({LAYOUTS[layout]}): it has none of its keys, but {keys}"
    if (prefix := unknown_prefix(content)) is not None:
        return (
            f"the file is in no known layout: its tensors have timm's names after {prefix!r}, where no layout has "
            "them; save them under these names alone"
        )
    return f"the file is in no known layout (its keys: {keys}); known: {', '.join(LAYOUTS)}"


def _place(reading: LayoutReading) -> str:
    """A key of the network, with the path to it."""
    return ".".join(filter(None, (reading.wrapper[0], min(reading.sources.values()))))


def _network(fit: Fit) -> FoundNetwork:
    reading, architecture = fit.reading, fit.architecture
    assert isinstance(architecture, Architecture)  # as the file is complete
    check_values(fit.held)
    row = reading.layout
    notes = [*([row.note] if row.note is not None else []), *architecture.notes]
    if any(each.tensor.dtype in (torch.float16, torch.bfloat16) for each in fit.held.values()):
        notes.append("weights in half precision are stored as float32, which changes no value")
    return FoundNetwork(
        layout=row.name,
        architecture=architecture.name,
        model_args=architecture.model_args,
        num_features=architecture.num_features,
        num_classes=fit.num_classes,
        tensors=whole_state(fit.state, architecture, fit.num_classes),
        dropped=reading.dropped | dict.fromkeys(fit.elsewhere, "network in another layout"),
        image_size=architecture.image_size,
        padding=row.padding,
        normalization=row.normalization or architecture.normalization,
        notes=tuple(notes),
    )
