"""What the claims of a study are tested on, and which label budgets they concern."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.rows import find_metric
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.contrasts import role_of
from hf_sslgen.study.inference.interactions import Interaction
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.target_groups import Comparison, GroupDifference
from hf_sslgen.study.published_claims import Claim

Budget = tuple[bool, float]
"""Whether a label budget is a share of the labels, and the share or the number of images per class."""

_BUDGET = re.compile(r"(\d+(?:\.\d+)?(?:e-?\d+)?)(%|-shot)")


@dataclass(frozen=True)
class Evidence:
    """The cells of a study and what is inferred from them.

    Attributes:
        headline_metrics: the kind of accuracy used for each domain.
    """

    cells: Sequence[Cell]
    targets: Sequence[TargetDifference]
    groups: Sequence[GroupDifference]
    interactions: Sequence[Interaction]
    headline_metrics: Mapping[str, str]


def budget_of(labels: str) -> Budget:
    """Return the size of a label budget such as `10%` or `5-shot`, for sorting: shares exceed images per class."""
    found = _BUDGET.match(labels)
    return (found[2] == "%", float(found[1])) if found else (False, 0.0)


def concerns(claim: Claim, number: Comparison | TargetDifference) -> bool:
    """Return whether a difference is in a number of the claim, between a self-supervised and a supervised backbone.

    Invariances count as means over all transforms, of the encoder as published.
    """
    metric = find_metric(number.metric)
    if metric is None or number.metric not in claim.numbers or number.transform != metric.transform:
        return False
    if (role_of(number.first_objective), role_of(number.second_objective)) != ("ssl", "supervised"):
        return False
    return not number.transform or (number.protocol, number.stage) == (PRETRAINED_PROTOCOL, PRETRAINED_STAGE)


def has_collapsed(cell: Cell) -> bool:
    """Return whether a cell measures a published encoder that has collapsed, whose invariance is meaningless."""
    number = cell.number("collapsed") if cell.protocol == PRETRAINED_PROTOCOL else None
    return number is not None and number.value == 1.0
