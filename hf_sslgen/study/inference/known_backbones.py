"""What the cells of a study know of their backbones besides the objective, by which two may differ as well."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.registry_facts import registry_facts
from hf_sslgen.zoo.backbone_registry import UNTRAINED
from hf_sslgen.zoo.locations import registered


@dataclass(frozen=True)
class KnownBackbone:
    """A backbone as described by its cells; what they do not say is None or empty.

    Attributes:
        library: the library that loads it.
        trunk, layers: as in `hf_sslgen.zoo.network_description.NetworkDescription`; cells of earlier versions do not
            have them.
        image_size: side of the pictures it is given, in pixels.
        twin_set, exact_twin, reason, verified, epochs, batch_size, augmentation: as in the registry's row.
    """

    name: str
    objective: str
    source: str = ""
    pretraining_seed: int | None = None
    library: str | None = None
    architecture: str | None = None
    parameters: int | None = None
    trunk: str | None = None
    layers: str | None = None
    num_features: int | None = None
    image_size: int | None = None
    is_registered: bool = False
    twin_set: str | None = None
    exact_twin: bool = False
    reason: str | None = None
    verified: bool = False
    epochs: int | None = None
    batch_size: int | None = None
    augmentation: str | None = None

    @property
    def kind(self) -> str:
        """What backbones of one architecture share, as far as is known; empty if nothing is."""
        if self.trunk is not None:
            return self.trunk
        if self.twin_set is not None and self.exact_twin:
            return self.twin_set
        return "" if self.parameters is None else str(self.parameters)


def known_backbones(cells: Iterable[Cell]) -> dict[str, KnownBackbone]:
    """Return each backbone of a study by name; where one cell does not state a fact, another may."""
    found: dict[str, KnownBackbone] = {}
    for cell in cells:
        known = _known(cell)
        before = found.setdefault(cell.backbone, known)
        if before != known:
            missing = {
                each.name: vars(known)[each.name]
                for each in fields(KnownBackbone)
                if vars(before)[each.name] in (None, "", False)
            }
            found[cell.backbone] = replace(before, **missing)
    return found


def trained_backbones(cells: Iterable[Cell]) -> list[KnownBackbone]:
    """Return the backbones of a study but its untrained controls."""
    return [each for each in known_backbones(cells).values() if each.objective != UNTRAINED]


def _known(cell: Cell) -> KnownBackbone:
    network = _mapping(cell.provenance.get("network"))
    row = _mapping(cell.provenance.get("registered"))
    recipe = cell.provenance.get("pretraining_epochs"), cell.provenance.get("augmentation")
    if "registered" not in cell.provenance and (known := registered(cell.backbone)) is not None:
        # a cell of an earlier version, under the registry's own name
        row, recipe = registry_facts(known), (known.epochs, known.augmentation)
    geometry = _mapping(_mapping(cell.identity.get("preprocessing")).get("geometry"))
    return KnownBackbone(
        name=cell.backbone,
        objective=cell.objective,
        source=cell.source,
        pretraining_seed=cell.pretraining_seed,
        library=_text(row.get("library")) or _text(network.get("library")),
        architecture=_text(row.get("architecture")) or _text(network.get("architecture")),
        parameters=_count(cell.provenance.get("parameters")),
        trunk=_text(network.get("trunk")),
        layers=_text(network.get("layers")),
        num_features=_count(network.get("num_features")),
        image_size=_count(geometry.get("image_size")),
        is_registered=bool(row),
        twin_set=_text(row.get("twin_set")),
        exact_twin=row.get("exact_twin") is True,
        reason=_text(row.get("reason")),
        verified=row.get("verified") is True,
        epochs=_count(recipe[0]),
        batch_size=_count(row.get("batch_size")),
        augmentation=_text(recipe[1]),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    """A cell from elsewhere may hold anything here."""
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
