"""The progress of a study, read from its folder alone: which cells are finished, running, failed or damaged."""

import contextlib
from collections.abc import Sequence
from typing import TypeVar

from hf_sslgen.errors import InputError
from hf_sslgen.file_signatures import file_signature
from hf_sslgen.files import write_json
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.cells.cell_folder import read_stored_cell
from hf_sslgen.study.cells.store import Planned, Store, read_mapping
from hf_sslgen.study.config import StudyConfig
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.work_claims import find_living_claims

Cell = TypeVar("Cell", bound=Planned)

CHECKED = "checked.json"
"""File in a study's folder with the signatures of the cells that were found undamaged."""

SHOWN = 4
"""How many of the cells with the same error are named."""


def planned_cells(config: StudyConfig, store: Store) -> tuple[CellSpec, ...]:
    """Return the cells that a study's folder asks for, in the study's order.

    Cells of backbones that are not converted on this machine belong to them only if they are finished, such as on
    another machine.
    """
    if not config.left_out:
        return expand(config)
    left_out = frozenset(config.left_out)
    specs = expand(config, with_left_out=True)
    return tuple(spec for spec in specs if spec.backbone not in left_out or store.is_finished(spec))


def still_left_out(config: StudyConfig, store: Store) -> tuple[BackboneEntry, ...]:
    """Return the backbones that a study leaves out until they are converted, and has no finished cell of."""
    found = {spec.backbone for spec in planned_cells(config, store)}
    return tuple(backbone for backbone in config.left_out if backbone not in found)


def damaged_sentences(specs: Sequence[Cell], store: Store) -> dict[Cell, str]:
    """Return the specifications whose finished cell has changed since it was written, with a sentence on each.

    Records are not read. A cell found undamaged is not read again as long as its files' sizes and times stay the same.
    """
    path = store.folder / CHECKED
    checked, intact, sentences = read_mapping(path), {}, {}
    for name in dict.fromkeys(store.indexed(spec) for spec in specs if store.is_finished(spec)):
        assert name is not None
        signature = file_signature(store.cells / name)
        if not signature.is_final or checked.get(name) != signature.digest:
            try:
                read_stored_cell(store.cells / name)
            except InputError as error:
                sentences[name] = str(error)
                continue
        if signature.is_final:
            intact[name] = signature.digest
    if not intact.items() <= checked.items():
        with contextlib.suppress(OSError):  # a folder that can't be written to is checked again next time
            write_json(path, {**checked, **intact})
    return {spec: sentences[name] for spec in specs if (name := store.indexed(spec)) in sentences}


def failure_sentences(specs: Sequence[Planned], store: Store) -> list[str]:
    """Return a sentence for each error, with the first cells that failed with it."""
    titles: dict[str, list[str]] = {}
    for spec in specs:
        failure = store.failure(spec)
        if failure is not None and not store.is_finished(spec):
            titles.setdefault(failure.error, []).append(spec.title)
    return [f"Failed: {named_cells(met)}: {error}" for error, met in titles.items()]


def named_cells(titles: Sequence[str]) -> str:
    """Return the first cells' titles, and how many others there are."""
    more = len(titles) - SHOWN
    return "; ".join(titles[:SHOWN]) + (f" and {more} other cells" if more > 0 else "")


def missing_sentences(specs: Sequence[Planned], store: Store) -> list[str]:
    """Return a report's sentences on missing cells."""
    sentences = failure_sentences(specs, store)
    if left := unfinished(specs, store):
        sentences.append(f"{left} of {len(specs)} cells are not computed yet.")
    return sentences


def unfinished(specs: Sequence[Planned], store: Store) -> int:
    """Return the number of cells that have neither finished nor failed."""
    return sum(not store.is_finished(spec) and not store.has_failed(spec) for spec in specs)


def state_of(spec: Planned, store: Store, claimed: dict[str, str]) -> str:
    """Return `finished`, `running`, `failed` or `waiting`."""
    if store.is_finished(spec):
        return "finished"
    if store.indexed(spec) in claimed:
        return "running"
    return "failed" if store.has_failed(spec) else "waiting"


def living_claims(store: Store) -> dict[str, str]:
    """Return the cells that a running process is computing, and which process that is."""
    return {
        claim.name: f"process {claim.owner.process} on {claim.owner.host} since {claim.owner.since}"
        for claim in (find_living_claims(store.claims) if store.claims.is_dir() else [])
        if claim.owner is not None
    }
