"""Select the content of a table or figure from cells: the rows of a domain and protocol, and each row's numbers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.metric import Part, Role
from hf_sslgen.metrics.catalogue.rows import measurement_metrics
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, PRETRAINED_STAGE
from hf_sslgen.reporting.attribution_words import shows_the_published_encoder
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, PRETRAINED_PROTOCOL, Cell
from hf_sslgen.zoo.backbone_registry import UNTRAINED

PUBLISHED_MAPS_GROUP = "Where the published encoder looks"
PUBLISHED_GROUP = "Published encoder (invariance: mean over transforms)"
TUNED_GROUP = "After fine-tuning (mean over transforms)"
PROTOCOL_ORDER = ("linear", "finetune")
ALONE_BELOW = 5
"""Up to this number, figures show every backbone; beyond it, only one pretraining run per objective."""

Setting = tuple[str, str]
"""A protocol and its label budget."""


@dataclass(frozen=True)
class Row:
    """A row of a domain's table: a cell, and the cell of the same backbone's published encoder if it exists."""

    cell: Cell
    pretrained: Cell | None
    label: str

    @property
    def provenance(self) -> dict[str, Any]:
        return self.cell.provenance

    @property
    def objective(self) -> str:
        return self.cell.objective

    def published(self, metric: str) -> Number | None:
        """Return the number for the published encoder's own maps, unless the row shows the same maps."""
        if self.pretrained is None or shows_the_published_encoder(self.cell):
            return None
        return self.pretrained.number(metric)

    def number(self, metric: str, transform: str = "", stage: str = "") -> Number | None:
        """Return the row's number; for the stage `pretrained`, look in the published encoder's cell first."""
        sources = [self.pretrained, self.cell] if stage == PRETRAINED_STAGE else [self.cell]
        for cell in sources:
            for number in cell.numbers if cell else ():
                if (number.metric, number.transform, number.severity) == (metric, transform, "") and (
                    not stage or number.stage == stage
                ):
                    return number
        return None


@dataclass(frozen=True)
class Column:
    """A column of measurements; `group` is the measurement it belongs to."""

    metric: str
    group: str
    transform: str = ""
    stage: str = ""

    def of(self, row: Row) -> Number | None:
        """Return the row's number in this column."""
        if self.group == PUBLISHED_MAPS_GROUP:
            return row.published(self.metric)
        return row.number(self.metric, self.transform, self.stage)


def shown_accuracy(cell: Cell) -> str:
    """Return the accuracy by which this cell's domain is judged, or plain accuracy if the protocol has no other."""
    return cell.headline_metric if cell.number(cell.headline_metric) is not None else "accuracy"


def order_backbones(cells: Iterable[Cell]) -> list[str]:
    """Sort backbone names: supervised, self-supervised, untrained controls, and by name within each."""
    rank = {"supervised": 0, UNTRAINED: 2}
    ranks = {cell.backbone: rank.get(cell.objective, 1) for cell in cells}
    return sorted(ranks, key=lambda name: (ranks[name], name))


def domains_of(cells: Iterable[Cell]) -> list[str]:
    """Sort domain names: similar to the source, different, unstated, and by name within each."""
    rank = {"similar": 0, "different": 1}
    ranks = {cell.domain: rank.get(cell.group, 2) for cell in cells}
    return sorted(ranks, key=lambda name: (ranks[name], name))


def settings_of(cells: Iterable[Cell], domain: str) -> list[Setting]:
    """Return the protocols and label budgets of a domain that get a table, from all labels to fewer; `pretrained` only
    if it is alone, because the other tables show its numbers."""
    found = {(cell.protocol, cell.labels) for cell in cells if cell.domain == domain}
    trained = {setting for setting in found if setting[0] != PRETRAINED_PROTOCOL}
    order = {name: index for index, name in enumerate(PROTOCOL_ORDER)}
    return sorted(
        trained or found,
        key=lambda s: (order.get(s[0], len(order)), s[0], s[1] != ALL_LABELS, -_leading_number(s[1]), s[1]),
    )


def _leading_number(labels: str) -> float:
    """Return 10 for `10%` and 5 for `5-shot`, to sort label budgets; 0 for other words."""
    found = re.match(r"\d+(\.\d+)?", labels)
    return float(found.group()) if found else 0.0


def rows_of(cells: Sequence[Cell], domain: str, setting: Setting) -> list[Row]:
    """Return the rows of a domain and setting by backbone and seed; labels name the seed if there are several."""
    order = {name: index for index, name in enumerate(order_backbones(cells))}
    here = [cell for cell in cells if cell.domain == domain]
    chosen = sorted(
        (cell for cell in here if (cell.protocol, cell.labels) == setting),
        key=lambda cell: (order[cell.backbone], cell.seed),
    )
    names = [cell.backbone for cell in chosen]
    rows = []
    for cell in chosen:
        published = [
            other for other in here if other.protocol == PRETRAINED_PROTOCOL and other.backbone == cell.backbone
        ]
        # The published encoder has no training seed; matching the seed only selects the same subset of images.
        published.sort(key=lambda other: (other.seed != cell.seed, other.seed))
        label = cell.backbone if names.count(cell.backbone) == 1 else f"{cell.backbone} (seed {cell.seed})"
        rows.append(Row(cell, published[0] if published else None, label))
    return rows


def shown_in_figures(cells: Sequence[Cell]) -> tuple[list[Cell], str]:
    """Return the cells a figure has room for, and a sentence about those left out.

    Of several seeds, the lowest is shown; of many backbones, one pretraining run per objective and source.
    """
    lowest: dict[str, int] = {}
    for cell in cells:
        lowest[cell.backbone] = min(cell.seed, lowest.get(cell.backbone, cell.seed))
    shown = [cell for cell in cells if cell.seed == lowest[cell.backbone]]
    left_out = ["fine-tuning seeds"] if len(shown) < len(cells) else []
    if len(lowest) >= ALONE_BELOW:
        runs: dict[tuple[str, str], int] = {}
        for cell in shown:
            if cell.pretraining_seed is not None:
                kind = (cell.objective, cell.source)
                runs[kind] = min(cell.pretraining_seed, runs.get(kind, cell.pretraining_seed))
        first_runs = [
            c for c in shown if c.pretraining_seed is None or c.pretraining_seed == runs[c.objective, c.source]
        ]
        left_out += ["pretraining seeds"] if len(first_runs) < len(shown) else []
        shown = first_runs
    return shown, f"Of several {' and '.join(left_out)}, only the lowest is drawn." if left_out else ""


def columns_for(rows: Sequence[Row]) -> list[Column]:
    """Return the columns of a table of these rows: the four measurements, and the guards of the representation."""
    accuracy = shown_accuracy(rows[0].cell) if rows else "accuracy"
    metrics = measurement_metrics()
    of_cells = [metric for metric in metrics if metric.part is not Part.INVARIANCE]
    of_encoders = [metric for metric in metrics if metric.part is Part.INVARIANCE]
    of_maps = [metric for metric in of_cells if metric.part in (Part.CONCENTRATION, Part.LOCALIZATION)]
    columns = [
        Column(accuracy, Part.ACCURACY.value),
        *(Column(metric.name, metric.part.value) for metric in of_cells),
        *(Column(metric.name, PUBLISHED_MAPS_GROUP) for metric in of_maps if metric.role is Role.TESTED),
        *(Column(metric.name, PUBLISHED_GROUP, metric.transform, PRETRAINED_STAGE) for metric in of_encoders),
        *(Column(m.name, TUNED_GROUP, m.transform, FINE_TUNED_STAGE) for m in of_encoders if m.transform),
    ]
    # A number that no row has gets no column; one that is undefined (NaN) keeps its column of dashes.
    return [column for column in columns if any(column.of(row) is not None for row in rows)]


def collapsed_rows(rows: Iterable[Row]) -> list[tuple[Row, Number]]:
    """Return the rows whose published encoder has collapsed, with the effective rank that shows it."""
    found = []
    for row in rows:
        collapsed = row.number("collapsed", stage=PRETRAINED_STAGE)
        rank = row.number("covariance_effective_rank", stage=PRETRAINED_STAGE)
        if rank is not None and collapsed is not None and collapsed.value == 1:
            found.append((row, rank))
    return found
