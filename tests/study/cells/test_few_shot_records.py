"""Records of episodes and images, and cells whose intervals were over episodes alone."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from fake_study import SELF_SUPERVISED, Setting, write_study

from hf_sslgen.analysis.few_shot_records import EFFECT, IMAGE, few_shot_records
from hf_sslgen.metrics.episodes import NO_EFFECTS, episode_estimate
from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.cells.cell_records import require_consistent
from hf_sslgen.study.cells.episode_intervals import without_episode_intervals
from hf_sslgen.study.cells.held_records import RecordsInMemory
from hf_sslgen.study.finished_cells import readable_cells


def test_episodes_and_images_have_rows_of_their_own() -> None:
    records = few_shot_records(np.array([0.5, 0.75]), np.array([4, 0, 1]), np.array([0.1, -0.2, 0.1]))
    episodes, images = (records[records["transform"] == name] for name in ("", IMAGE))
    assert episodes["sample_id"].tolist() == [0, 1] and episodes["correct"].tolist() == [0.5, 0.75]
    assert images["sample_id"].tolist() == [4, 0, 1] and images[EFFECT].tolist() == [0.1, -0.2, 0.1]
    assert episodes[EFFECT].isna().all() and images["correct"].isna().all()
    alone = few_shot_records(np.array([0.5, 0.75]), np.array([4, 0, 1]), None)
    assert alone["correct"].tolist() == [0.5, 0.75] and EFFECT not in alone


def test_intervals_over_episodes_alone_are_not_shown(tmp_path: Path) -> None:
    write_study(tmp_path, (SELF_SUPERVISED,), (("here", "similar"),), settings=(Setting("few-shot", "5-shot"),))
    (cell,) = read_cells(tmp_path)
    require_consistent(cell)
    ((number,), records) = cell.numbers, cell.records()
    accuracies, effects = records["correct"].dropna().to_numpy(), records[EFFECT].dropna().to_numpy()
    expected = episode_estimate(accuracies, effects)
    assert (number.low, number.high) == (expected.low, expected.high) and not math.isnan(number.low)
    assert without_episode_intervals(cell) is cell

    earlier = RecordsInMemory(records[records["transform"] == ""].drop(columns=EFFECT))
    ((without,),) = (found.numbers for found in readable_cells([cell.folder], earlier)[0])
    assert math.isnan(without.low) and math.isnan(without.high) and without.reason == NO_EFFECTS
    assert without == replace(number, low=without.low, high=without.high, reason=NO_EFFECTS)


def test_other_cells_keep_their_intervals(tmp_path: Path) -> None:
    write_study(
        tmp_path, (SELF_SUPERVISED,), (("here", "similar"),), settings=(Setting("linear"), Setting("pretrained"))
    )
    cells: list[Cell] = list(read_cells(tmp_path))
    assert len(cells) == 2 and all(without_episode_intervals(cell) is cell for cell in cells)
