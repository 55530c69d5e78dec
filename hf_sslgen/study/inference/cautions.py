"""What makes the results of a study less trustworthy than their intervals suggest.

Everything is derived from stored numbers, records and provenance:

- a network that is not shown to be more accurate than its untrained control: its features may carry nothing;
- fine-tuning that is less accurate than the linear probe of the same backbone: the network was trained badly, so its
  numbers say little about the backbone;
- a linear fit that stopped before it converged;
- a learning rate or regularisation selected at an end of its grid: the best value may lie beyond. Other
  hyper-parameters are left out: for them an end, such as no weight decay, is a value like any other.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.differences import Difference, compare_averaged
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped
from hf_sslgen.zoo.backbone_registry import UNTRAINED

LEARNING_RATE, INVERSE_REGULARISATION = "learning_rate", "inverse_regularisation"
Setting = tuple[str, str, str, str]
"""Backbone, domain, protocol and label budget."""


class CautionKind(StrEnum):
    """The kinds, the gravest first."""

    NOT_ABOVE_UNTRAINED = "not_above_untrained"
    BELOW_LINEAR_PROBE = "below_linear_probe"
    NOT_CONVERGED = "not_converged"
    GRID_END = "grid_end"


@dataclass(frozen=True)
class Caution:
    """A reason for caution about one backbone on one domain under one protocol and label budget.

    Attributes:
        backbone: or an objective, for differences averaged over pretraining seeds.
        seeds: the seeds concerned, of the `num_seeds` that were looked at.
        against: the untrained control, or the protocol of the linear probe.
        hyper_parameter: the one that was selected at an end of its grid.
        value, low, high: difference in accuracy from `against`, with its 95% interval over these images; otherwise
            NaN.
    """

    kind: CautionKind
    backbone: str
    domain: str
    protocol: str
    labels: str
    seeds: tuple[int, ...]
    num_seeds: int
    against: str = ""
    hyper_parameter: str = ""
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


def find_cautions(cells: Sequence[Cell], accuracies: Sequence[TargetDifference]) -> tuple[Caution, ...]:
    """Return every reason for caution, the gravest first.

    Args:
        cells: cells of one study.
        accuracies: their differences in the accuracy used for each domain, those from untrained controls included.
    """
    settings = grouped(cells, [(cell.backbone, cell.domain, cell.protocol, cell.labels) for cell in cells])
    selections = [caution for setting, members in settings.items() for caution in _of_selection(setting, members)]
    return (
        *_not_above_untrained(cells, accuracies),
        *_below_linear_probe(settings),
        *sorted(selections, key=lambda caution: list(CautionKind).index(caution.kind)),
    )


def _not_above_untrained(cells: Sequence[Cell], accuracies: Iterable[TargetDifference]) -> list[Caution]:
    """A difference without an interval counts only if it is not even positive."""
    found = []
    for d in accuracies:
        if d.second_objective != UNTRAINED or d.low > 0 or (math.isnan(d.low) and not d.value <= 0):
            continue
        place = d.domain, d.protocol, d.labels
        averaged = [
            cell.seed
            for cell in cells
            if (cell.domain, cell.protocol, cell.labels) == place and d.first in (cell.backbone, cell.objective)
        ]
        seeds = tuple(sorted(set(averaged)))
        about = CautionKind.NOT_ABOVE_UNTRAINED, d.first, *place
        found.append(_compared(about, seeds, d.second, d))
    return found


def _compared(
    about: tuple[CautionKind, str, str, str, str], seeds: tuple[int, ...], against: str, d: Difference
) -> Caution:
    return Caution(*about, seeds, len(seeds), against, value=d.value, low=d.low, high=d.high)


def _below_linear_probe(settings: dict[Setting, list[Cell]]) -> list[Caution]:
    """Compare every fine-tuned network with the linear probes of the same backbone and label budget, averaged over
    seeds; where a probe ran with one seed, it stands for all."""
    alike = grouped(list(settings.values()), [(backbone, domain, labels) for backbone, domain, _, labels in settings])
    found = []
    for setting, tuned in settings.items():
        backbone, domain, _, labels = setting
        if not _has_setting(tuned[0], "learning_rates"):
            continue
        for probed in alike[backbone, domain, labels]:
            if not _has_setting(probed[0], "inverse_regularisations"):
                continue
            of_seed = {cell.seed: cell for cell in probed}
            pairs = [
                (cell, of_seed.get(cell.seed, probed[0])) for cell in tuned if cell.seed in of_seed or len(probed) == 1
            ]
            difference = _accuracy_difference(pairs) if pairs else None
            if difference is not None and difference.high < 0:
                seeds = tuple(cell.seed for cell, _ in pairs)
                about = CautionKind.BELOW_LINEAR_PROBE, *setting
                found.append(_compared(about, seeds, probed[0].protocol, difference))
    return found


def _accuracy_difference(pairs: Sequence[tuple[Cell, Cell]]) -> Difference | None:
    """Return the difference in the accuracy used for the cells' domain, averaged over pairs."""
    by_metric = {d.metric: d for d in compare_averaged([pairs])}
    return by_metric.get(pairs[0][0].headline_metric, by_metric.get("accuracy"))


def _has_setting(cell: Cell, name: str) -> bool:
    """Whether the cell's protocol has a setting of that name, which tells the kinds of protocols apart."""
    settings = cell.identity.get("protocol_settings")
    return isinstance(settings, dict) and name in settings


def _of_selection(setting: Setting, cells: Sequence[Cell]) -> list[Caution]:
    """Return what the cells of one setting record about their fits and their grids."""
    concerned = {(CautionKind.NOT_CONVERGED, ""): [cell.seed for cell in cells if _stopped_early(cell)]}
    for name in (LEARNING_RATE, INVERSE_REGULARISATION):
        concerned[CautionKind.GRID_END, name] = [cell.seed for cell in cells if name in _at_grid_end(cell)]
    return [
        Caution(kind, *setting, tuple(seeds), len(cells), hyper_parameter=name)
        for (kind, name), seeds in concerned.items()
        if seeds
    ]


def _stopped_early(cell: Cell) -> bool:
    """Whether the measured fit did not converge; of earlier cells, whether any fit of their grid did not, because they
    do not record which."""
    selection = cell.provenance.get("selection") or {}
    if "converged" in selection:
        return selection["converged"] is False
    return selection.get("not_converged", 0) not in (0, None)


def _at_grid_end(cell: Cell) -> list[object]:
    names = (cell.provenance.get("selection") or {}).get("at_grid_end")
    return names if isinstance(names, list) else []
