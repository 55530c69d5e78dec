"""Expand a configuration into one specification per cell."""

import dataclasses
import fnmatch
import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.domains.domain_arguments import DomainArguments, label_budget_words
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.settings import some_of
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.cells.cell_folder import METRIC_DEFINITIONS, PRETRAINED_PROTOCOL
from hf_sslgen.study.config import StudyConfig
from hf_sslgen.study.config_entries import AXES
from hf_sslgen.study.protocols.presets import (
    FewShotProtocol,
    KNNProtocol,
    LinearProtocol,
    Protocol,
    protocol_settings,
)
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

MOST_CONVERTED = 4096


@dataclass(frozen=True)
class CellSpec:
    """The specification of one cell; a `protocol` of None is the pretrained stage."""

    backbone: BackboneEntry
    domain: DomainArguments
    protocol_name: str
    protocol: Protocol | None
    seed: int
    analysis: AnalysisSettings
    geometry: Geometry | None

    @property
    def labels(self) -> str:
        """Label budget; the pretrained stage learns nothing and is shared by all budgets."""
        return label_budget_words(self.domain) if self.protocol is not None else "100%"

    @property
    def domain_name(self) -> str:
        return _domain_name(self.domain)

    @property
    def draws_nothing(self) -> bool:
        """Whether the seed decides nothing but the splits: neither the protocol nor the weights use it."""
        is_untrained = self.backbone.location.startswith(UNTRAINED_PREFIX)
        return isinstance(self.protocol, LinearProtocol | KNNProtocol) and not is_untrained

    @property
    def title(self) -> str:
        """The cell's name in messages."""
        where = f"{self.backbone.name} on {self.domain_name}, {self.protocol_name}"
        return where if self.protocol is None else f"{where}, {self.labels} of the labels, seed {self.seed}"

    @functools.cached_property
    def key(self) -> str:
        """Sixteen hexadecimal digits that identify the request and the definitions of the numbers, but not what is
        found on loading."""
        content = {
            "backbone": _json(self.backbone.location),
            "name": _json(self.backbone.name),
            "domain": _domain_json(self.domain),
            "protocol": _json(self.protocol_name),
            "settings": _settings_json(self.protocol),
            "seed": _json(self.seed),
            "analysis": _fields_json(self.analysis),
            "geometry": _fields_json(self.geometry) if self.geometry is not None else _json(None),
            "metric_definitions": _json(METRIC_DEFINITIONS),
        }
        text = "{" + ", ".join(f'"{name}": {content[name]}' for name in sorted(content)) + "}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _once(convert: Callable[[Any], str]) -> Callable[[Any], str]:
    """Convert each of the objects that many cells share once, since a study can have 100,000.

    They are told apart by identity, because equal ones may differ in their text (1 and 1.0).
    """
    known: dict[int, tuple[object, str]] = {}

    def converted(shared: Any) -> str:
        if id(shared) not in known:
            if len(known) >= MOST_CONVERTED:
                known.clear()
            known[id(shared)] = shared, convert(shared)
        return known[id(shared)][1]

    return converted


_domain_name = _once(domain_name)


@_once
def _fields_json(settings: AnalysisSettings | Geometry) -> str:
    return _json(dataclasses.asdict(settings))


@_once
def _settings_json(protocol: Protocol | None) -> str:
    return _json(protocol_settings(protocol))


@_once
def _domain_json(arguments: DomainArguments) -> str:
    domain = dataclasses.asdict(arguments)
    del domain["group"]  # used by reports only, and may be changed later
    if domain["group_column_name"] is None:  # requests made before there was such an option keep their key
        del domain["group_column_name"]
    return _json(domain)


@functools.lru_cache(maxsize=4096)
def _of_any_seed(arguments: DomainArguments) -> DomainArguments:
    return replace(arguments, split_seed=0)


def first_seeds(specs: Sequence[CellSpec]) -> dict[CellSpec, CellSpec]:
    """Return for each cell the first one of the plan that differs from it in nothing but the seed, which can be
    itself."""
    firsts: dict[CellSpec, CellSpec] = {}
    return {spec: firsts.setdefault(replace(spec, seed=0, domain=_of_any_seed(spec.domain)), spec) for spec in specs}


def expand(config: StudyConfig, with_left_out: bool = False) -> tuple[CellSpec, ...]:
    """Return every cell of a study, domain by domain so that each domain is loaded once.

    The pretrained stage is one cell per backbone and domain. It does not depend on labels. It depends on the seed only
    through an untrained control's weights, for which the first seed is taken.

    Args:
        with_left_out: whether to include the backbones that the study leaves out until they are converted.

    Raises:
        InputError: nothing is left after the exclusions, or an exclusion excludes nothing.
    """
    specs, used, left_out = [], [False] * len(config.exclude), frozenset(config.left_out)
    for spec in _all_specs(config):
        excluded, found = False, _axes(spec) if config.exclude else {}
        for index, exclusion in enumerate(config.exclude):
            if _matches(spec, found, exclusion):
                excluded = used[index] = True
        if not excluded and (with_left_out or spec.backbone not in left_out):
            specs.append(spec)
    for exclusion, was_used in zip(config.exclude, used, strict=True):
        if not was_used:
            raise InputError(
                f"exclude: {_in_words(exclusion)} matches no cell of the study. {_known(config, exclusion)}"
            )
    if not specs and (config.backbones or with_left_out):
        raise InputError("exclude: the exclusions leave no cell in the study")
    return tuple(specs)


def _all_specs(config: StudyConfig) -> Iterator[CellSpec]:
    backbones = config.backbones + config.left_out
    for stated in config.domains:
        domain = replace(stated, test_seed=config.analysis.seed)
        first = replace(domain, split_seed=config.seeds[0])
        shared: dict[str, Any] = {"analysis": config.analysis, "geometry": config.geometry}
        for backbone in backbones:
            yield CellSpec(backbone, first, PRETRAINED_PROTOCOL, None, config.seeds[0], **shared)
        for seed in config.seeds:
            for index, budget in enumerate(_budgets(config)):
                limited = replace(domain, split_seed=seed, **budget)
                for backbone in backbones:
                    for named in config.protocols:
                        takes_labels = not isinstance(named.protocol, FewShotProtocol)
                        if takes_labels or index == 0:
                            yield CellSpec(backbone, limited, named.name, named.protocol, seed, **shared)


def _budgets(config: StudyConfig) -> list[dict[str, Any]]:
    fractions = [{"label_fraction": fraction if fraction != 1 else None} for fraction in config.label_fractions]
    return [*fractions, *({"samples_per_class": count} for count in config.samples_per_class)]


def _axes(spec: CellSpec) -> dict[str, set[str]]:
    """Return the names by which an exclusion can select a cell, by axis.

    A domain can also be named by its last part, so that copies of a folder in other places and Hub ids match.
    """
    dataset_name = spec.domain.dataset_name
    domain = {spec.domain_name, dataset_name, Path(dataset_name).name}
    values = ({spec.backbone.name}, domain, {spec.protocol_name}, {spec.labels}, {str(spec.seed)})
    return dict(zip(AXES, values, strict=True))


def _matches(spec: CellSpec, found: Mapping[str, set[str]], exclusion: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether on every axis of the exclusion one of the names in `found` matches its values, which may contain `*`."""
    if spec.protocol is None and not {"labels", "seed"}.isdisjoint(exclusion):
        return False  # the pretrained stage is shared by all labels and seeds
    return all(
        any(fnmatch.fnmatchcase(name, value) for value in exclusion[axis] for name in found[axis])
        for axis in exclusion
    )


def _in_words(exclusion: Mapping[str, tuple[str, ...]]) -> str:
    return ", ".join(f"{axis}: {some_of(values)}" for axis, values in exclusion.items())


def _known(config: StudyConfig, exclusion: Mapping[str, tuple[str, ...]]) -> str:
    """Return the study's values on each axis of an exclusion, in words."""
    known = {axis: sorted({min(_axes(spec)[axis]) for spec in _all_specs(config)}) for axis in exclusion}
    return "; ".join(f"{axis} is one of {some_of(values)}" for axis, values in known.items())
