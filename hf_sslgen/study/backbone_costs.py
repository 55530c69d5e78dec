"""What the backbones of a study cost on the machine that measured them: stored beside its facts, never in its cells.

A file may be deleted: it only has to be measured again.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.forward_cost_values import ForwardCost
from hf_sslgen.files import write_json
from hf_sslgen.study.cells.cell_folder import Cell

FACTS, PREFIX = "facts", "cost-"


@dataclass(frozen=True)
class BackboneCost:
    """The cost of a backbone with pictures of one size.

    Attributes:
        weights: their identity, as in a cell's.
        image_size: side in pixels.
        device: as in a cell's provenance.
        file_bytes: size of the files its weights are loaded from; 0 for untrained ones.
        measured: time of the measurement, UTC.
    """

    weights: str
    image_size: int
    device: str
    file_bytes: int
    measured: str
    forward: ForwardCost

    @property
    def place(self) -> tuple[str, int]:
        """Where it was measured; times elsewhere are not comparable."""
        return self.device, self.forward.threads


def cost_path(study: Path, weights: str, image_size: int, batch_size: int, place: tuple[str, int]) -> Path:
    """Return the file of a cost that is measured with batches of at most `batch_size`."""
    text = json.dumps([weights, image_size, batch_size, *place])
    return study / FACTS / f"{PREFIX}{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


def write_cost(path: Path, cost: BackboneCost) -> None:
    """Write a cost completely or not at all."""
    write_json(path, dataclasses.asdict(cost))


def read_cost(path: Path) -> BackboneCost | None:
    """Read a cost; None if there is none, or its file is damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        forward = ForwardCost(**_typed(ForwardCost, content["forward"]))
        return BackboneCost(**{**_typed(BackboneCost, content), "forward": forward})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _typed(kind: type, content: dict[str, Any]) -> dict[str, Any]:
    """Return values of a dataclass if their types are right; raises TypeError otherwise."""
    types = {"str": str, "int": int, "float": int | float, "ForwardCost": dict}
    for field in dataclasses.fields(kind):
        name = field.type if isinstance(field.type, str) else field.type.__name__
        if not isinstance(content[field.name], types[name]):
            raise TypeError(field.name)
    return content


def read_costs(study: Path) -> list[BackboneCost]:
    """Return every cost that was measured in a study's folder."""
    found = [read_cost(path) for path in sorted((study / FACTS).glob(f"{PREFIX}*.json"))]
    return [cost for cost in found if cost is not None]


def costs_of(cells: Iterable[Cell], costs: Sequence[BackboneCost]) -> dict[str, BackboneCost]:
    """Return the cost of each backbone by name, all measured at one place: the one that measured most of them."""
    shown = {cell.backbone: (str(cell.identity.get("weights")), _image_size(cell)) for cell in cells}
    by_place: dict[tuple[str, int], dict[str, BackboneCost]] = {}
    for cost in sorted(costs, key=lambda each: each.measured):
        found = {name: cost for name, key in shown.items() if key == (cost.weights, cost.image_size)}
        by_place.setdefault(cost.place, {}).update(found)
    return max(by_place.values(), key=len, default={})


def _image_size(cell: Cell) -> int | None:
    """The pretrained stage has the backbone's own geometry, and so has each protocol that keeps its resize."""
    preprocessing = cell.identity.get("preprocessing")
    geometry = preprocessing.get("geometry") if isinstance(preprocessing, Mapping) else None
    size = geometry.get("image_size") if isinstance(geometry, Mapping) else None
    return size if isinstance(size, int) else None
