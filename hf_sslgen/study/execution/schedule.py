"""The order in which a worker takes cells: what shares a pass over images in one go, and the longest first.

No number depends on it: which cell stands for seeds that would repeat it is decided by the plan's own order.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.errors import HubError, InputError
from hf_sslgen.study.estimate import Sizes, image_passes, pass_of, registered_sizes
from hf_sslgen.study.execution.workbench import Unavailable, taken_from
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.protocols.presets import FineTuningProtocol
from hf_sslgen.zoo.locations import registered

USUAL_SIZES = Sizes(train=4000, validation=1000, test=1000)
"""Of a domain whose sizes are not known yet."""

USUAL_PARAMETERS = 25_000_000


@dataclass(frozen=True)
class Unit:
    """Cells that a worker takes one after the other.

    Attributes:
        passes: images sent through the trunk, times its parameters: a measure of time for putting units in order.
    """

    cells: tuple[CellSpec, ...]
    passes: float

    @property
    def trains_networks(self) -> bool:
        return isinstance(self.cells[0].protocol, FineTuningProtocol)


def ordered_units(specs: Sequence[CellSpec], sizes: Callable[[CellSpec], Sizes | None]) -> list[Unit]:
    """Group cells that share a pass: all frozen protocols, label budgets and seeds of a backbone on a domain with one
    geometry. A cell that fine-tunes is a unit of its own, and these come first.

    Args:
        sizes: returns the sizes of a cell's splits, if they are known.
    """
    groups: dict[Hashable, list[CellSpec]] = {}
    for spec in specs:
        groups.setdefault(pass_of(spec), []).append(spec)
    units = [Unit(tuple(cells), _passes(cells, sizes)) for cells in groups.values()]
    return sorted(units, key=lambda unit: (not unit.trains_networks, -unit.passes))


def _passes(cells: Sequence[CellSpec], sizes: Callable[[CellSpec], Sizes | None]) -> float:
    known = registered(cells[0].backbone.location)
    parameters = known.parameters if known is not None and known.parameters is not None else USUAL_PARAMETERS
    found = sizes(cells[0]) or USUAL_SIZES
    return parameters * max(image_passes(spec, found) for spec in cells)


def known_sizes(spec: CellSpec, study: Path, unavailable: Unavailable) -> Sizes | None:
    """Return the sizes of a cell's splits as far as a process of the study or the registry knows them."""
    try:
        taken = taken_from(study, spec.domain, unavailable)
    except (InputError, HubError):  # which is told of the cell
        return None
    if taken is None:
        return registered_sizes(spec)
    images = {split.role: split.images or 0 for split in taken.splits}
    return Sizes(images["train"], images["validation"], images["test"])
