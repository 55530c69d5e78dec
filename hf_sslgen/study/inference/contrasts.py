"""The choice of cells to compare with each other.

A self-supervised backbone is compared with its supervised twins. One that has none, because no supervised backbone of
the study has its source, is compared with all supervised ones; such differences are marked as confounded
(`hf_sslgen.study.inference.confounds`), and so are those of unequal architectures.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.repeated_runs import run_of
from hf_sslgen.study.inference.confounds import confounds
from hf_sslgen.study.inference.differences import Difference, compare_cells
from hf_sslgen.study.inference.known_backbones import KnownBackbone, known_backbones
from hf_sslgen.zoo.backbone_registry import UNTRAINED

PairNames = Collection[tuple[str, str]]
CellKey = tuple[str, str, str, str, int]


def cell_key(cell: Cell) -> CellKey:
    """Return backbone, domain, protocol, labels and seed, which identify a cell within one study."""
    return cell.backbone, cell.domain, cell.protocol, cell.labels, cell.seed


def compare_all(cells: Sequence[Cell], pairs: PairNames | None = None) -> list[Difference]:
    """Compare every self-supervised backbone with its supervised twins, and each of them with the untrained control.

    Only cells with the same domain, protocol, label budget and seed are compared, and two runs only once, whatever the
    number of seeds under which they are found.

    Args:
        cells: cells of one study.
        pairs: (self-supervised, supervised) names of the backbones to compare. If None, every self-supervised
            backbone is paired with every supervised one with the same source and pretraining seed; if one of the two
            does not state its source or seed, they can still be a pair. One without any such source is paired with
            every supervised one of the same pretraining seed. Backbones with an unknown objective are left out.

    Raises:
        InputError: two cells have the same backbone, domain, protocol, labels and seed.
    """
    _require_unique(cells)
    paired = None if pairs is None else frozenset(pairs)
    named = frozenset(name for pair in paired or () for name in pair)
    settings: dict[tuple[str, str, str, int], list[Cell]] = {}
    for cell in cells:
        settings.setdefault(cell_key(cell)[1:], []).append(cell)
    differences = []
    run = {cell_key(cell): run_of(cell) for cell in cells}
    known = known_backbones(cells)
    without_source = _without_source(list(known.values()))
    compared: set[tuple[str, str]] = set()
    for first in cells:
        for second in settings[cell_key(first)[1:]]:
            if second.objective == UNTRAINED:
                wanted = (
                    first.backbone in named
                    if paired is not None
                    else role_of(first.objective) in ("ssl", "supervised")
                )
            elif paired is not None:
                wanted = (first.backbone, second.backbone) in paired
            else:
                wanted = are_twins(first, second) or (
                    first.backbone in without_source and are_of_one_seed(first, second)
                )
            runs = run[cell_key(first)], run[cell_key(second)]
            if wanted and first.objective != UNTRAINED and runs not in compared:
                compared.add(runs)
                differing = confounds(known[first.backbone], known[second.backbone]).columns
                differences += compare_cells(first, second, differing)
    return differences


def _without_source(backbones: Sequence[KnownBackbone]) -> frozenset[str]:
    """Name the self-supervised backbones whose source is that of no supervised one."""
    sources = [each.source for each in backbones if role_of(each.objective) == "supervised"]
    return frozenset(
        each.name
        for each in backbones
        if role_of(each.objective) == "ssl" and each.source and all(s and s != each.source for s in sources)
    )


class Pretrained(Protocol):
    """What decides whether two backbones are twins; `source` is empty or None where it is not stated."""

    @property
    def objective(self) -> str: ...
    @property
    def source(self) -> str | None: ...
    @property
    def pretraining_seed(self) -> int | None: ...


def are_twins(first: Pretrained, second: Pretrained) -> bool:
    """Return whether `first` is self-supervised and `second` supervised, with the same source and pretraining seed as
    far as both state them. Whether they have the same architecture is known only once they are loaded."""
    if first.source and second.source and first.source != second.source:
        return False
    return are_of_one_seed(first, second)


def are_of_one_seed(first: Pretrained, second: Pretrained) -> bool:
    """Return whether `first` is self-supervised, `second` supervised, and no two pretraining seeds are stated."""
    seeds = {first.pretraining_seed, second.pretraining_seed} - {None}
    return (role_of(first.objective), role_of(second.objective)) == ("ssl", "supervised") and len(seeds) < 2


def role_of(objective: str) -> str:
    """Return `ssl` for any self-supervised objective, and the objective itself otherwise."""
    return objective if objective in ("supervised", UNTRAINED, "unknown") else "ssl"


def _require_unique(cells: Sequence[Cell]) -> None:
    found: dict[CellKey, Cell] = {}
    for cell in cells:
        other = found.setdefault(cell_key(cell), cell)
        if other is not cell:
            raise InputError(
                f"two cells have {cell.backbone} on {cell.domain} ({cell.protocol}, {cell.labels} of the labels, "
                f"seed {cell.seed}): {other.folder.name} and {cell.folder.name}; compare cells of one study, and give "
                "variants of a protocol different names"
            )
