"""A job: one backbone to be measured on one domain under one protocol with one seed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.backbone_analysis import Run
from hf_sslgen.analysis.network import place
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.protocols.presets import FineTuningProtocol, Protocol
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

CROP_PCT = {"shorter_side": 1.0, "squash": None}
"""`Geometry.crop_pct` of a protocol's `resize`."""

Measured = tuple[Analysis, dict[str, Any]]
"""What was measured, and which hyper-parameters were selected and how."""


@dataclass(frozen=True)
class Job:
    """A backbone to be measured on a domain.

    Attributes:
        name: the backbone, as `load_backbone` takes it.
        protocol: None measures the pretrained stage.
        geometry: None leaves the backbone its own.
        seed: of the classifier's initialisation, of training, and of what a protocol draws.
        scratch: folder for runs that are not kept.
        shards: folder for the finished parts of passes over images, which outlive a process that is killed.
        weights: what the cell's identity says of the checkpoint; None leaves it unchecked.
    """

    name: str
    domain: Domain
    protocol: Protocol | None
    analysis: AnalysisSettings
    geometry: Geometry | None
    seed: int
    scratch: Path
    shards: Path | None = None
    weights: str | None = None

    @property
    def run(self) -> Run:
        """How its passes over images are run."""
        return Run(self.shards)

    def load(self, location: str | None = None) -> LoadedBackbone:
        """The backbone as published, or a checkpoint made of it, on the device that measures.

        Its geometry is the study's, cropped as the protocol says.

        Raises:
            InputError: the checkpoint is not the one that the cell's identity names.
        """
        geometry = self.geometry
        if self.protocol is not None and self.protocol.resize != "as_given":
            if geometry is None:
                geometry = load_backbone(self.name, self.domain.class_names, match="none").preprocessing.geometry
            geometry = Geometry(geometry.image_size, CROP_PCT[self.protocol.resize], geometry.interpolation)
        keeps_classifier = location is not None or isinstance(self.protocol, FineTuningProtocol)
        backbone = load_backbone(
            location or self.name,
            self.domain.class_names,
            seed=self.seed,
            geometry=geometry,
            match=None if keeps_classifier else "none",
        )
        if location is None and self.weights not in (None, backbone.weights):
            raise InputError(
                f"the checkpoint {self.name!r} was changed while the study ran; run the same command again, which "
                "measures it as it is now"
            )
        place(backbone)
        return backbone


def positional(domain: Domain) -> ImageSplit:
    """A domain's training images, for protocols that read them more than once or by position."""
    if not isinstance(domain.train, ImageSplit):
        raise InputError("this protocol reads the training images more than once; drop --streaming")
    return domain.train
