"""The layouts of published checkpoints: where a file keeps its trunk, and what else it holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Naming = Literal["timm", "haiku resnet"]
"""How a layout names the trunk's tensors: as timm and torchvision do, or otherwise."""


@dataclass(frozen=True)
class Layout:
    """One layout.

    Attributes:
        description: what publishes such files, for users.
        naming: how the trunk's tensors are named.
        wrappers: alternatives, each the paths of keys, joined by dots, to the mappings that hold the tensors; "" is
            the file itself.
        prefixes: alternatives for the beginning of the trunk's keys.
        dropped: what else those mappings hold, by reason: patterns that a key, prefix included, begins with.
        beside: what lies beside those mappings, by reason: patterns that a path begins with.
        marks: patterns of which one must be the beginning of a key, or of a path beside, for a file to be recognised;
            none if any file that fits is in this layout.
        classifier: whether the classifier is part of the network, as in supervised ones.
        padding: of strided convolutions and max-pooling, where the layout implies TensorFlow's.
        normalization: of the input, in the registry's words; None if the layout does not imply it.
    """

    name: str
    description: str
    naming: Naming = "timm"
    wrappers: tuple[tuple[str, ...], ...] = (("",),)
    prefixes: tuple[str, ...] = ("",)
    dropped: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()
    marks: tuple[str, ...] = ()
    classifier: bool = False
    padding: Literal["torch", "same"] = "torch"
    normalization: Literal["imagenet", "half", "unit_range", "swav"] | None = None


ROWS: Final = (
    Layout(
        "plain",
        "the trunk alone under timm's or torchvision's names (Barlow Twins, VICReg, DINO)",
    ),
    Layout(
        "moco",
        "MoCo v1 and v2, PCL: `state_dict` with the prefix `module.encoder_q.`",
        wrappers=(("state_dict",),),
        prefixes=("module.encoder_q.",),
        dropped=(
            ("projection head", r"module\.encoder_q\.fc\."),
            ("momentum encoder", r"module\.encoder_k\."),
            ("queue of negatives", r"module\.queue"),
        ),
    ),
    Layout(
        "byol",
        "BYOL's Haiku pickle: `experiment_state` with `online_params` and `online_state`",
        naming="haiku resnet",
        wrappers=(("experiment_state.online_params", "experiment_state.online_state"),),
        dropped=(
            ("projector", r"projector/"),
            ("predictor", r"predictor/"),
            ("classifier trained beside the network", r"classifier/"),
            ("intermediate value of a running statistic", r".*_ema/(counter|hidden)$"),
        ),
        beside=(
            ("target network", r"experiment_state\.target_(params|state)$"),
            ("optimiser", r"experiment_state\.opt_state$"),
            ("state of the random generator", r"rng$"),
        ),
        padding="same",
    ),
)

LAYOUTS: Final[Mapping[str, str]] = {row.name: row.description for row in ROWS}
"""Description of each layout by name."""
