"""What backbones cost on the machine that measured them, in words and as rows of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.analysis.forward_cost_values import ALLOCATED
from hf_sslgen.reporting.table_rows import order_backbones
from hf_sslgen.reporting.vocabulary import MISSING, format_parameters
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.inference.known_backbones import KnownBackbone, known_backbones
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.zoo.backbone_registry import UNTRAINED

BUSY = 1.2
"""Processes per processor from which a machine counts as busy: the comparison itself has kept one of them busy."""


@dataclass(frozen=True)
class CostRow:
    """A trained backbone with its cost; texts are for display, and empty or a dash where nothing was measured."""

    name: str
    short_name: str
    known: KnownBackbone
    cost: BackboneCost | None
    parameters: str
    multiply_adds: str
    throughput: str
    throughput_range: str
    memory: str
    file_size: str


def cost_rows(results: StudyResults, names: Mapping[str, str]) -> list[CostRow]:
    """Return a row per trained backbone.

    Args:
        names: short names of backbones.
    """
    known = known_backbones(results.cells)
    ordered = [name for name in order_backbones(results.cells) if known[name].objective != UNTRAINED]
    return [_row(known[name], names.get(name, name), results.costs.get(name)) for name in ordered]


def _row(known: KnownBackbone, short_name: str, cost: BackboneCost | None) -> CostRow:
    parameters = format_parameters(known.parameters)
    if cost is None:
        return CostRow(known.name, short_name, known, None, parameters, MISSING, MISSING, "", MISSING, MISSING)
    forward = cost.forward
    return CostRow(
        known.name,
        short_name,
        known,
        cost,
        parameters,
        _digits(forward.multiply_adds / 1e9),
        _digits(forward.images_per_second),
        f"{_digits(forward.slowest)} to {_digits(forward.fastest)}",
        format_bytes(forward.peak_memory),
        format_bytes(cost.file_bytes) if cost.file_bytes else MISSING,
    )


def _digits(value: float) -> str:
    """Return a number with about three digits, which is more than a measured time is worth."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def format_bytes(size: float) -> str:
    """Return a size such as `94 MB`."""
    unit, divisor = ("GB", 1e9) if size >= 1e9 else ("MB", 1e6) if size >= 1e6 else ("kB", 1e3)
    return f"{_digits(size / divisor)} {unit}"


def machine_words(costs: Sequence[BackboneCost]) -> str:
    """Return where costs were measured, such as `cpu (x86_64), 2 threads`."""
    device, threads = costs[0].place
    return f"{device}, {threads} thread{'s' if threads > 1 else ''}"


def cost_notes(costs: Sequence[BackboneCost]) -> list[str]:
    """Say how costs were measured, and what to keep in mind about them."""
    if not costs:
        return []
    batches = sorted({cost.forward.batch_size for cost in costs})
    sizes = str(batches[0]) if len(batches) == 1 else f"{batches[0]} to {batches[-1]}"
    memory = costs[0].forward
    how = (
        "as torch allocated it"
        if memory.memory_method == ALLOCATED
        else "counted over the tensors alive at once, without the workspace of single operations"
    )
    busiest = max(cost.forward.load for cost in costs)
    notes = [
        f"Measured on {machine_words(costs)}, in float32, on batches of {sizes} "
        f"image{'s' if batches[-1] > 1 else ''}: the median of {min(c.forward.num_batches for c in costs)} or more, "
        "and below it the slowest and fastest.",
        "Times vary with whatever else the machine does, so only clear ratios mean something.",
        f"Memory is the most that a pass of {memory.memory_batch_size} images needs, {how}.",
    ]
    if busiest > BUSY:
        notes.append(f"The machine was busy: up to {busiest:.1f} processes wanted each processor.")
    return notes
