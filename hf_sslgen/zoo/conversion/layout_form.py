"""What a layout says of a file: where it keeps the trunk, how it names its tensors, and what else it holds."""

from dataclasses import dataclass
from typing import Final, Literal

Naming = Literal[
    "timm",
    "haiku resnet",
    "simclr v2 resnet",
    "sequential resnet",
    "obow resnet",
    "transformers resnet",
    "transformers vit",
    "mmpretrain vit",
    "torchvision vit",
    "efficientnet",
]
"""How the trunk's tensors are named: as timm does, and torchvision for ResNets, or otherwise."""

Normalization = Literal["imagenet", "half", "unit_range", "swav"]

Padding = Literal["torch", "same"]

Rules = tuple[tuple[str, str], ...]
"""Reasons, each with a pattern that a key, or the path of one, begins with."""

FILE: Final = ("",)
STATE_DICT: Final = ("state_dict",)
MODEL: Final = ("model",)
"""Wrappers of many layouts."""

MOMENTUM: Final = "momentum encoder"
HEAD: Final = "head of the pretraining"
UNTRAINED: Final = "classifier that the pretraining did not use"
PROBE: Final = "classifier trained beside the network"
LOSS: Final = "state of the loss"
"""Reasons of many layouts to leave keys."""


@dataclass(frozen=True)
class Layout:
    """One layout.

    Attributes:
        description: what is published in it, and its marks, for users.
        wrappers: alternatives, each the paths of keys, joined by dots, to the mappings that hold the tensors; "" is
            the file itself.
        prefixes: alternatives for the beginning of the trunk's keys.
        namings: alternatives for the rest of them.
        dropped: what else those mappings hold; keys include the prefix.
        beside: what lies beside those mappings, by path.
        classifier: pattern of the whole keys of a classifier that belongs to the network, whose first group is
            `weight` or `bias`; None if the layout's networks have none.
        marks: patterns of which one must be the beginning of a key, or of a path beside, for a file to be recognised;
            none if any file that fits may be in this layout.
        alone: whether a file is recognised only if nothing lies beside the mappings.
        by_name_only: whether the layout must be asked for.
        padding: of strided convolutions and max-pooling, where the layout implies TensorFlow's and the architecture
            does not have it built in.
        normalization: of the input; None if the layout does not imply it.
        twelve_heads: pattern of keys that mean that a ViT of 384 channels has the 12 heads of MoCo v3; "" for every
            file in the layout, None for none.
        note: what is decided for every file in the layout, in a sentence.
    """

    name: str
    description: str
    wrappers: tuple[tuple[str, ...], ...] = (("",),)
    prefixes: tuple[str, ...] = ("",)
    namings: tuple[Naming, ...] = ("timm",)
    dropped: Rules = ()
    beside: Rules = ()
    classifier: str | None = None
    marks: tuple[str, ...] = ()
    alone: bool = False
    by_name_only: bool = False
    padding: Padding = "torch"
    normalization: Normalization | None = None
    twelve_heads: str | None = None
    note: str | None = None
