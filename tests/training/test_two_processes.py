"""One process and two see every sample exactly once and agree."""

import json
import os
from pathlib import Path

import pytest
import warm_python

WORKER = Path(__file__).parent / "two_process_worker.py"


def run(location: str, folder: Path, processes: int) -> list[dict]:
    folder.mkdir()
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    command = [WORKER, location, folder, str(20 // processes)]
    if processes > 1:
        warm_python.run_together(command, environment, processes)
    else:
        warm_python.run(command, environment, check=True)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


@pytest.fixture(scope="module")
def outcomes(small_backbones, tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    location = small_backbones["timm_vit"]
    return run(location, folder / "one", 1), run(location, folder / "two", 2)


def test_every_training_sample_is_seen_exactly_once_an_epoch(outcomes):
    for outcome in outcomes:
        for epoch in (0, 1):
            seen = [sample for rank in outcome for sample in rank["seen"][epoch]]
            assert sorted(seen) == sorted(outcome[0]["train_ids"])
    (one,), two = outcomes
    assert set(two[0]["seen"][0]).isdisjoint(two[1]["seen"][0])
    assert one["seen"][0] != one["seen"][1]


def test_both_take_the_same_batches(outcomes):
    """Twice ten images in two processes are the twenty of one."""
    (one,), two = outcomes
    batches = [set(one["seen"][0][i : i + 20]) for i in range(0, 200, 20)]
    shared = [{*two[0]["seen"][0][i : i + 10], *two[1]["seen"][0][i : i + 10]} for i in range(0, 100, 10)]
    assert shared == batches


def test_every_test_sample_is_evaluated_exactly_once(outcomes):
    for outcome in outcomes:
        for rank in outcome:
            assert rank["evaluated"] == sorted(rank["test_ids"])


def test_the_numbers_agree(outcomes):
    (one,), two = outcomes
    assert two[0]["accuracy"] == two[1]["accuracy"]
    assert two[0]["weight_norm"] == pytest.approx(one["weight_norm"], rel=1e-4)
    assert abs(two[0]["accuracy"] - one["accuracy"]) < 0.05
