"""Which experiment trackers a command reports to, and under which names."""

import importlib.util
from dataclasses import dataclass, field
from typing import Literal

from hf_sslgen.errors import InputError

Tracker = Literal["tensorboard", "trackio", "wandb"]
ReportTo = Literal["tensorboard", "trackio", "wandb", "all", "none"]

PACKAGES: dict[Tracker, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""Packages of which one must be installed, and the first is proposed."""


@dataclass(frozen=True)
class TrackingArguments:
    """Trackers, named as in transformers."""

    report_to: list[ReportTo] = field(
        default_factory=lambda: ["none"],
        metadata={"help": "Trackers to report to: tensorboard, trackio, wandb, all that are installed, or none."},
    )
    project: str | None = field(
        default=None, metadata={"help": "Project of trackio and wandb (default: WANDB_PROJECT, else hf-sslgen)."}
    )

    def __post_init__(self) -> None:
        trackers = self.trackers
        if self.project is not None and not trackers:
            raise InputError("project is only used by trackers; also give --report_to, or drop it")

    @property
    def trackers(self) -> tuple[Tracker, ...]:
        """The requested trackers, each once.

        Raises:
            InputError: one is not installed.
        """
        if "all" in self.report_to:
            return tuple(name for name in PACKAGES if _is_installed(name))
        asked = tuple(name for name in PACKAGES if name in self.report_to)
        for name in asked:
            if not _is_installed(name):
                raise InputError(f"report_to is {name!r}, which is not installed; run `pip install {name}`")
        return asked


UNTRACKED = TrackingArguments()


def _is_installed(name: Tracker) -> bool:
    return any(importlib.util.find_spec(package) is not None for package in PACKAGES[name])
