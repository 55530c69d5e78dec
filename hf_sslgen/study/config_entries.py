"""The nested entries of a study's file: domains, protocols, exclusions, pairs, geometry."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.geometry import INTERPOLATIONS, Geometry
from hf_sslgen.registry_rows import build_row
from hf_sslgen.settings import SIDE, Range, shown, some_of
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.protocols.presets import Protocol, get_protocol
from hf_sslgen.zoo.backbone_registry import TwinSet

SWEPT = ("label_fraction", "samples_per_class", "split_seed", "test_seed")
"""Settings that a study makes once for all domains, so that a domain's own row can't."""

MAX_ENTRIES = 1000
"""Largest number of entries in a list, and of protocols from one grid."""

AXES = ("backbone", "domain", "protocol", "labels", "seed")


@dataclass(frozen=True)
class NamedProtocol:
    """A protocol, its name in cells, and the preset it was made from."""

    name: str
    preset: str
    protocol: Protocol


@dataclass(frozen=True)
class _GeometryRow:
    image_size: int = field(metadata={"range": SIDE})
    crop_pct: float | None = field(default=1.0, metadata={"range": Range(at_least=0.1, at_most=1)})
    interpolation: str = field(default="bilinear", metadata={"words": tuple(INTERPOLATIONS)})


def list_of(content: Mapping[str, Any], key: str, where: str, optional: bool = False) -> list[Any]:
    """Return the list under a key of the file; empty if it is optional and absent."""
    value = content.get(key, [] if optional else None)
    if not isinstance(value, list) or (not value and not optional):
        raise InputError(f"{where}: {key} must be a list with at least one entry, found {shown(value)}")
    if len(value) > MAX_ENTRIES:
        raise InputError(f"{where}: {key} has {len(value)} entries, more than {MAX_ENTRIES}; split the study")
    return value


def mapping_of(value: Any, where: str) -> dict[str, Any]:
    """Return the value, which must be a mapping."""
    if not isinstance(value, dict):
        raise InputError(f"{where} must be a mapping of names to values, found {shown(value)}")
    return value


def require_unique(names: Sequence[Any], where: str) -> None:
    """Raise InputError if a name occurs twice."""
    counts = Counter(names)
    twice = sorted(name for name in counts if counts[name] > 1)
    if twice:
        raise InputError(f"{where}: {shown(twice[0])} appears twice; remove or rename one")


def stated_domain(row: Any, where: str) -> DomainArguments:
    """Read a domain from a dataset's name alone, or from a mapping of `DomainArguments`' fields."""
    values = {"dataset_name": row} if isinstance(row, str) else mapping_of(row, where)
    for key in SWEPT:
        if key in values:
            raise InputError(
                f"{where}: {key} is set once for all domains, with label_fractions, samples_per_class or seeds"
            )
    return build_row(DomainArguments, values, where)


def named_protocols(rows: Sequence[Any], where: str) -> tuple[NamedProtocol, ...]:
    """Read presets by name, or from mappings `{preset, name, field: value, grid: {field: [values]}}`."""
    protocols = []
    for row in rows:
        values = dict({"preset": row} if isinstance(row, str) else mapping_of(row, where))
        preset = values.pop("preset", None)
        if not isinstance(preset, str):
            raise InputError(f"{where}: an entry needs `preset`, such as {{preset: linear}}; found {shown(row)}")
        name = values.pop("name", preset)
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: name is {shown(name)}; it must be text")
        grid = mapping_of(values.pop("grid", {}), f"{where}: grid")
        for key, candidates in grid.items():
            if not isinstance(candidates, list) or not candidates:
                raise InputError(f"{where}: grid: {key} must be a list of values, found {shown(candidates)}")
            if key in values:
                raise InputError(f"{where}: {key} is given both as a value and in the grid; drop one of them")
        if (points := math.prod(map(len, grid.values()))) > MAX_ENTRIES:
            raise InputError(f"{where}: grid: that makes {points} protocols, more than {MAX_ENTRIES}; make it smaller")
        for combination in itertools.product(*grid.values()):
            varied = dict(zip(grid, combination, strict=True))
            suffix = "".join(f" {key}={value}" for key, value in varied.items())
            try:
                protocol = get_protocol(preset, {**values, **varied})
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
            protocols.append(NamedProtocol(name + suffix, preset, protocol))
    if any(protocol.name == PRETRAINED_PROTOCOL for protocol in protocols):
        raise InputError(f"{where}: `pretrained` is the name of the stage before any adaptation; choose another")
    return tuple(protocols)


def stated_exclusion(row: Any, where: str) -> Mapping[str, tuple[str, ...]]:
    """Return, for each axis, the values that exclude a cell."""
    values = mapping_of(row, where)
    for key, value in values.items():
        if key not in AXES:
            raise InputError(f"{where}: unknown key {shown(key)}; known: {', '.join(AXES)}")
        if value in (None, []):
            raise InputError(f"{where}: {key} is empty; give one value or a list of values")
    if not values:
        raise InputError(f"{where}: an entry without any key would exclude everything")
    return {
        key: tuple(str(item) for item in (value if isinstance(value, list) else [value]))
        for key, value in values.items()
    }


def stated_pairs(rows: Any, backbones: Sequence[BackboneEntry], where: str) -> tuple[tuple[str, str], ...]:
    """Return the pairs of backbones to compare by name, the self-supervised one first."""
    names = [backbone.name for backbone in backbones]
    pairs = []
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, list) or len(row) != 2:
            raise InputError(f"{where}: an entry must be [self-supervised, supervised], found {shown(row)}")
        for name in row:
            if name not in names:
                hint = nearest_names(str(name), names) or f"known: {some_of(names)}"
                raise InputError(f"{where}: there is no backbone {shown(name)}; {hint}")
        if row[0] == row[1]:
            raise InputError(f"{where}: {shown(row[0])} can't be compared with itself")
        pairs.append((str(row[0]), str(row[1])))
    require_unique(pairs, where)
    return tuple(pairs)


def stated_geometry(row: Any, sets: Sequence[TwinSet], where: str) -> Geometry | None:
    """Return the stated geometry; else that of the twin sets, if they agree; else None, each backbone's own."""
    if row is not None:
        return Geometry(**vars(build_row(_GeometryRow, mapping_of(row, where), where)))
    found = {Geometry(each.image_size, each.crop_pct, each.interpolation) for each in sets}
    return found.pop() if len(found) == 1 else None
