"""The progress of a study, read from its folder alone: which cells are finished, running, failed or damaged."""

from collections.abc import Sequence

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.cell_folder import read_stored_cell
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.work_claims import find_living_claims

SHOWN = 4
"""How many of the cells with the same error are named."""


def damaged_sentences(specs: Sequence[CellSpec], store: Store) -> dict[CellSpec, str]:
    """Return the specifications whose finished cell has changed since it was written, with a sentence on each.

    Records are not read.
    """
    damaged = {}
    for spec in specs:
        name = store.indexed(spec)
        if name is not None and (store.cells / name).exists():
            try:
                read_stored_cell(store.cells / name)
            except InputError as error:
                damaged[spec] = str(error)
    return damaged


def failure_sentences(specs: Sequence[CellSpec], store: Store) -> list[str]:
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


def missing_sentences(specs: Sequence[CellSpec], store: Store) -> list[str]:
    """Return a report's sentences on missing cells."""
    sentences = failure_sentences(specs, store)
    if left := unfinished(specs, store):
        sentences.append(f"{left} of {len(specs)} cells are not computed yet.")
    return sentences


def unfinished(specs: Sequence[CellSpec], store: Store) -> int:
    """Return the number of cells that have neither finished nor failed."""
    return sum(not store.is_finished(spec) and not store.has_failed(spec) for spec in specs)


def state_of(spec: CellSpec, store: Store, claimed: dict[str, str]) -> str:
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
