"""The cells that a folder's last comparison asked for, so that `status` and `report` show these and no others.

A study's folder has its configuration instead.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hf_sslgen.files import write_json
from hf_sslgen.study.cells.store import Store, read_mapping
from hf_sslgen.study.plan import CellSpec

COMPARISON_FILE = "comparison.json"


@dataclass(frozen=True)
class PlannedCell:
    """A cell of a comparison; `group`, `objective` and `source` are empty where nothing is stated."""

    key: str
    title: str
    domain_name: str
    group: str
    objective: str = ""
    source: str = ""

    @property
    def stated(self) -> dict[str, str]:
        """What is stated of domain and backbone, by the keys of a cell's provenance."""
        said = {"group": self.group, "objective": self.objective, "source": self.source}
        return {key: value for key, value in said.items() if value}


@dataclass(frozen=True)
class Comparison:
    """What a comparison asked for; `title` is its page's.

    `left_out` are sentences on backbones of its twin set that were not converted yet.
    """

    title: str
    cells: tuple[PlannedCell, ...]
    left_out: tuple[str, ...] = ()


def write_comparison(store: Store, title: str, specs: Iterable[CellSpec], left_out: Iterable[str] = ()) -> None:
    """Record a comparison in its folder, in place of an earlier one."""
    cells = [
        PlannedCell(
            *(spec.key, spec.title, spec.domain_name, spec.domain.group or ""),
            objective="" if spec.backbone.objective == "unknown" else spec.backbone.objective,
            source=spec.backbone.source or "",
        )
        for spec in specs
    ]
    write_json(store.folder / COMPARISON_FILE, asdict(Comparison(title, tuple(cells), tuple(left_out))))


def read_comparison(folder: Path) -> Comparison | None:
    """Read what a folder's last comparison asked for; None if there is none, or its record is damaged."""
    content = read_mapping(folder / COMPARISON_FILE)
    try:
        cells = tuple(PlannedCell(**{name: str(value) for name, value in each.items()}) for each in content["cells"])
        left_out = tuple(str(sentence) for sentence in content.get("left_out", ()))
        return Comparison(str(content["title"]), cells, left_out)
    except (KeyError, TypeError, AttributeError):
        return None


def not_asked_for(folder: Path, specs: Sequence[CellSpec]) -> int:
    """Return how many cells of a folder's last comparison are not among those asked for now."""
    before = read_comparison(folder)
    asked = {spec.key for spec in specs}
    return 0 if before is None else sum(cell.key not in asked for cell in before.cells)
