"""One row of the registry of backbones, and a twin set of them."""

from dataclasses import dataclass, field
from typing import Final

from hf_sslgen.registry_rows import one_of
from hf_sslgen.settings import AT_LEAST_ONE, SEED, Range

SIZE_TOLERANCE = 0.02
"""Relative difference in parameters that mask tokens and position embeddings explain."""

LIBRARIES = ("timm", "transformers", "conversion")
FAMILIES = (
    "supervised",
    "contrastive",
    "self-distillation",
    "clustering",
    "redundancy-reduction",
    "masked-image-modelling",
    "pretext-task",
)

NORMALIZATIONS = ("imagenet", "half", "unit_range", "swav")
AUGMENTATIONS = (
    "crop-flip",
    "crop-colour",
    "multi-crop",
    "masking",
    "multi-crop-masking",
    "strong-mixing",
    "patches",
    "rotation",
)
"""Families of augmentation during pretraining; the header of the registry describes them."""

UNTRAINED: Final = "untrained"
"""Objective, and family, of a network whose weights are as they were initialised: the control of the others."""


@dataclass(frozen=True)
class PublishedAccuracy:
    """A published top-1 accuracy on ImageNet-1k's validation images.

    Attributes:
        measure: `linear` (classifier on frozen features), `knn` (nearest neighbours of frozen features) or `finetune`
            (all weights trained).
        top1: in %.
        source: where it was published.
        note: what is known of the protocol, where it differs from the usual one.
    """

    measure: str = field(metadata=one_of("linear", "knn", "finetune"))
    top1: float = field(metadata={"range": Range(above=0, at_most=100)})
    source: str
    note: str | None = None


@dataclass(frozen=True)
class Backbone:
    """One pretrained network.

    Attributes:
        id: Hub id; for `conversion` a local name, because the checkpoint must first be converted to a timm folder.
        twin_set: name of its twin set; None if no other backbone was trained on the same data.
        library: the library that loads it; `conversion` means that `url` must be converted first.
        parameters: number of parameters of the trunk, without a classifier.
        objective: `supervised`, or the name of the self-supervised method.
        normalization: normalisation of its inputs: ImageNet's mean and standard deviation, 0.5 for both (`half`), only
            scaling to [0, 1] (`unit_range`), or ImageNet's with SwAV's deviation of 0.228 for the first channel
            (`swav`).
        padding: `same` for TensorFlow's SAME padding of strided convolutions, `torch` for torch's own.
        layout: layout of the published file, as named by the converter; None: found by its keys.
        exact_twin: whether architecture and source data equal those of its twin set.
        reason: why it is not an exact twin.
        paper: arXiv id.
        revision: commit of the Hub repository, if one is pinned.
        checksum: `md5:` or `sha256:` and the first digits, as stated by its publisher.
        file_size: size of the published file, in bytes.
        package_folder: folder below `hf_sslgen/zoo/twins`, for a backbone shipped with this package.
        licence: licence of the published weights; None if none is stated.
        code_licence: licence of the code that trained them.
        epochs: epochs of pretraining.
        batch_size: images per optimiser step.
        augmentation: family of the augmentation during pretraining.
        pretraining_seed: seed of the pretraining, where its publisher states one.
        published: published accuracies on ImageNet-1k.
        same_weights_as: id of the row with the same weights in another library or file; such a pair is one sample.
        note: further facts; for an unverified row, what was not checked.
    """

    id: str
    twin_set: str | None
    library: str = field(metadata=one_of(*LIBRARIES))
    architecture: str
    objective: str
    family: str = field(metadata=one_of(*FAMILIES))
    source_data: str
    exact_twin: bool
    verified: bool
    parameters: int | None = None
    licence: str | None = None
    normalization: str = field(default="imagenet", metadata=one_of(*NORMALIZATIONS))
    padding: str = field(default="torch", metadata=one_of("torch", "same"))
    layout: str | None = None
    reason: str | None = None
    paper: str | None = None
    revision: str | None = None
    url: str | None = None
    checksum: str | None = None
    file_size: int | None = field(default=None, metadata={"range": AT_LEAST_ONE})
    package_folder: str | None = None
    code_licence: str | None = None
    epochs: int | None = field(default=None, metadata={"range": AT_LEAST_ONE})
    batch_size: int | None = field(default=None, metadata={"range": AT_LEAST_ONE})
    augmentation: str | None = field(default=None, metadata=one_of(*AUGMENTATIONS))
    pretraining_seed: int | None = field(default=None, metadata={"range": SEED})
    published: tuple[PublishedAccuracy, ...] = ()
    same_weights_as: str | None = None
    note: str | None = None

    @property
    def is_supervised(self) -> bool:
        return self.family == "supervised"

    def is_of_size(self, num_parameters: int) -> bool:
        """Whether a trunk of so many parameters can be this network; True if its size is not registered."""
        return self.parameters is None or abs(num_parameters / self.parameters - 1) <= SIZE_TOLERANCE

    @property
    def needs_conversion(self) -> bool:
        """Whether its publisher's file must be converted before it can be loaded."""
        return self.library == "conversion"


@dataclass(frozen=True)
class NearTwin:
    """A backbone of another twin set that stands in for a set's supervised twin, and why it is not an exact one."""

    id: str
    reason: str


@dataclass(frozen=True)
class TwinSet:
    """Backbones of one architecture and one source dataset, so that only the pretraining objective differs.

    Resize, crop and interpolation belong to the set, not to a backbone, because twins must see the same pixels.

    Attributes:
        near_twins: which of its backbones are rows of another set; these keep that set's name in `twin_set`.
    """

    name: str
    description: str
    source_data: str
    image_size: int
    crop_pct: float
    interpolation: str = field(metadata=one_of("bilinear", "bicubic"))
    backbones: tuple[Backbone, ...]
    near_twins: tuple[NearTwin, ...] = ()

    @property
    def own_backbones(self) -> tuple[Backbone, ...]:
        """Its backbones without the near twins of other sets."""
        return tuple(backbone for backbone in self.backbones if backbone.twin_set == self.name)

    @property
    def supervised(self) -> tuple[Backbone, ...]:
        return tuple(backbone for backbone in self.backbones if backbone.is_supervised)

    @property
    def self_supervised(self) -> tuple[Backbone, ...]:
        return tuple(backbone for backbone in self.backbones if not backbone.is_supervised)
