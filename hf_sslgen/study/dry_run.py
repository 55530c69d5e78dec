"""What a study will take, printed before anything is computed: cells, time, disk space and downloads.

Nothing is downloaded or written, and no network is needed.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hf_sslgen.study.cells.cell_folder import stored_folders
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.estimate import Estimate, estimate_cell
from hf_sslgen.study.finished_cells import readable_cells
from hf_sslgen.study.network_cost import NetworkCost, network_cost
from hf_sslgen.study.pace import duration_words
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.planned_downloads import byte_words, download_lines

COLUMNS = ("domain", "protocol", "labels", "cells", "to do", "time", "GPU time", "disk")
LEAST_WIDTHS = (12, 12, 6, 5, 5, 7, 8, 7)


@dataclass(frozen=True)
class ReferenceGPU:
    """A GPU whose time a study is estimated in.

    Attributes:
        sustained: floating-point operations per second over a whole study, pictures decoded and all.
        seconds_per_cell: for what is not the network's: loading, probes, intervals and files.
        uncertainty: the time is between the estimate divided and multiplied by this.
    """

    name: str
    sustained: float
    seconds_per_cell: float
    uncertainty: float

    def seconds(self, estimate: Estimate) -> float | None:
        """Return the time of a cell; None if its operations are unknown."""
        return None if estimate.flops is None else estimate.flops / self.sustained + self.seconds_per_cell


REFERENCE: Final = ReferenceGPU("NVIDIA A100", sustained=10e12, seconds_per_cell=10.0, uncertainty=2.0)
"""In float32 (TF32 convolutions) ResNet-50 trains there at about 800 images/s, or 20 TFLOP/s, where reading pictures
costs nothing. Decoding, small batches and evaluation are taken to leave half of that."""


@dataclass(frozen=True)
class _Row:
    """The cells of one domain, protocol and label budget; None for a cell that needs no computing."""

    domain: str
    protocol: str
    labels: str
    estimates: list[Estimate | None]


def dry_run_text(specs: Sequence[CellSpec], store: Store, repeated: Collection[CellSpec] = ()) -> str:
    """Return a table of the cells by domain and protocol with their time and disk space, then the downloads.

    Args:
        repeated: cells that will share another's result, so they need no computing.
    """
    finished, _ = readable_cells(stored_folders(store.cells))
    left = [spec for spec in specs if spec not in repeated and not store.is_finished(spec)]
    costs = _costs(left)
    stored: dict[Hashable, int] = {}
    estimates: dict[CellSpec, Estimate] = {}
    for spec in left:
        estimates[spec] = estimate_cell(spec, finished, costs[spec.backbone.location], stored)
    rows: dict[tuple[str, str, str], _Row] = {}
    for spec in specs:
        key = (spec.domain_name, spec.protocol_name, spec.labels)
        rows.setdefault(key, _Row(*key, [])).estimates.append(estimates.get(spec))
    every = _Row("all", "", "", [each for row in rows.values() for each in row.estimates])
    table = [COLUMNS, *map(_cells, [*rows.values(), every])]
    widths = [max(least, *(len(row[column]) for row in table)) for column, least in enumerate(LEAST_WIDTHS)]
    lines = [
        "  ".join(f"{text:{'<' if column < 2 else '>'}{widths[column]}}" for column, text in enumerate(row))
        for row in table
    ]
    return "\n".join([*lines, "", *_notes(every.estimates, costs), "", *download_lines(left)])


def _costs(specs: Sequence[CellSpec]) -> dict[str, NetworkCost]:
    """Return the cost of each backbone by location."""
    first = {spec.backbone.location: spec for spec in reversed(specs)}
    return {
        location: network_cost(location, spec.seed, spec.geometry, spec.analysis.batch_size)
        for location, spec in first.items()
    }


def _cells(row: _Row) -> tuple[str, ...]:
    left = [each for each in row.estimates if each is not None]
    return (
        row.domain,
        row.protocol,
        row.labels,
        str(len(row.estimates)),
        str(len(left)),
        _sum_words([each.seconds for each in left]),
        _sum_words([REFERENCE.seconds(each) for each in left]),
        byte_words(sum(each.kept_bytes for each in left)),
    )


def _sum_words(seconds: Sequence[float | None]) -> str:
    known = [each for each in seconds if each is not None]
    if seconds and not known:
        return "?"
    return f"{'>' if len(known) < len(seconds) else ''}{duration_words(sum(known))}"


def _notes(every: Sequence[Estimate | None], costs: Mapping[str, NetworkCost]) -> list[str]:
    left = [each for each in every if each is not None]
    scratch = max((each.scratch_bytes for each in left), default=0)
    lines = [f"Each worker needs up to {byte_words(scratch)} more while it fine-tunes a cell."]
    if any(each.seconds is None for each in left):
        lines.append("`?`: the size of the domain is not known until it is loaded.")
    lines.append("Times are for one worker, from finished cells if there are any, otherwise from counting images.")
    hours = sum(REFERENCE.seconds(each) or 0 for each in left) / 3600
    low, high = hours / REFERENCE.uncertainty, hours * REFERENCE.uncertainty
    lines.append(
        f"GPU time is an estimate for one {REFERENCE.name}, taken to sustain {REFERENCE.sustained / 1e12:g} TFLOP/s "
        f"in float32 with pictures decoded and all, and {REFERENCE.seconds_per_cell:g} s a cell for the rest: "
        f"{_hours(hours)} GPU hours, probably between {_hours(low)} and {_hours(high)}."
    )
    return [*lines, *_bases(costs)]


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _bases(costs: Mapping[str, NetworkCost]) -> list[str]:
    """Return sentences on the backbones that are not on this machine, and how their cost was found."""
    lines = []
    built = [location for location, cost in costs.items() if cost.basis == "random weights"]
    if built:
        lines.append(f"{_named(built)}: not on this machine; timed with random weights in the same architecture.")
    counted = [location for location, cost in costs.items() if cost.basis == "parameters"]
    if counted:
        lines.append(f"{_named(counted)}: not on this machine; estimated from the number of parameters.")
    unknown = [location for location, cost in costs.items() if cost.basis == "unknown"]
    if unknown:
        lines.append(f"`?` {_named(unknown)}: neither on this machine nor registered, so its time is not known.")
    return lines


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]} and {len(names) - 1} other backbones"
