"""What is ranked: backbones, or objectives where several were pretrained with the same seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.metric import Compared, Metric
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.record_columns import CLEAN, RecordColumns
from hf_sslgen.study.inference.confounds import same_architecture
from hf_sslgen.study.inference.contrasts import role_of
from hf_sslgen.study.inference.known_backbones import KnownBackbone, known_backbones
from hf_sslgen.study.inference.replicates import CellPairs, Replicates, distinct
from hf_sslgen.study.inference.seed_averages import grouped, same_size
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class Contestant:
    """A backbone, or an objective with all its pretraining runs.

    Attributes:
        backbones: the names of its pretraining runs, in the order of their seeds.
        are_runs: whether its backbones are pretraining runs that stand for their objective.
        states_seed: whether it is known which pretraining run each is.
        weights: the same for backbones with the same weights, as in `Cell`.
        kind: what contestants of one architecture share, as in `KnownBackbone`.
    """

    name: str
    objective: str
    source: str
    backbones: tuple[str, ...]
    are_runs: bool
    states_seed: bool
    weights: str
    kind: str = ""

    @property
    def role(self) -> str:
        """`ssl`, `supervised`, `untrained` or `unknown`."""
        return role_of(self.objective)


@dataclass(frozen=True)
class Entry:
    """A contestant on one domain: its cells by pretraining run and seed."""

    contestant: Contestant
    runs: tuple[Mapping[int, Cell], ...]

    @property
    def cells(self) -> list[Cell]:
        return [cell for run in self.runs for cell in run.values()]


def find_contestants(cells: Sequence[Cell]) -> list[Contestant]:
    """Return the contestants among the backbones of these cells, in order of first appearance."""
    backbones = list({cell.backbone: cell for cell in cells}.values())
    known = known_backbones(cells)
    kinds = grouped(backbones, [(cell.objective, cell.source) for cell in backbones])
    repeated = {kind: runs for kind, runs in kinds.items() if kind[0] != UNTRAINED and _are_runs(runs, known)}
    seeds = {frozenset(run.pretraining_seed for run in runs) for runs in repeated.values()}
    several_sources = len({source for _, source in repeated}) > 1
    found = []
    for (objective, source), runs in kinds.items():
        if (objective, source) in repeated and len(seeds) == 1:
            runs = sorted(runs, key=lambda run: run.pretraining_seed or 0)
            kind = known[runs[0].backbone].kind
            name = f"{objective} ({source})" if several_sources else objective
            found.append(
                Contestant(name, objective, source, tuple(run.backbone for run in runs), True, True, name, kind)
            )
        else:
            found += [
                Contestant(
                    *(run.backbone, objective, source, (run.backbone,)),
                    are_runs=False,
                    states_seed=run.pretraining_seed is not None,
                    weights=run.weights,
                    kind=known[run.backbone].kind,
                )
                for run in runs
            ]
    return found


def _are_runs(backbones: Sequence[Cell], known: Mapping[str, KnownBackbone]) -> bool:
    """Whether backbones of one objective and source are its pretraining runs: all state a seed, no two the same, and
    all are of one size and, as far as is known, of one architecture."""
    first = known[backbones[0].backbone]
    if any(same_architecture(first, known[each.backbone]) is False for each in backbones):
        return False
    seeds = [backbone.pretraining_seed for backbone in backbones]
    are_seeds = len(seeds) > 1 and None not in seeds and len(set(seeds)) == len(seeds)
    return are_seeds and same_size([backbone.provenance.get("parameters") for backbone in backbones])


def entries_of(contestants: Sequence[Contestant], cells: Sequence[Cell]) -> list[Entry]:
    """Return the contestants of which every pretraining run has a cell; all cells are of one domain and setting."""
    by_backbone: dict[str, dict[int, Cell]] = {}
    for cell in cells:
        by_backbone.setdefault(cell.backbone, {})[cell.seed] = cell
    return [
        Entry(contestant, tuple(by_backbone[name] for name in contestant.backbones))
        for contestant in contestants
        if all(name in by_backbone for name in contestant.backbones)
    ]


def headline_accuracy(entries: Sequence[Entry]) -> Metric | None:
    """Return the accuracy by which their domain is judged, or plain accuracy if not all have it; None if none is."""
    cells = [cell for entry in entries for cell in entry.cells]
    for name in (cells[0].headline_metric, "accuracy"):
        if all(cell.number(name) is not None for cell in cells) and isinstance(METRICS[name].compared, Compared):
            return METRICS[name]
    return None


@dataclass(frozen=True, eq=False)
class AlignedRecords:
    """The records of several contestants, by cell."""

    of_cells: Mapping[int, RecordColumns]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> "AlignedRecords":
        return cls({id(cell): cell.columns() for entry in entries for cell in entry.cells})

    def pairs(self, first: Entry, second: Entry) -> tuple[Replicates, CellPairs]:
        """Return the records of two contestants by pretraining run and seed: those of untransformed images, and all.

        The former are of the images that all these cells share. A contestant of a single run meets all runs of the
        other. There is no run if they share no seed or no image.
        """
        count = max(len(first.runs), len(second.runs))
        sides = [entry.runs if len(entry.runs) == count else entry.runs * count for entry in (first, second)]
        runs = [
            [(self.of_cells[id(a[seed])], self.of_cells[id(b[seed])]) for seed in a if seed in b]
            for a, b in zip(*sides, strict=True)
        ]
        pairs = CellPairs([distinct(run) for run in runs if run])
        if not pairs.runs:
            return Replicates([]), pairs
        rows = pairs.of(CLEAN).aligned(())
        return (rows, pairs) if rows.num_images else (Replicates([]), CellPairs([]))
