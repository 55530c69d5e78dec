"""A planned cell with its backbone found and its domain loaded, from which identity, numbers and provenance follow."""

from dataclasses import dataclass
from typing import Any

from hf_sslgen.analysis.network import place
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.protocols.presets import FineTuningProtocol
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

CROP_PCT = {"shorter_side": 1.0, "squash": None}
"""`Geometry.crop_pct` of a protocol's `resize`."""

Measured = tuple[Analysis, dict[str, Any]]
"""The analysis, and which hyper-parameters were selected and how."""


@dataclass(frozen=True)
class BackboneFacts:
    """What identifies a backbone besides its name: its weights, and the pixels it is given.

    `pinned` is the location that loads the same weights again, as in `LoadedBackbone`.
    """

    weights: str
    preprocessing: Preprocessing
    num_parameters: int
    pinned: str

    @classmethod
    def of(cls, backbone: LoadedBackbone) -> "BackboneFacts":
        return cls(backbone.weights, backbone.preprocessing, backbone.num_parameters, backbone.pinned)


@dataclass(frozen=True)
class PreparedCell:
    """A planned cell with the identity of its backbone and its loaded domain."""

    spec: CellSpec
    facts: BackboneFacts
    domain: Domain

    def load(self, location: str | None = None) -> LoadedBackbone:
        """Load the published backbone, or a checkpoint made from it, on the device that measures.

        Its geometry is the study's, cropped as the protocol specifies.

        Raises:
            InputError: the checkpoint is not the one that the cell's identity names.
        """
        name = self.facts.pinned  # a branch may move while a study runs
        protocol, geometry = self.spec.protocol, self.spec.geometry
        if protocol is not None and protocol.resize != "as_given":
            if geometry is None:
                geometry = load_backbone(name, self.domain.class_names, match="none").preprocessing.geometry
            geometry = Geometry(geometry.image_size, CROP_PCT[protocol.resize], geometry.interpolation)
        keeps_classifier = location is not None or isinstance(protocol, FineTuningProtocol)
        backbone = load_backbone(
            location or name,
            self.domain.class_names,
            seed=self.spec.seed,
            geometry=geometry,
            match=None if keeps_classifier else "none",
        )
        if location is None and backbone.weights != self.facts.weights:
            raise InputError(
                f"the checkpoint {name!r} was changed while the study was running; run the same command again, which "
                "measures it as it is now"
            )
        place(backbone)
        return backbone


def positional(domain: Domain) -> ImageSplit:
    """Return a domain's training images, for protocols that read them more than once or by position."""
    if not isinstance(domain.train, ImageSplit):
        raise InputError("this protocol reads the training images more than once; drop --streaming")
    return domain.train
