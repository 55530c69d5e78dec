"""Select hyper-parameters on the validation split, and record how."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SCORE = "validation_negative_log_likelihood"
CRITERION = "lowest negative log-likelihood on the validation split"
TRAIN = "train"
TRAIN_AND_VALIDATION = "train and validation; no validation is left to score the result"


@dataclass(frozen=True)
class Candidate:
    """One candidate's hyper-parameters and score.

    Attributes:
        point: the values of the grid, by name.
        score: validation negative log-likelihood; None if training diverged.
        settings: values that follow from the point.
    """

    point: dict[str, float]
    score: float | None
    settings: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**self.point, **self.settings, SCORE: self.score}


def best_candidate(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate with the lowest score, the first of equals; None if none has a score."""
    scored = [(candidate.score, index) for index, candidate in enumerate(candidates) if candidate.score is not None]
    return candidates[min(scored)[1]] if scored else None


def selection_record(candidates: Sequence[Candidate], best: Candidate, seed: int, fitted_on: str) -> dict[str, Any]:
    """Return a cell's record of the selection.

    Args:
        fitted_on: the images that the measured model was fitted on.

    Returns:
        `chosen` (the hyper-parameters), `candidates` (each with its score, or None), `criterion`,
        `seed`, `fitted_on`, `at_grid_end` (hyper-parameters whose chosen value is the largest or smallest of its
        grid: the best may lie beyond) and `ties` (how many others had the same score).
    """
    at_end = []
    for name, value in best.point.items():
        grid = {candidate.point[name] for candidate in candidates}
        if len(grid) > 1 and value in (min(grid), max(grid)):
            at_end.append(name)
    return {
        "chosen": {**best.point, **best.settings},
        "candidates": [candidate.to_json() for candidate in candidates],
        "criterion": CRITERION,
        "seed": seed,
        "fitted_on": fitted_on,
        "at_grid_end": at_end,
        "ties": sum(candidate.score == best.score for candidate in candidates) - 1,
    }


def nothing_selected(seed: int, fitted_on: str) -> dict[str, Any]:
    """Return the record, with the same keys, of a protocol that has no hyper-parameters to select."""
    return {
        "chosen": {},
        "candidates": [],
        "criterion": "nothing is selected",
        "seed": seed,
        "fitted_on": fitted_on,
        "at_grid_end": [],
        "ties": 0,
    }
