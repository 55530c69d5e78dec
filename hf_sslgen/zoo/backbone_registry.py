"""The registry of backbones: twin sets, backbones without a twin, and checkpoints that are not what they seem."""

import fnmatch
import functools

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.zoo.backbone_rows import (
    AUGMENTATIONS,
    FAMILIES,
    LIBRARIES,
    UNTRAINED,
    Backbone,
    PublishedAccuracy,
    TwinSet,
)
from hf_sslgen.zoo.registry_files import REGISTRY_FILES, Registry, read_registry

__all__ = [
    "AUGMENTATIONS",
    "FAMILIES",
    "LIBRARIES",
    "REGISTRY_FILES",
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


@functools.cache
def _registry() -> Registry:
    return read_registry(*REGISTRY_FILES)


@functools.cache
def _rows() -> dict[str, Backbone]:
    return {each.id: each for each in _registry().backbones}


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
    return tuple(_rows().values())


def known_backbone_ids() -> tuple[str, ...]:
    """Return the ids of all backbones, in the registry's order."""
    return tuple(_rows())


def find_backbone(backbone_id: str) -> Backbone | None:
    """Return the registry row of an id, or None; other Hub ids and folders work too, but have no twin set."""
    return _rows().get(backbone_id)


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
