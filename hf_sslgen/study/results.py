"""Reading a study back: the finished cells of its plan, and sentences on those that are missing."""

from collections.abc import Sequence
from dataclasses import replace

from hf_sslgen.claims import find_claims, is_alive
from hf_sslgen.study.cells import Cell, read_cell, read_cells
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.store import STUDY_FILE, Store


def as_configured(cell: Cell, config: StudyConfig) -> Cell:
    """A cell that says of backbone and domain what the configuration says now; none of it decides a number."""
    said: dict[str, object] = {}
    for backbone in config.backbones:
        if backbone.name == cell.backbone:
            said |= {
                "objective": backbone.objective,
                "source": backbone.source,
                "pretraining_seed": backbone.pretraining_seed,
            }
    return replace(cell, provenance={**cell.provenance, **said})


def finished_cells(specs: Sequence[CellSpec], store: Store) -> list[Cell]:
    """The cells of these specifications that are finished, each once, with the group its domain has now."""
    cells: dict[str, Cell] = {}
    for spec in specs:
        name = store.indexed(spec)
        if name is not None and name not in cells and (store.cells / name).exists():
            cell = read_cell(store.cells / name)
            group = spec.domain.group or cell.provenance["group"]
            cells[name] = replace(cell, provenance={**cell.provenance, "group": group})
    return list(cells.values())


def failure_sentences(specs: Sequence[CellSpec], store: Store) -> list[str]:
    """What failed, a sentence for each error, however many cells met it."""
    titles: dict[str, list[str]] = {}
    for spec in specs:
        failure = store.failure(spec)
        if failure is not None and not store.is_finished(spec):
            titles.setdefault(failure.error, []).append(spec.title)
    return [
        f"Failed: {met[0]}{f' and {len(met) - 1} other cells' if len(met) > 1 else ''}: {error}"
        for error, met in titles.items()
    ]


def missing_sentences(specs: Sequence[CellSpec], store: Store) -> list[str]:
    """What a report says of cells that it lacks."""
    sentences = failure_sentences(specs, store)
    unfinished = sum(not store.is_finished(spec) and not store.has_failed(spec) for spec in specs)
    if unfinished:
        sentences.append(f"{unfinished} of {len(specs)} cells are not computed yet.")
    return sentences


def read_study_results(store: Store) -> tuple[StudyConfig | None, list[Cell], list[str]]:
    """The configuration a store was made with, its finished cells, and what is missing.

    A store without a configuration, such as one merged by hand, has all its cells.
    """
    path = store.folder / STUDY_FILE
    if not path.exists():
        return None, list(read_cells(store.cells)), []
    config = read_study(path)
    specs = expand(config)
    cells = [as_configured(cell, config) for cell in finished_cells(specs, store)]
    others = len(list(store.cells.glob("[!.]*/cell.json"))) - len(cells)
    missing = missing_sentences(specs, store)
    if others > 0:
        missing.append(f"{others} cells of the store belong to no cell of {STUDY_FILE} and are not shown.")
    return config, cells, missing


def state_of(spec: CellSpec, store: Store, claimed: dict[str, str]) -> str:
    """`finished`, `running`, `failed` or `waiting`."""
    if store.is_finished(spec):
        return "finished"
    if store.indexed(spec) in claimed:
        return "running"
    return "failed" if store.has_failed(spec) else "waiting"


def living_claims(store: Store) -> dict[str, str]:
    """Cells that somebody is computing, and who."""
    claims = [claim for claim in find_claims(store.claims) if is_alive(claim)] if store.claims.is_dir() else []
    return {
        claim.name: f"process {claim.owner.process} on {claim.owner.host} since {claim.owner.since}"
        for claim in claims
        if claim.owner is not None
    }
