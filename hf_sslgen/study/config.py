"""A study's configuration: a YAML file that says which backbones meet which domains under which protocols.

Everything is checked here, before anything is loaded, so that a misspelt key is an error in the first second and not a
failed cell in the third hour.
"""

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.domains.domain_arguments import DomainArguments, label_budget_words
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.geometry import INTERPOLATIONS, Geometry
from hf_sslgen.registry_rows import build_row
from hf_sslgen.settings import AT_LEAST_ONE, SEED, SHARE, SIDE, Range, shown, some_of
from hf_sslgen.study.backbones import BackboneEntry, read_backbones, untrained_controls
from hf_sslgen.study.protocols.presets import Protocol, get_protocol
from hf_sslgen.yaml_files import read_yaml
from hf_sslgen.zoo.backbone_registry import TwinSet

SWEPT = ("label_fraction", "samples_per_class", "split_seed", "test_seed")
"""What a study says of a domain for every cell, and a domain's own row therefore can't."""

MAX_ENTRIES = 1000
"""Of any list of entries, and of one grid of protocols."""

MAX_CELLS = 100_000


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
    label_fractions: tuple[float, ...] = field(default=(), metadata={"range": SHARE})
    samples_per_class: tuple[int, ...] = field(default=(), metadata={"range": AT_LEAST_ONE})
    seeds: tuple[int, ...] = field(default=(0,), metadata={"range": SEED})
    num_threads: int | None = field(default=None, metadata={"range": AT_LEAST_ONE})


@dataclass(frozen=True)
class _GeometryRow:
    image_size: int = field(metadata={"range": SIDE})
    crop_pct: float | None = field(default=1.0, metadata={"range": Range(at_least=0.1, at_most=1)})
    interpolation: str = field(default="bilinear", metadata={"words": tuple(INTERPOLATIONS)})


NESTED = ("backbones", "domains", "protocols", "exclude", "pairs", "analysis", "geometry")
"""Keys of the file whose values are read apart."""

AXES = ("backbone", "domain", "protocol", "labels", "seed")


def read_study(path: Path) -> StudyConfig:
    """Read and check a study's YAML file; an InputError names the key that is wrong and what would work."""
    return parse_study(read_yaml(path, "study"), f"study {str(path)!r}")


def parse_study(content: Mapping[str, Any], where: str) -> StudyConfig:
    """The configuration of a mapping as YAML has it; `where` names it in errors."""
    known = {*NESTED, *(each.name for each in dataclasses.fields(_StudyRow))}
    for key in content:
        if key not in known:
            hint = nearest_names(key, known) or f"known: {', '.join(sorted(known))}"
            raise InputError(f"{where}: unknown key {shown(key)}; {hint}")
    plain = build_row(_StudyRow, {key: value for key, value in content.items() if key not in NESTED}, where)
    for key in ("label_fractions", "samples_per_class", "seeds"):
        _require_unique(vars(plain)[key], f"{where}: {key}")
    backbones, sets = read_backbones(_listed(content, "backbones", where), f"{where}: backbones")
    if plain.untrained_control:
        backbones += untrained_controls(backbones)
    _require_unique([backbone.name for backbone in backbones], f"{where}: backbones")
    domains = tuple(_domain(row, f"{where}: domains") for row in _listed(content, "domains", where))
    _require_unique([f"{each.dataset_name}, {label_budget_words(each)}" for each in domains], f"{where}: domains")
    _require_names_apart(domains, f"{where}: domains")
    protocols = _protocols(_listed({"protocols": ["linear"], **content}, "protocols", where), f"{where}: protocols")
    _require_unique([protocol.name for protocol in protocols], f"{where}: protocols")
    budgets = (plain.label_fractions, plain.samples_per_class)
    if not plain.seeds:
        raise InputError(f"{where}: seeds is empty; at least one is needed, such as [0]")
    crossed = (backbones, domains, protocols, plain.seeds, plain.label_fractions + plain.samples_per_class or (1.0,))
    if (cells := math.prod(map(len, crossed))) > MAX_CELLS:
        raise InputError(f"{where}: that makes {cells} cells, more than {MAX_CELLS}; split the study")
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
        analysis=build_row(
            AnalysisSettings, _mapping(content.get("analysis", {}), f"{where}: analysis"), f"{where}: analysis"
        ),
        geometry=_geometry(content.get("geometry"), sets, f"{where}: geometry"),
        num_threads=plain.num_threads,
    )


def _require_names_apart(domains: Sequence[DomainArguments], where: str) -> None:
    """Raise InputError where results would call two data sets the same."""
    called: dict[str, str] = {}
    for each in domains:
        other = called.setdefault(domain_name(each), each.dataset_name)
        if other != each.dataset_name:
            raise InputError(
                f"{where}: {other!r} and {each.dataset_name!r} would both be called {domain_name(each)!r}; give one a "
                "domain_name"
            )


def _listed(content: Mapping[str, Any], key: str, where: str, optional: bool = False) -> list[Any]:
    value = content.get(key, [] if optional else None)
    if not isinstance(value, list) or (not value and not optional):
        raise InputError(f"{where}: {key} should be a list with at least one entry, found {shown(value)}")
    if len(value) > MAX_ENTRIES:
        raise InputError(f"{where}: {key} has {len(value)} entries, more than {MAX_ENTRIES}; split the study")
    return value


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError(f"{where} should be a mapping of names to values, found {shown(value)}")
    return value


def _require_unique(names: Sequence[Any], where: str) -> None:
    counts = Counter(names)
    twice = sorted(name for name in counts if counts[name] > 1)
    if twice:
        raise InputError(f"{where}: {shown(twice[0])} appears twice; remove or rename one")


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
            raise InputError(f"{where}: an entry needs `preset`, such as {{preset: linear}}; found {shown(row)}")
        name = values.pop("name", preset)
        if not isinstance(name, str) or not name:
            raise InputError(f"{where}: name is {shown(name)}; it has to be text")
        grid = _mapping(values.pop("grid", {}), f"{where}: grid")
        for key, candidates in grid.items():
            if not isinstance(candidates, list) or not candidates:
                raise InputError(f"{where}: grid: {key} should be a list of values, found {shown(candidates)}")
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
    if any(protocol.name == "pretrained" for protocol in protocols):
        raise InputError(f"{where}: `pretrained` is the name of the stage before any adaptation; choose another")
    return tuple(protocols)


def _exclusion(row: Any, where: str) -> Mapping[str, tuple[str, ...]]:
    values = _mapping(row, where)
    for key, value in values.items():
        if key not in AXES:
            raise InputError(f"{where}: unknown key {shown(key)}; known: {', '.join(AXES)}")
        if value in (None, []):
            raise InputError(f"{where}: {key} names nothing; give one value or a list of them")
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
            raise InputError(f"{where}: an entry is [self-supervised, supervised], found {shown(row)}")
        for name in row:
            if name not in names:
                hint = nearest_names(str(name), names) or f"known: {some_of(names)}"
                raise InputError(f"{where}: there is no backbone {shown(name)}; {hint}")
        if row[0] == row[1]:
            raise InputError(f"{where}: {shown(row[0])} can't be compared with itself")
        pairs.append((str(row[0]), str(row[1])))
    _require_unique(pairs, where)
    return tuple(pairs)


def _geometry(row: Any, sets: Sequence[TwinSet], where: str) -> Geometry | None:
    """As stated; else that of the twin sets, where they agree; else each backbone's own."""
    if row is not None:
        return Geometry(**vars(build_row(_GeometryRow, _mapping(row, where), where)))
    found = {Geometry(each.image_size, each.crop_pct, each.interpolation) for each in sets}
    return found.pop() if len(found) == 1 else None
