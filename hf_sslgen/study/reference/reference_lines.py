"""Published results beside a study's own: value, interval and difference, and every known difference of protocol.

A published number is compared with the mean over seeds of one backbone on one domain under one protocol of the same
kind, with the same label budget. Whether they agree is said only if no difference of protocol is known.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.backbone_averages import Averaged, average_over_runs
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.reference.protocol_differences import adaptation_of, protocol_differences
from hf_sslgen.study.reference.published_values import PublishedValue, ReferenceTable
from hf_sslgen.zoo.backbone_registry import UNTRAINED
from hf_sslgen.zoo.locations import registered


@dataclass(frozen=True)
class ReferenceLine:
    """A published result and the study's own.

    Attributes:
        ours: mean over seeds, with its interval over these images; None if this number was not measured.
        inverse_regularisations: the C that was selected for each seed.
        differences: of protocol, in words.
    """

    published: PublishedValue
    backbone: str
    domain: str
    protocol: str
    ours: Averaged | None
    inverse_regularisations: tuple[float, ...]
    differences: tuple[str, ...]

    @property
    def difference(self) -> float:
        """Our value minus the published one; NaN if one of them is missing."""
        if self.ours is None or self.published.value is None:
            return math.nan
        return self.ours.value - self.published.value

    @property
    def agrees(self) -> bool | None:
        """Whether the published value lies in our interval; None unless both are known and the protocols are alike."""
        if self.differences or self.ours is None or self.published.value is None or math.isnan(self.ours.low):
            return None
        return self.ours.low <= self.published.value <= self.ours.high


@dataclass(frozen=True)
class ReferenceComparison:
    """The results of one table that a study has a counterpart of; `num_published` is the number of all its results."""

    table: ReferenceTable
    lines: tuple[ReferenceLine, ...]

    @property
    def num_published(self) -> int:
        return len(self.table.values)


def compare_with_tables(cells: Sequence[Cell], tables: Iterable[ReferenceTable]) -> tuple[ReferenceComparison, ...]:
    """Return what each table says of these cells, in the order of the tables and their rows."""
    trained = [cell for cell in cells if cell.objective != UNTRAINED]
    settings = grouped(trained, [(weights_of(c), c.domain, c.backbone, c.protocol, c.labels) for c in trained])
    return tuple(ReferenceComparison(table, tuple(_lines(table, settings))) for table in tables)


def weights_of(cell: Cell) -> str | None:
    """Return the row of the zoo with the cell's weights, the same for copies in another library; None if it has none.

    Earlier cells do not record it, so that the name of their backbone decides.
    """
    if "weights" in cell.provenance:
        recorded = cell.provenance["weights"]
        return None if recorded is None else str(recorded)
    row = registered(cell.backbone)
    return None if row is None else row.same_weights_as or row.id


def _lines(
    table: ReferenceTable, settings: Mapping[tuple[str | None, str, str, str, str], list[Cell]]
) -> Iterable[ReferenceLine]:
    for published in table.values:
        row = registered(published.backbone)
        weights = published.backbone if row is None else row.same_weights_as or row.id
        for (own, domain, backbone, protocol, labels), cells in settings.items():
            if (own, domain, labels) == (weights, published.domain, table.labels) and all(
                adaptation_of(cell) == table.adaptation for cell in cells
            ):
                numbers = [number for cell in cells if (number := cell.number(published.metric)) is not None]
                yield ReferenceLine(
                    published,
                    backbone,
                    domain,
                    protocol,
                    average_over_runs([numbers]),
                    tuple(c for cell in cells if (c := _selected(cell)) is not None),
                    protocol_differences(table, published, cells),
                )


def _selected(cell: Cell) -> float | None:
    """Return the regularisation that was selected, if the cell records one."""
    chosen = (cell.provenance.get("selection") or {}).get("chosen") or {}
    value = chosen.get("inverse_regularisation")
    return float(value) if value is not None else None
