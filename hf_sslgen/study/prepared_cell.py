"""A planned cell with its backbone found and its domain loaded, from which identity, numbers and provenance follow."""

import functools
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
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX
from hf_sslgen.zoo.network_description import NetworkDescription, describe_network

CROP_PCT = {"shorter_side": 1.0, "squash": None}
"""`Geometry.crop_pct` of a protocol's `resize`."""

Measured = tuple[Analysis, dict[str, Any]]
"""The analysis, and which hyper-parameters were selected and how."""


@dataclass(frozen=True)
class BackboneFacts:
    """What identifies a backbone besides its name: its weights, and the pixels it is given.

    `pinned` is the location that loads the same weights again, as in `LoadedBackbone`. `network` is not part of a
    cell's identity.
    """

    weights: str
    preprocessing: Preprocessing
    num_parameters: int
    pinned: str
    network: NetworkDescription

    @classmethod
    def of(cls, backbone: LoadedBackbone) -> "BackboneFacts":
        network = describe_network(backbone.model)
        return cls(backbone.weights, backbone.preprocessing, backbone.num_parameters, backbone.pinned, network)


@functools.lru_cache(maxsize=1)
def _frozen_backbone(name: str, class_names: tuple[str, ...], seed: int, geometry: Geometry | None) -> LoadedBackbone:
    backbone = load_backbone(name, class_names, seed=seed, geometry=geometry, match="none")
    place(backbone)
    return backbone


@dataclass(frozen=True)
class PreparedCell:
    """A planned cell with the identity of its backbone and its loaded domain."""

    spec: CellSpec
    facts: BackboneFacts
    domain: Domain

    @property
    def _geometry(self) -> Geometry | None:
        """The study's geometry, cropped as the protocol specifies; None for the checkpoint's own."""
        protocol, geometry = self.spec.protocol, self.spec.geometry
        if protocol is None or protocol.resize == "as_given":
            return geometry
        if geometry is None:
            name = self.facts.pinned
            geometry = load_backbone(name, self.domain.class_names, match="none").preprocessing.geometry
        return Geometry(geometry.image_size, CROP_PCT[protocol.resize], geometry.interpolation)

    def load_frozen(self) -> LoadedBackbone:
        """Load the published backbone for a protocol that uses only its trunk, once for consecutive cells.

        Its classifier is whatever the cell before has made of it.

        Raises:
            InputError: as in `load`.
        """
        seed = self.spec.seed if self.facts.pinned.startswith(UNTRAINED_PREFIX) else 0
        backbone = _frozen_backbone(self.facts.pinned, self.domain.class_names, seed, self._geometry)
        self._require_unchanged(backbone)
        return backbone

    def _require_unchanged(self, backbone: LoadedBackbone) -> None:
        if backbone.weights != self.facts.weights:
            raise InputError(
                f"the checkpoint {self.facts.pinned!r} was changed while the study was running; run the same command "
                "again, which measures it as it is now"
            )

    def load(self, location: str | None = None) -> LoadedBackbone:
        """Load the published backbone, or a checkpoint made from it, on the device that measures.

        Its geometry is the study's, cropped as the protocol specifies.

        Raises:
            InputError: the checkpoint is not the one that the cell's identity names.
        """
        name = self.facts.pinned  # a branch may move while a study runs
        keeps_classifier = location is not None or isinstance(self.spec.protocol, FineTuningProtocol)
        backbone = load_backbone(
            location or name,
            self.domain.class_names,
            seed=self.spec.seed,
            geometry=self._geometry,
            match=None if keeps_classifier else "none",
        )
        if location is None:
            self._require_unchanged(backbone)
        place(backbone)
        return backbone


def positional(domain: Domain) -> ImageSplit:
    """Return a domain's training images, for protocols that read them more than once or by position."""
    if not isinstance(domain.train, ImageSplit):
        raise InputError("this protocol reads the training images more than once; drop --streaming")
    return domain.train
