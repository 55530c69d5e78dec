"""A study's configuration: a YAML file with the backbones, domains and protocols to combine.

Everything is checked here before anything is loaded, so that a misspelt key fails in the first second rather than in
the third hour.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.domains.domain_arguments import DomainArguments, label_budget_words
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.geometry import Geometry
from hf_sslgen.registry_rows import build_row
from hf_sslgen.settings import AT_LEAST_ONE, SEED, SHARE, shown
from hf_sslgen.study.backbones import BackboneEntry, read_backbones, untrained_controls
from hf_sslgen.study.config_entries import (
    NamedProtocol,
    list_of,
    mapping_of,
    named_protocols,
    require_unique,
    stated_domain,
    stated_exclusion,
    stated_geometry,
    stated_pairs,
)
from hf_sslgen.study.published_claims import Claim, stated_claims
from hf_sslgen.study.reference.published_values import ReferenceTable, stated_references
from hf_sslgen.yaml_files import read_yaml

MAX_CELLS = 100_000


@dataclass(frozen=True)
class StudyConfig:
    """A checked configuration; `pairs` is None to compare every self-supervised backbone with every supervised one.
    `claims` are those of the literature to test. `left_out` are the backbones of its twin sets that this machine has
    not converted yet. `references` are tables of published results to show beside the study's own. `stand_ins` says
    that its backbones and domains only stand in for those they are named after."""

    title: str
    backbones: tuple[BackboneEntry, ...]
    domains: tuple[DomainArguments, ...]
    protocols: tuple[NamedProtocol, ...]
    label_fractions: tuple[float, ...]
    samples_per_class: tuple[int, ...]
    seeds: tuple[int, ...]
    exclude: tuple[Mapping[str, tuple[str, ...]], ...]
    pairs: tuple[tuple[str, str], ...] | None
    claims: tuple[Claim, ...]
    analysis: AnalysisSettings
    geometry: Geometry | None
    num_threads: int | None
    left_out: tuple[BackboneEntry, ...] = ()
    references: tuple[ReferenceTable, ...] = ()
    stand_ins: bool = False


@dataclass(frozen=True)
class _StudyRow:
    """The keys of the file with plain values; nested ones are read separately."""

    title: str = "Self-supervised against supervised backbones"
    stand_ins: bool = False
    untrained_control: bool = True
    label_fractions: tuple[float, ...] = field(default=(), metadata={"range": SHARE})
    samples_per_class: tuple[int, ...] = field(default=(), metadata={"range": AT_LEAST_ONE})
    seeds: tuple[int, ...] = field(default=(0,), metadata={"range": SEED})
    num_threads: int | None = field(default=None, metadata={"range": AT_LEAST_ONE})


NESTED = ("backbones", "domains", "protocols", "exclude", "pairs", "claims", "analysis", "geometry", "reference")
"""Keys of the file whose values are nested and read separately."""


def read_study(path: Path) -> StudyConfig:
    """Read and check a study's YAML file; an InputError names the wrong key and what would work."""
    return parse_study(read_yaml(path, "study"), f"study {str(path)!r}")


def parse_study(content: Mapping[str, Any], where: str) -> StudyConfig:
    """Return the configuration from a mapping read from YAML; `where` names the mapping in errors."""
    known = {*NESTED, *(each.name for each in dataclasses.fields(_StudyRow))}
    for key in content:
        if key not in known:
            hint = nearest_names(key, known) or f"known: {', '.join(sorted(known))}"
            raise InputError(f"{where}: unknown key {shown(key)}; {hint}")
    plain = build_row(_StudyRow, {key: value for key, value in content.items() if key not in NESTED}, where)
    for key in ("label_fractions", "samples_per_class", "seeds"):
        require_unique(vars(plain)[key], f"{where}: {key}")
    named = read_backbones(list_of(content, "backbones", where), f"{where}: backbones")
    backbones, left_out = named.entries, named.left_out
    if plain.untrained_control and backbones:
        backbones += tuple(untrained_controls(backbones))
    elif plain.untrained_control:
        left_out += tuple(untrained_controls(left_out))
    require_unique([backbone.name for backbone in backbones], f"{where}: backbones")
    domains = tuple(stated_domain(row, f"{where}: domains") for row in list_of(content, "domains", where))
    require_unique([f"{each.dataset_name}, {label_budget_words(each)}" for each in domains], f"{where}: domains")
    _require_names_apart(domains, f"{where}: domains")
    protocols = named_protocols(
        list_of({"protocols": ["linear"], **content}, "protocols", where), f"{where}: protocols"
    )
    require_unique([protocol.name for protocol in protocols], f"{where}: protocols")
    budgets = (plain.label_fractions, plain.samples_per_class)
    any_backbones = backbones + left_out
    if not plain.seeds:
        raise InputError(f"{where}: seeds is empty; give at least one, such as [0]")
    crossed = (
        backbones + named.left_out,
        domains,
        protocols,
        plain.seeds,
        plain.label_fractions + plain.samples_per_class or (1.0,),
    )
    if (cells := math.prod(map(len, crossed))) > MAX_CELLS:
        raise InputError(f"{where}: that makes {cells} cells, more than {MAX_CELLS}; split the study")
    return StudyConfig(
        title=plain.title,
        backbones=backbones,
        domains=domains,
        protocols=protocols,
        label_fractions=plain.label_fractions if any(budgets) else (1.0,),
        samples_per_class=plain.samples_per_class,
        seeds=plain.seeds,
        exclude=tuple(
            stated_exclusion(row, f"{where}: exclude") for row in list_of(content, "exclude", where, optional=True)
        ),
        pairs=stated_pairs(content["pairs"], any_backbones, f"{where}: pairs") if "pairs" in content else None,
        claims=stated_claims(list_of(content, "claims", where, optional=True), f"{where}: claims"),
        analysis=build_row(
            AnalysisSettings, mapping_of(content.get("analysis", {}), f"{where}: analysis"), f"{where}: analysis"
        ),
        geometry=stated_geometry(content.get("geometry"), named.sets, f"{where}: geometry"),
        num_threads=plain.num_threads,
        left_out=left_out,
        references=stated_references(list_of(content, "reference", where, optional=True), f"{where}: reference"),
        stand_ins=plain.stand_ins,
    )


def _require_names_apart(domains: Sequence[DomainArguments], where: str) -> None:
    """Raise InputError if two datasets would have the same name in results."""
    called: dict[str, str] = {}
    for each in domains:
        other = called.setdefault(domain_name(each), each.dataset_name)
        if other != each.dataset_name:
            raise InputError(
                f"{where}: {other!r} and {each.dataset_name!r} would both be named {domain_name(each)!r}; give one a "
                "domain_name"
            )
