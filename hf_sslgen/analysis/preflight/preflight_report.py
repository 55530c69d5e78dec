"""What a preflight found of a backbone, in words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Severity = Literal["wrong", "look"]
"""`wrong`: numbers of this backbone would be meaningless, so none is computed; `look`: a warning."""


class FindingKind(StrEnum):
    """What can be wrong, the gravest first."""

    NOT_FINITE = "not_finite"
    COLLAPSED = "collapsed"
    INPUT_SCALE = "input_scale"
    CHANNEL_ORDER = "channel_order"
    INPUT_MEAN = "input_mean"
    PADDING = "padding"


@dataclass(frozen=True)
class Finding:
    """Something that looks wrong, and what would work, as one sentence."""

    kind: FindingKind
    severity: Severity
    sentence: str


@dataclass(frozen=True)
class PreflightReport:
    """What running a few pictures through a backbone has shown.

    Attributes:
        backbone: its name as the user gave it.
        num_pictures: how many pictures were run.
        inputs: how the network's inputs were judged, or why they can't be, in words.
        findings: the gravest first; empty if nothing looks wrong.
    """

    backbone: str
    num_pictures: int
    inputs: str
    findings: tuple[Finding, ...]

    @property
    def wrong(self) -> tuple[Finding, ...]:
        """The findings for which no number of this backbone should be computed."""
        return tuple(finding for finding in self.findings if finding.severity == "wrong")

    @property
    def line(self) -> str:
        """The whole report on one line."""
        found = "; ".join(finding.sentence for finding in self.findings) or "finite, not collapsed"
        return f"{self.backbone}: {found} ({self.inputs})"
