"""The registry of backbones: twin sets, backbones without a twin, and checkpoints that are not purely self-supervised.

The rows are in `registry.yaml`, whose header explains `verified` and `exact_twin`.
"""

import fnmatch
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.registry_rows import build_row, one_of, read_sections

REGISTRY_FILE = Path(__file__).parent / "registry.yaml"

LIBRARIES = ("timm", "transformers", "conversion")
FAMILIES = (
    "supervised",
    "contrastive",
    "self-distillation",
    "clustering",
    "redundancy-reduction",
    "masked-image-modelling",
)

UNTRAINED: Final = "untrained"
"""Objective, and family, of a network whose weights are as they were initialised: the control of the others."""


@dataclass(frozen=True)
class Backbone:
    """One pretrained network.

    Attributes:
        id: Hub id; for `conversion` a local name, because the checkpoint must first be converted to a timm folder.
        twin_set: name of its twin set; None if no other backbone was trained on the same data.
        library: the library that loads it; `conversion` means that `url` must be converted first.
        parameters: number of parameters of the trunk, without a classifier.
        objective: `supervised`, or the name of the self-supervised method.
        normalization: normalisation of its inputs: ImageNet's mean and standard deviation, 0.5 for both (`half`), or
            only scaling to [0, 1] (`unit_range`).
        exact_twin: whether architecture and source data equal those of its twin set.
        reason: why it is not an exact twin.
        paper: arXiv id.
        revision: commit of the Hub repository, if one is pinned.
        checksum: `md5:` or `sha256:` and the first digits, as stated by its publisher.
        package_folder: folder below `hf_sslgen/zoo/twins`, for a backbone shipped with this package.
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
    normalization: str = field(default="imagenet", metadata=one_of("imagenet", "half", "unit_range"))
    reason: str | None = None
    paper: str | None = None
    revision: str | None = None
    url: str | None = None
    checksum: str | None = None
    package_folder: str | None = None
    note: str | None = None

    @property
    def is_supervised(self) -> bool:
        return self.family == "supervised"


@dataclass(frozen=True)
class TwinSet:
    """Backbones of one architecture and one source dataset, so that only the pretraining objective differs.

    Resize, crop and interpolation belong to the set, not to a backbone, because twins must see the same pixels.
    """

    name: str
    description: str
    source_data: str
    image_size: int
    crop_pct: float
    interpolation: str = field(metadata=one_of("bilinear", "bicubic"))
    backbones: tuple[Backbone, ...]

    @property
    def supervised(self) -> tuple[Backbone, ...]:
        return tuple(backbone for backbone in self.backbones if backbone.is_supervised)

    @property
    def self_supervised(self) -> tuple[Backbone, ...]:
        return tuple(backbone for backbone in self.backbones if not backbone.is_supervised)


@dataclass(frozen=True)
class Registry:
    """The content of a registry file; `excluded` maps an id, or a pattern of ids, to the reason."""

    twin_sets: dict[str, TwinSet]
    unmatched: tuple[Backbone, ...]
    excluded: dict[str, str]


@dataclass(frozen=True)
class _Exclusion:
    id: str
    reason: str


def read_registry(path: Path) -> Registry:
    """Read and check a registry file; raises InputError naming the first invalid row."""
    sections = read_sections(path, ("twin_sets", "unmatched", "excluded"))
    twin_sets: dict[str, TwinSet] = {}
    for row in sections["twin_sets"]:
        twin_set = _build_twin_set(row)
        if twin_set.name in twin_sets:
            raise InputError(f"twin set {twin_set.name!r} occurs twice in the registry")
        twin_sets[twin_set.name] = twin_set
    unmatched = tuple(
        backbone
        for group in sections["unmatched"]
        for backbone in _build_backbones(group, {"twin_set": None, "exact_twin": False})
    )
    exclusions = [build_row(_Exclusion, row, f"excluded {row.get('id')!r}") for row in sections["excluded"]]
    seen: set[str] = set()
    for backbone in [each for twin_set in twin_sets.values() for each in twin_set.backbones] + list(unmatched):
        if backbone.id in seen:
            raise InputError(f"backbone {backbone.id!r} occurs twice in the registry")
        seen.add(backbone.id)
    return Registry(twin_sets, unmatched, {each.id: each.reason for each in exclusions})


def _build_twin_set(row: dict[str, Any]) -> TwinSet:
    name, source_data = row.get("name"), row.get("source_data")
    backbones = _build_backbones(row, {"twin_set": name, "source_data": source_data, "exact_twin": True})
    own = {key: value for key, value in row.items() if key not in ("backbones", "backbone_defaults")}
    # The backbones are already dataclasses, whereas build_row checks only YAML's own types.
    checked = build_row(TwinSet, {**own, "backbones": []}, f"twin set {name!r}")
    for backbone in backbones:
        if backbone.exact_twin and backbone.source_data != checked.source_data:
            raise InputError(f"backbone {backbone.id!r} is an exact_twin, but its source_data is not that of {name!r}")
    return TwinSet(**{**vars(checked), "backbones": tuple(backbones)})


def _build_backbones(group: dict[str, Any], given: dict[str, Any]) -> list[Backbone]:
    """Build the group's backbones; each row overrides `backbone_defaults`, which override `given`."""
    backbones = []
    for row in group["backbones"]:
        values = {**given, **group.get("backbone_defaults", {}), **row}
        where = f"backbone {row.get('id')!r}"
        backbone = build_row(Backbone, values, where)
        if (backbone.objective == "supervised") != backbone.is_supervised:
            raise InputError(
                f"{where}: objective {backbone.objective!r} and family {backbone.family!r} contradict each other"
            )
        if not backbone.exact_twin and not backbone.reason:
            raise InputError(f"{where} is not an exact twin; state why in the field 'reason'")
        if backbone.library == "conversion" and not backbone.url:
            raise InputError(f"{where} needs conversion; state the file's address in the field 'url'")
        backbones.append(backbone)
    return backbones


@functools.cache
def _registry() -> Registry:
    return read_registry(REGISTRY_FILE)


def twin_sets() -> dict[str, TwinSet]:
    """Return every twin set by name, in the registry's order."""
    return dict(_registry().twin_sets)


def get_twin_set(name: str) -> TwinSet:
    """Return a twin set; raises InputError, listing similar or all names, if it is unknown."""
    known = _registry().twin_sets
    if name not in known:
        hint = nearest_names(name, known) or f"known: {', '.join(known)}"
        raise InputError(f"there is no twin set {name!r}; {hint}")
    return known[name]


def all_backbones() -> tuple[Backbone, ...]:
    """Iterate over every backbone: those of the twin sets, then those without a twin."""
    registry = _registry()
    return tuple(each for twin_set in registry.twin_sets.values() for each in twin_set.backbones) + registry.unmatched


def known_backbone_ids() -> tuple[str, ...]:
    """Return the ids of all backbones, in the registry's order."""
    return tuple(backbone.id for backbone in all_backbones())


def find_backbone(backbone_id: str) -> Backbone | None:
    """Return the registry row of an id, or None; other Hub ids and folders work too, but have no twin set."""
    return next((backbone for backbone in all_backbones() if backbone.id == backbone_id), None)


def unmatched_backbones() -> tuple[Backbone, ...]:
    """Return the backbones without a source-matched twin; any comparison with one is confounded."""
    return _registry().unmatched


def excluded_backbones() -> dict[str, str]:
    """Map ids, or patterns of ids with `*`, of checkpoints that are not what their names suggest to the reason."""
    return dict(_registry().excluded)


def excluded_reason(backbone_id: str) -> str | None:
    """Explain why a checkpoint should not count as self-supervised; None if no reason is known.

    A backbone with its own row is never excluded; patterns apply only to ids that are not in the registry.
    """
    if find_backbone(backbone_id) is not None:
        return None
    for pattern, reason in _registry().excluded.items():
        if fnmatch.fnmatchcase(backbone_id, pattern):
            return reason
    return None
