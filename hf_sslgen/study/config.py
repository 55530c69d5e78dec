"""A study's configuration: a YAML file that says which backbones meet which domains under which protocols.

Everything is checked here, before anything is loaded, so that a misspelt key is an error in the first second and not a
failed cell in the third hour.
"""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.subset import AnalysisSettings
from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.preprocessing import INTERPOLATIONS, Geometry
from hf_sslgen.registry_rows import build_row
from hf_sslgen.study.protocols import Protocol, get_protocol
from hf_sslgen.training.configuration import read_yaml
from hf_sslgen.zoo.loading import UNTRAINED, registered
from hf_sslgen.zoo.registry import TwinSet, get_twin_set

SWEPT = ("label_fraction", "samples_per_class", "split_seed", "test_seed")
"""What a study says of a domain for every cell, and a domain's own row therefore can't."""


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone of a study.

    Attributes:
        name: what tables call it; its location where nothing else is said.
        location: a registered name, a Hub id or a folder, or one of these behind `untrained:`.
        objective: `supervised`, `untrained` or the name of a self-supervised method.
        source: the data it was pretrained on; only backbones of one source are compared.
        pretraining_seed: backbones of a source are compared within one seed, where both state theirs.
    """

    name: str
    location: str
    objective: str
    source: str | None = None
    pretraining_seed: int | None = None


@dataclass(frozen=True)
class NamedProtocol:
    """A protocol under the name its cells carry, and the preset it was made from."""

    name: str
    preset: str
    protocol: Protocol


@dataclass(frozen=True)
class StudyConfig:
    """A checked configuration; `pairs` is None where every self-supervised backbone meets every supervised one."""

    title: str
    backbones: tuple[BackboneEntry, ...]
    domains: tuple[DomainArguments, ...]
    protocols: tuple[NamedProtocol, ...]
    label_fractions: tuple[float, ...]
    samples_per_class: tuple[int, ...]
    seeds: tuple[int, ...]
    exclude: tuple[Mapping[str, tuple[str, ...]], ...]
    pairs: tuple[tuple[str, str], ...] | None
    analysis: AnalysisSettings
    geometry: Geometry | None
    num_threads: int | None


@dataclass(frozen=True)
class _StudyRow:
    """The keys of the file, with their plain types; what nests is read apart."""

    title: str = "Self-supervised against supervised backbones"
    untrained_control: bool = True
    label_fractions: tuple[float, ...] = ()
    samples_per_class: tuple[int, ...] = ()
    seeds: tuple[int, ...] = (0,)
    num_threads: int | None = None


@dataclass(frozen=True)
class _BackboneRow:
    location: str
    name: str | None = None
    objective: str | None = None
    source: str | None = None
    pretraining_seed: int | None = None


@dataclass(frozen=True)
class _GeometryRow:
    image_size: int
    crop_pct: float | None = 1.0
    interpolation: str = field(default="bilinear", metadata={"words": tuple(INTERPOLATIONS)})


NESTED = ("backbones", "domains", "protocols", "exclude", "pairs", "analysis", "geometry")
AXES = ("backbone", "domain", "protocol", "labels", "seed")


def read_study(path: Path) -> StudyConfig:
    """Read and check a study's YAML file; an InputError names the key that is wrong and what would work."""
    return parse_study(read_yaml(path), f"study {str(path)!r}")


def parse_study(content: Mapping[str, Any], where: str) -> StudyConfig:
    """The configuration of a mapping as YAML has it; `where` names it in errors."""
    known = {*NESTED, *(each.name for each in dataclasses.fields(_StudyRow))}
    for key in content:
        if key not in known:
            hint = nearest_names(str(key), known) or f"known: {', '.join(sorted(known))}"
            raise InputError(f"{where}: unknown key {key!r}; {hint}")
    plain = build_row(_StudyRow, {key: value for key, value in content.items() if key not in NESTED}, where)
    backbones, sets = _backbones(_listed(content, "backbones", where), f"{where}: backbones")
    if plain.untrained_control:
        backbones += untrained_controls(backbones)
    _require_unique([backbone.name for backbone in backbones], f"{where}: backbones")
    domains = tuple(_domain(row, f"{where}: domains") for row in _listed(content, "domains", where))
    protocols = _protocols(_listed(content, "protocols", where, optional=True) or ["linear"], f"{where}: protocols")
    _require_unique([protocol.name for protocol in protocols], f"{where}: protocols")
    budgets = (plain.label_fractions, plain.samples_per_class)
    if not plain.seeds:
        raise InputError(f"{where}: seeds is empty; at least one is needed, such as [0]")
    return StudyConfig(
        title=plain.title,
        backbones=tuple(backbones),
        domains=domains,
        protocols=protocols,
        label_fractions=plain.label_fractions if any(budgets) else (1.0,),
        samples_per_class=plain.samples_per_class,
        seeds=plain.seeds,
        exclude=tuple(
            _exclusion(row, f"{where}: exclude") for row in _listed(content, "exclude", where, optional=True)
        ),
        pairs=_pairs(content["pairs"], backbones, f"{where}: pairs") if "pairs" in content else None,
        analysis=build_row(AnalysisSettings, _mapping(content.get("analysis", {}), f"{where}: analysis"), where),
        geometry=_geometry(content.get("geometry"), sets, f"{where}: geometry"),
        num_threads=plain.num_threads,
    )


def _listed(content: Mapping[str, Any], key: str, where: str, optional: bool = False) -> list[Any]:
    value = content.get(key, [] if optional else None)
    if not isinstance(value, list) or (not value and not optional):
        raise InputError(f"{where}: {key} should be a list with at least one entry, found {value!r}")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} should be a mapping of names to values, found {value!r}")
    return value


def _require_unique(names: Sequence[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{where}: {twice[0]!r} stands there twice; give one of them another name")


def _backbones(rows: Sequence[Any], where: str) -> tuple[list[BackboneEntry], list[TwinSet]]:
    entries, sets = [], []
    for row in rows:
        values = {"location": row} if isinstance(row, str) else _mapping(row, where)
        if "twin_set" in values:
            if len(values) > 1:
                raise InputError(f"{where}: an entry with twin_set takes no other key, found {sorted(values)}")
            twin_set = get_twin_set(str(values["twin_set"]))
            sets.append(twin_set)
            entries += [backbone_entry(each.id) for each in twin_set.backbones if each.library != "conversion"]
        else:
            entries.append(backbone_entry(**vars(build_row(_BackboneRow, values, where))))
    return entries, sets


def backbone_entry(
    location: str,
    name: str | None = None,
    objective: str | None = None,
    source: str | None = None,
    pretraining_seed: int | None = None,
) -> BackboneEntry:
    """An entry; what the registry knows of a backbone stands where nothing else is said."""
    known = registered(location)
    unregistered = "untrained" if location.startswith(UNTRAINED) else "unknown"
    return BackboneEntry(
        name=name or location,
        location=location,
        objective=objective or (known.objective if known is not None else unregistered),
        source=source or (known.source_data if known is not None else None),
        pretraining_seed=pretraining_seed,
    )


def untrained_controls(backbones: Sequence[BackboneEntry]) -> list[BackboneEntry]:
    """An untrained control for each source: the first supervised backbone's architecture, else the first one's."""
    controls = []
    for source in dict.fromkeys(each.source for each in backbones):
        of_source = [each for each in backbones if each.source == source]
        if any(each.objective == "untrained" for each in of_source):
            continue
        model = next((each for each in of_source if each.objective == "supervised"), of_source[0])
        controls.append(BackboneEntry(f"{UNTRAINED}{model.name}", f"{UNTRAINED}{model.location}", "untrained", source))
    return controls


def _domain(row: Any, where: str) -> DomainArguments:
    values = {"dataset_name": row} if isinstance(row, str) else _mapping(row, where)
    for key in SWEPT:
        if key in values:
            raise InputError(
                f"{where}: {key} is said once for all domains, by label_fractions, samples_per_class, seeds"
            )
    return build_row(DomainArguments, values, where)


def _protocols(rows: Sequence[Any], where: str) -> tuple[NamedProtocol, ...]:
    """Presets by name, or mappings `{preset, name, field: value, grid: {field: [values]}}`."""
    protocols = []
    for row in rows:
        values = dict({"preset": row} if isinstance(row, str) else _mapping(row, where))
        preset = values.pop("preset", None)
        if not isinstance(preset, str):
            raise InputError(f"{where}: an entry needs `preset`, such as {{preset: linear}}; found {row!r}")
        name = str(values.pop("name", preset))
        grid = _mapping(values.pop("grid", {}), f"{where}: grid")
        for key, candidates in grid.items():
            if not isinstance(candidates, list) or not candidates:
                raise InputError(f"{where}: grid: {key} should be a list of values, found {candidates!r}")
        for combination in itertools.product(*grid.values()):
            varied = dict(zip(grid, combination, strict=True))
            suffix = "".join(f" {key}={value}" for key, value in varied.items())
            protocols.append(NamedProtocol(name + suffix, preset, get_protocol(preset, {**values, **varied})))
    if any(protocol.name == "pretrained" for protocol in protocols):
        raise InputError(f"{where}: `pretrained` is the name of the stage before any adaptation; choose another")
    return tuple(protocols)


def _exclusion(row: Any, where: str) -> Mapping[str, tuple[str, ...]]:
    values = _mapping(row, where)
    for key in values:
        if key not in AXES:
            raise InputError(f"{where}: unknown key {key!r}; known: {', '.join(AXES)}")
    if not values:
        raise InputError(f"{where}: an entry without any key would exclude everything")
    return {
        key: tuple(str(item) for item in (value if isinstance(value, list) else [value]))
        for key, value in values.items()
    }


def _pairs(rows: Any, backbones: Sequence[BackboneEntry], where: str) -> tuple[tuple[str, str], ...]:
    names = [backbone.name for backbone in backbones]
    pairs = []
    for row in rows if isinstance(rows, list) else [rows]:
        if not isinstance(row, list) or len(row) != 2:
            raise InputError(f"{where}: an entry is [self-supervised, supervised], found {row!r}")
        for name in row:
            if name not in names:
                hint = nearest_names(str(name), names) or f"known: {', '.join(names)}"
                raise InputError(f"{where}: there is no backbone {name!r}; {hint}")
        pairs.append((str(row[0]), str(row[1])))
    return tuple(pairs)


def _geometry(row: Any, sets: Sequence[TwinSet], where: str) -> Geometry | None:
    """As stated; else that of the twin sets, where they agree; else each backbone's own."""
    if row is not None:
        return Geometry(**vars(build_row(_GeometryRow, _mapping(row, where), where)))
    found = {Geometry(each.image_size, each.crop_pct, each.interpolation) for each in sets}
    return found.pop() if len(found) == 1 else None
