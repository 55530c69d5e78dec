"""The backbones of a study, read from their rows; the registry fills in what a row leaves out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_sslgen.errors import InputError
from hf_sslgen.registry_rows import build_row
from hf_sslgen.settings import SEED, check_fields, shown
from hf_sslgen.zoo.backbone_registry import UNTRAINED, TwinSet, get_twin_set, twin_sets
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, is_available, registered


@dataclass(frozen=True)
class BackboneEntry:
    """A backbone of a study.

    Attributes:
        name: its name in tables; by default its location.
        location: a registered name, a Hub id (with a revision: `owner/name@revision`) or a folder, or one of these
            behind `untrained:`.
        objective: `supervised`, `untrained` or the name of a self-supervised method.
        source: the data it was pretrained on; only backbones with the same source are compared.
        pretraining_seed: backbones with the same source are compared only if their seeds agree or one is not stated.
        accept_inputs: whether it is measured even if a preflight finds its inputs or its features wrong.
    """

    name: str
    location: str
    objective: str
    source: str | None = None
    pretraining_seed: int | None = None
    accept_inputs: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class _BackboneRow:
    location: str
    name: str | None = None
    objective: str | None = None
    source: str | None = None
    pretraining_seed: int | None = field(default=None, metadata={"range": SEED})
    accept_inputs: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class NamedBackbones:
    """The backbones that a study's rows name.

    Attributes:
        entries: those to use; every one that is named itself, and those of twin sets that need no conversion.
        left_out: the others of the twin sets.
        sets: the twin sets.
    """

    entries: tuple[BackboneEntry, ...]
    left_out: tuple[BackboneEntry, ...]
    sets: tuple[TwinSet, ...]


def read_backbones(rows: Sequence[Any], where: str) -> NamedBackbones:
    """Return the backbones that a study's rows name, those of twin sets as far as they are converted."""
    entries, left_out, sets = [], [], []
    for row in rows:
        values = {"location": row} if isinstance(row, str) else row
        if not isinstance(values, dict):
            raise InputError(f"{where}: an entry must be a name or a mapping, found {shown(row)}")
        if "twin_set" in values:
            if len(values) > 1:
                raise InputError(f"{where}: an entry with twin_set can have no other key, found {sorted(values)}")
            if not isinstance(values["twin_set"], str):
                raise InputError(f"{where}: twin_set is {shown(values['twin_set'])}; it must be text")
            twin_set = get_twin_set(values["twin_set"])
            sets.append(twin_set)
            usable, others = entries_of(twin_set)
            entries += usable
            left_out += others
        else:
            entries.append(backbone_entry(**vars(build_row(_BackboneRow, values, where))))
    named = {entry.name for entry in entries}
    others = [entry for entry in left_out if entry.name not in named]  # one that is also named itself is required
    return NamedBackbones(tuple(entries), tuple(others), tuple(sets))


def entries_of(twin_set: TwinSet) -> tuple[list[BackboneEntry], list[BackboneEntry]]:
    """Return the backbones of a set that can be used, and those whose published file has to be converted first."""
    usable = [backbone_entry(row.id) for row in twin_set.backbones if is_available(row)]
    return usable, [backbone_entry(row.id) for row in twin_set.backbones if not is_available(row)]


def backbone_entry(
    location: str,
    name: str | None = None,
    objective: str | None = None,
    source: str | None = None,
    pretraining_seed: int | None = None,
    accept_inputs: bool = False,
) -> BackboneEntry:
    """Return an entry, with what the registry knows about the backbone as defaults."""
    known = registered(location)
    unregistered = UNTRAINED if location.startswith(UNTRAINED_PREFIX) else "unknown"
    return BackboneEntry(
        name=name or location,
        location=location,
        objective=objective or (known.objective if known is not None else unregistered),
        source=source or (known.source_data if known is not None else None),
        pretraining_seed=pretraining_seed,
        accept_inputs=accept_inputs,
    )


def named_entries(
    locations: Sequence[str], objectives: Sequence[str] | None = None, sources: Sequence[str] | None = None
) -> list[BackboneEntry]:
    """Return the entries of backbones given one by one; a folder goes by its own name if no other has that name.

    Args:
        objectives, sources: one for each, or `-` for what the registry knows.
    """
    unstated = ["-"] * len(locations)
    names = [Path(each).resolve().name if Path(each).is_dir() else each for each in locations]
    return [
        backbone_entry(
            location,
            name if names.count(name) == 1 else None,
            None if objective == "-" else objective,
            None if source == "-" else source,
        )
        for location, name, objective, source in zip(
            locations, names, objectives or unstated, sources or unstated, strict=True
        )
    ]


def shared_set(backbones: Sequence[BackboneEntry]) -> TwinSet | None:
    """Return the twin set that all of these backbones belong to, if there is one."""
    rows = [registered(each.location) for each in backbones]
    ids = {row.id.removeprefix(UNTRAINED_PREFIX) if row is not None else None for row in rows}
    return next((each for each in twin_sets().values() if ids and ids <= {row.id for row in each.backbones}), None)


def untrained_controls(backbones: Sequence[BackboneEntry]) -> list[BackboneEntry]:
    """Return an untrained control for each source: the first supervised backbone's architecture, else the first's."""
    controls = []
    for source in dict.fromkeys(each.source for each in backbones):
        of_source = [each for each in backbones if each.source == source]
        if any(each.objective == UNTRAINED for each in of_source):
            continue
        model = next((each for each in of_source if each.objective == "supervised"), of_source[0])
        controls.append(
            BackboneEntry(f"{UNTRAINED_PREFIX}{model.name}", f"{UNTRAINED_PREFIX}{model.location}", UNTRAINED, source)
        )
    return controls
