"""Few-shot cells of earlier versions, whose intervals were over episodes alone."""

import math
from dataclasses import replace

from hf_sslgen.analysis.few_shot_records import EFFECT
from hf_sslgen.metrics.episodes import NO_EFFECTS
from hf_sslgen.study.cells.cell_folder import Cell


def without_episode_intervals(cell: Cell) -> Cell:
    """Return a few-shot cell of an earlier version without its intervals; any other cell unchanged."""
    names = cell.columns().names
    is_episodes = "correct" in names and "reference" not in names
    if not is_episodes or EFFECT in names:
        return cell
    numbers = (replace(number, low=math.nan, high=math.nan, reason=NO_EFFECTS) for number in cell.numbers)
    return replace(cell, numbers=tuple(numbers))
