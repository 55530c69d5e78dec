"""What a backbone costs and how well calibrated it is, beside its accuracy, and which are dominated by no other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_sslgen.metrics.rank_statistics import pareto_front
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.cells.cell_folder import Cell


@dataclass(frozen=True)
class Tradeoffs:
    """Mean Brier score, parameters of the trunk, mean seconds of a cell, and mean cost of a forward pass: images per
    second, and bytes of memory at most. NaN where they are not stored."""

    brier_score: float
    parameters: float
    seconds: float
    images_per_second: float = math.nan
    peak_memory: float = math.nan

    @classmethod
    def of(cls, cells: Sequence[Cell], costs: Mapping[str, BackboneCost] | None = None) -> "Tradeoffs":
        """Return what the cells of one contestant say.

        Args:
            costs: of backbones by name, all measured at one place.
        """
        names = dict.fromkeys(cell.backbone for cell in cells)
        passes = [costs[name].forward for name in names if name in costs] if costs else []
        is_measured = len(passes) == len(names)
        brier_scores = [number.value for cell in cells if (number := cell.number("brier_score")) is not None]
        parameters = [cell.provenance["parameters"] for cell in cells if cell.provenance.get("parameters")]
        return cls(
            float(np.mean(brier_scores)) if len(brier_scores) == len(cells) else math.nan,
            float(np.mean(parameters)) if len(parameters) == len(cells) else math.nan,
            float(np.mean([cell.provenance["seconds"] for cell in cells])),
            float(np.mean([each.images_per_second for each in passes])) if is_measured else math.nan,
            float(np.mean([each.peak_memory for each in passes])) if is_measured else math.nan,
        )


@dataclass(frozen=True)
class Front:
    """Which contestants no other dominates, and by which criteria.

    Attributes:
        is_on: of each contestant.
        criteria: those that all contestants have.
        left_out: those that cells do not hold, or not all of them, or that were measured on different machines.
    """

    is_on: tuple[bool, ...]
    criteria: tuple[str, ...]
    left_out: tuple[str, ...]


def front_of(accuracies: Sequence[float], tradeoffs: Sequence[Tradeoffs], cells: Sequence[Cell]) -> Front:
    """Return the Pareto front of contestants by the values as measured, without regard to their intervals.

    Args:
        accuracies, tradeoffs: of each contestant.
        cells: of all of them. Seconds count only if all cells were computed on one kind of device.
    """
    places = {(cell.provenance.get("device"), cell.provenance.get("threads")) for cell in cells}
    seconds = [each.seconds for each in tradeoffs] if len(places) == 1 else [math.nan] * len(tradeoffs)
    columns = {
        "accuracy": np.array(accuracies),
        "Brier score": -np.array([each.brier_score for each in tradeoffs]),
        "parameters": -np.array([each.parameters for each in tradeoffs]),
        "seconds per cell": -np.array(seconds),
        "throughput": np.array([each.images_per_second for each in tradeoffs]),
        "memory": -np.array([each.peak_memory for each in tradeoffs]),
    }
    usable = {name: column for name, column in columns.items() if not np.isnan(column).any()}
    is_on = pareto_front(np.stack(list(usable.values()), axis=1)) if usable else np.ones(len(tradeoffs), dtype=bool)
    left_out = tuple(name for name in columns if name not in usable)
    return Front(tuple(bool(each) for each in is_on), tuple(usable), left_out)
