"""Read the registry of backbones from its YAML files, whose fields the head of `registry.yaml` describes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_sslgen.errors import InputError
from hf_sslgen.registry_rows import Row, build_row, read_sections
from hf_sslgen.settings import shown
from hf_sslgen.zoo.backbone_rows import Backbone, NearTwin, PublishedAccuracy, TwinSet

ZOO = Path(__file__).parent
FILES = ("resnet50", "resnet50_variants", "vit", "convnext", "shipped", "unmatched")
"""Names of the files of rows, in the registry's order."""

REGISTRY_FILES = (*(ZOO / "registry" / f"{name}.yaml" for name in FILES), ZOO / "registry.yaml")
SECTIONS = ("twin_sets", "unmatched", "excluded")


@dataclass(frozen=True)
class Registry:
    """The content of the registry's files; `excluded` maps an id, or a pattern of ids, to the reason."""

    twin_sets: dict[str, TwinSet]
    unmatched: tuple[Backbone, ...]
    excluded: dict[str, str]

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """Every backbone once, with its own row: those of the twin sets, then those without a twin."""
        own = (
            each for name, twin_set in self.twin_sets.items() for each in twin_set.backbones if each.twin_set == name
        )
        return (*own, *self.unmatched)


@dataclass(frozen=True)
class _Exclusion:
    id: str
    reason: str


def read_registry(*paths: Path) -> Registry:
    """Read and check the registry's files; raises InputError naming the first invalid row."""
    parts = [read_sections(path, SECTIONS) for path in paths]
    sections = {name: [row for part in parts for row in part[name]] for name in SECTIONS}
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
    _require_consistent([each for twin_set in twin_sets.values() for each in twin_set.backbones] + list(unmatched))
    rows = {each.id: each for twin_set in twin_sets.values() for each in twin_set.backbones}
    twin_sets = {name: _with_near_twins(twin_set, rows) for name, twin_set in twin_sets.items()}
    return Registry(twin_sets, unmatched, {each.id: each.reason for each in exclusions})


def _require_consistent(backbones: Sequence[Backbone]) -> None:
    """Raise InputError for an id that occurs twice, or for the same weights as those of an unknown row."""
    seen: set[str] = set()
    for backbone in backbones:
        if backbone.id in seen:
            raise InputError(f"backbone {backbone.id!r} occurs twice in the registry")
        seen.add(backbone.id)
    for backbone in backbones:
        if backbone.same_weights_as is not None and backbone.same_weights_as not in seen - {backbone.id}:
            raise InputError(
                f"backbone {backbone.id!r}: same_weights_as is {shown(backbone.same_weights_as)}; it must be another "
                "row's id"
            )


def _with_near_twins(twin_set: TwinSet, rows: Mapping[str, Backbone]) -> TwinSet:
    """Add the near twins, which are rows of other sets, before the set's own backbones."""
    found = []
    for near in twin_set.near_twins:
        if near.id not in rows or rows[near.id].twin_set == twin_set.name:
            raise InputError(f"twin set {twin_set.name!r}: near twin {near.id!r} is not a row of another twin set")
        found.append(replace(rows[near.id], exact_twin=False, reason=near.reason))
    return replace(twin_set, backbones=(*found, *twin_set.backbones))


def _build_twin_set(row: dict[str, Any]) -> TwinSet:
    name, source_data = row.get("name"), row.get("source_data")
    backbones = _build_backbones(row, {"twin_set": name, "source_data": source_data, "exact_twin": True})
    own = {key: value for key, value in row.items() if key != "backbone_defaults"}
    checked = build_row(TwinSet, {**own, "backbones": [], "near_twins": []}, f"twin set {name!r}")
    for backbone in backbones:
        if backbone.exact_twin and backbone.source_data != checked.source_data:
            raise InputError(f"backbone {backbone.id!r} is an exact_twin, but its source_data is not that of {name!r}")
    near_twins = _nested(NearTwin, row.get("near_twins", []), f"twin set {name!r}: near_twins")
    return replace(checked, backbones=tuple(backbones), near_twins=near_twins)


def _build_backbones(group: dict[str, Any], given: dict[str, Any]) -> list[Backbone]:
    """Build the group's backbones; each row overrides `backbone_defaults`, which override `given`."""
    backbones = []
    for row in group["backbones"]:
        values = {**given, **group.get("backbone_defaults", {}), **row}
        where = f"backbone {row.get('id')!r}"
        backbone = build_row(Backbone, {**values, "published": []}, where)
        published = _nested(PublishedAccuracy, values.get("published", []), f"{where}: published")
        backbone = replace(backbone, published=published)
        if (backbone.objective == "supervised") != backbone.is_supervised:
            raise InputError(
                f"{where}: objective {backbone.objective!r} and family {backbone.family!r} contradict each other"
            )
        if not backbone.verified and not backbone.note:
            raise InputError(f"{where} is not verified; say in the field 'note' what was not checked")
        if not backbone.exact_twin and not backbone.reason:
            raise InputError(f"{where} is not an exact twin; state why in the field 'reason'")
        if backbone.needs_conversion and not backbone.url and backbone.verified:
            raise InputError(
                f"{where} needs conversion; state the file's address in the field 'url', or set verified to false and "
                "say in the field 'note' which file to look for"
            )
        backbones.append(backbone)
    return backbones


def _nested(kind: type[Row], rows: Any, where: str) -> tuple[Row, ...]:
    """Build the rows within a row, because build_row reads only YAML's own types."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{where} is {shown(rows)}; it must be a list of rows with named fields")
    return tuple(build_row(kind, row, f"{where}, row {number}") for number, row in enumerate(rows, start=1))
