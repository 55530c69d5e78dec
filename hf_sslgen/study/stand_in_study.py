"""A study in a scaled-down form that needs no network: the same cells, of small random networks on a few pictures.

It shows whether a configuration runs from end to end, and what its report will look like. Its numbers mean nothing, so
its title, its page and the terminal say that it is made of stand-ins.
"""

import dataclasses
import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import yaml

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file
from hf_sslgen.randomness import derive_seed
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.config_entries import NamedProtocol
from hf_sslgen.study.plan import expand
from hf_sslgen.study.protocols.presets import (
    FewShotProtocol,
    KNNProtocol,
    LinearProtocol,
    Protocol,
    departures,
)
from hf_sslgen.study.stand_in_domains import write_stand_in_domain
from hf_sslgen.study.stand_in_marks import STAND_INS_TITLE, require_same_kind
from hf_sslgen.study.stand_in_networks import SIDE, write_stand_in_backbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered

FOLDER: Final = "stand_ins"
"""Folder in the study's that holds the networks, the pictures and the scaled-down configuration."""

MOST_SEEDS: Final = 2
MOST_SHOTS: Final = 4
FEW: Final[dict[str, Any]] = {"max_subset": 12, "num_examples": 2, "batch_size": 16, "transforms": "quick"}
"""Analysis settings; the others stay as the study has them."""


def write_stand_in_study(study: Path, folder: Path) -> Path:
    """Write a study's scaled-down form into the folder it will run in; returns its configuration.

    Networks and pictures that are there already stay, so that an interrupted study goes on.

    Raises:
        InputError: the configuration is wrong, or the folder holds a study of real backbones.
    """
    config = read_study(study)
    if config.stand_ins:
        raise InputError(f"study {str(study)!r} is already made of stand-ins; run it without --stand_ins")
    expand(config, with_left_out=True)  # finds the errors of the whole study
    require_same_kind(folder, stand_ins=True)
    Store(folder).prepare()
    root = folder.resolve() / FOLDER
    root.mkdir(exist_ok=True)
    content = yaml.safe_dump(scaled_down(config, root), sort_keys=False, allow_unicode=True)
    with replace_file(root / STUDY_FILE) as unfinished:
        unfinished.write_text(content, encoding="utf-8")
    return root / STUDY_FILE


def scaled_down(config: StudyConfig, root: Path) -> dict[str, Any]:
    """Return the content of the scaled-down study's file, and write its networks and pictures below `root`."""
    seeds = config.seeds[:MOST_SEEDS]
    fractions, samples = (
        _largest(config.label_fractions),
        _largest([min(4, each) for each in config.samples_per_class]),
    )
    domains = {domain_name(each): each for each in config.domains}
    labels = [*(f"{100 * each:g}%" for each in fractions), *(f"{each}-shot" for each in samples)]
    exclusions = [_excluded(each, config.domains, labels, seeds) for each in config.exclude]
    return {
        "title": f"{STAND_INS_TITLE} ({config.title})",
        "stand_ins": True,
        "backbones": [_backbone(each, root / "networks") for each in config.backbones + config.left_out],
        "untrained_control": False,  # a control is one of the backbones
        "domains": [_domain(name, each, root / "domains") for name, each in domains.items()],
        "protocols": [_protocol(each) for each in config.protocols],
        "label_fractions": fractions,
        "samples_per_class": samples,
        "seeds": list(seeds),
        "exclude": [each for each in exclusions if each is not None],
        **({"pairs": [list(pair) for pair in config.pairs]} if config.pairs is not None else {}),
        "claims": [claim.id for claim in config.claims],
        "reference": [table.name for table in config.references],
        "analysis": {**dataclasses.asdict(config.analysis), **FEW},
        "geometry": {"image_size": SIDE, "crop_pct": 1.0, "interpolation": "bilinear"},
        **({"num_threads": config.num_threads} if config.num_threads is not None else {}),
    }


def _backbone(entry: BackboneEntry, root: Path) -> dict[str, Any]:
    base = entry.location.removeprefix(UNTRAINED_PREFIX)
    prefix = UNTRAINED_PREFIX if entry.location.startswith(UNTRAINED_PREFIX) else ""
    folder = root / _folder_name(base)
    write_stand_in_backbone(folder, base, registered(base))
    known = {"source": entry.source, "pretraining_seed": entry.pretraining_seed}
    return {
        "location": f"{prefix}{folder}",
        "name": entry.name,
        "objective": entry.objective,
        **{key: value for key, value in known.items() if value is not None},
    }


def _domain(name: str, arguments: DomainArguments, root: Path) -> dict[str, Any]:
    row = registered_entry(arguments)
    group = arguments.group or (row.group if row is not None else None)
    folder = root / _folder_name(name)
    write_stand_in_domain(folder, name, group)
    stated = {"dataset_name": str(folder), "domain_name": name, "train_val_split": 0.25}
    return {**stated, "group": group} if group is not None else stated


def _folder_name(name: str) -> str:
    """Return a folder's name that can be read, and is another one for another name."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[-60:]
    return f"{readable}-{derive_seed(name) % 16**6:06x}"


def _protocol(named: NamedProtocol) -> dict[str, Any]:
    return {"preset": named.preset, "name": named.name, **departures(named.preset, cut(named.protocol))}


def cut(protocol: Protocol) -> Protocol:
    """Return a protocol of the same kind and settings with a budget of seconds."""
    if isinstance(protocol, LinearProtocol):
        grid = protocol.inverse_regularisations
        return replace(protocol, inverse_regularisations=grid[:: max(1, len(grid) // 3)][:3], tolerance=1e-2)
    if isinstance(protocol, KNNProtocol):
        return replace(protocol, neighbours=(3, 5))
    if isinstance(protocol, FewShotProtocol):
        few = {"ways": 3, "shots": 2, "queries": 3, "episodes": 10}
        return replace(protocol, **{key: min(value, vars(protocol)[key]) for key, value in few.items()})
    return replace(
        protocol,
        learning_rates=protocol.learning_rates[:1],
        weight_decays=protocol.weight_decays[:1],
        sgd_learning_rates=protocol.sgd_learning_rates[:1],
        sgd_weight_decays=protocol.sgd_weight_decays[:1],
        max_steps=2,
        batch_size=8,
        step_milestones=protocol.step_milestones and (1,),
        warmup_steps=0.0,
        early_stopping_patience=None,
    )


def _largest(values: Sequence[float]) -> list[float]:
    return [max(values)] if values else []


def _excluded(
    exclusion: Mapping[str, tuple[str, ...]],
    domains: Sequence[DomainArguments],
    labels: Sequence[str],
    seeds: Sequence[int],
) -> dict[str, list[str]] | None:
    """Return an exclusion in terms of the scaled-down study; None if what it excludes was cut."""
    found = {key: list(values) for key, values in exclusion.items()}
    if "domain" in found:
        names = {domain_name(each): _names_of(each) for each in domains}
        found["domain"] = [name for name, known in names.items() if _any_match(known, found["domain"])]
    left = {"labels": set(labels), "seed": {str(seed) for seed in seeds}}
    return found if all(_any_match(left[key], found[key]) for key in left.keys() & found.keys()) else None


def _names_of(arguments: DomainArguments) -> set[str]:
    return {domain_name(arguments), arguments.dataset_name, Path(arguments.dataset_name).name}


def _any_match(names: set[str], patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)
