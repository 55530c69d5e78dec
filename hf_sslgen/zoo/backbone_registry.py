"""The registry of backbones: twin sets, backbones without a twin, and checkpoints that are not purely self-supervised.

The rows are in `registry.yaml`, whose header explains `verified` and `exact_twin`.
"""

import dataclasses
import fnmatch
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.registry_rows import build_row, read_sections
from hf_sslgen.settings import shown
from hf_sslgen.zoo.backbone_rows import (
    AUGMENTATIONS,
    FAMILIES,
    LIBRARIES,
    UNTRAINED,
    Backbone,
    PublishedAccuracy,
    TwinSet,
)

__all__ = [
    "AUGMENTATIONS",
    "FAMILIES",
    "LIBRARIES",
    "UNTRAINED",
    "Backbone",
    "PublishedAccuracy",
    "TwinSet",
    "all_backbones",
    "excluded_backbones",
    "excluded_reason",
    "find_backbone",
    "get_twin_set",
    "known_backbone_ids",
    "read_registry",
    "twin_sets",
    "unmatched_backbones",
]

REGISTRY_FILE = Path(__file__).parent / "registry.yaml"


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
        # build_row checks only YAML's own types, so the nested rows are built here.
        own = build_row(Backbone, {**values, "published": []}, where)
        backbone = dataclasses.replace(own, published=_build_published(values.get("published", []), where))
        if (backbone.objective == "supervised") != backbone.is_supervised:
            raise InputError(
                f"{where}: objective {backbone.objective!r} and family {backbone.family!r} contradict each other"
            )
        if not backbone.exact_twin and not backbone.reason:
            raise InputError(f"{where} is not an exact twin; state why in the field 'reason'")
        if backbone.needs_conversion and not backbone.url and (backbone.verified or not backbone.note):
            raise InputError(
                f"{where} needs conversion; state the file's address in the field 'url', or set verified to false and "
                "describe the file in the field 'note'"
            )
        backbones.append(backbone)
    return backbones


def _build_published(rows: Any, where: str) -> tuple[PublishedAccuracy, ...]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{where}: published is {shown(rows)}; it must be a list of rows with named fields")
    return tuple(
        build_row(PublishedAccuracy, row, f"{where}, published accuracy {number}")
        for number, row in enumerate(rows, start=1)
    )


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
