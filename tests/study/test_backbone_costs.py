"""Costs are stored apart from cells, read only where they are whole, and compared only within one machine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from simulated_cells import simulated_cell

from hf_sslgen.analysis.forward_cost_values import ForwardCost
from hf_sslgen.study.backbone_costs import BackboneCost, cost_path, costs_of, read_cost, read_costs, write_cost
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.study_results import infer

FORWARD = ForwardCost(100.0, 90.0, 110.0, 9, 8, 2, 0.5, 4e9, 1_000_000, 64, "tensors counted")
COST = BackboneCost("abc", 64, "cpu (x86_64)", 5_000, "2026-01-01T00:00:00Z", FORWARD)


def cell(name: str, weights: str, share: float = 0.8) -> Cell:
    found = simulated_cell(np.arange(200) < 200 * share, name, parameters=10)
    pixels = {"geometry": {"image_size": 64}}
    return replace(found, identity=found.identity | {"weights": weights, "preprocessing": pixels})


def test_a_cost_is_read_as_written_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    path = cost_path(tmp_path, "abc", 64, 8, COST.place)
    write_cost(path, COST)
    assert read_cost(path) == COST and read_costs(tmp_path) == [COST]
    assert cost_path(tmp_path, "abc", 96, 8, COST.place) != path != cost_path(tmp_path, "abc", 64, 8, ("gpu", 2))
    whole = path.read_text(encoding="utf-8")
    for damaged in (whole[:-9], whole.replace("100.0", '"fast"'), whole.replace('"weights"', '"other"'), "[]"):
        path.write_text(damaged, encoding="utf-8")
        assert read_cost(path) is None and read_costs(tmp_path) == []


def test_costs_are_taken_from_the_machine_that_measured_most_backbones() -> None:
    elsewhere = replace(COST, device="gpu", forward=replace(FORWARD, images_per_second=9000.0))
    costs = [COST, elsewhere, replace(elsewhere, weights="def"), replace(elsewhere, weights="def", image_size=96)]
    found = costs_of([cell("a", "abc"), cell("b", "def")], costs)
    assert {name: (cost.device, cost.weights) for name, cost in found.items()} == {
        "a": ("gpu", "abc"),
        "b": ("gpu", "def"),
    }
    assert costs_of([cell("a", "changed")], costs) == {}


def test_speed_and_memory_are_criteria_of_the_front_only_if_all_are_measured() -> None:
    cells = [cell("slow", "abc", 0.9), cell("fast", "def", 0.8), cell("worst", "ghi", 0.7)]
    quick = replace(FORWARD, images_per_second=500.0, peak_memory=500)
    costs = [COST, replace(COST, weights="def", forward=quick), replace(COST, weights="ghi")]
    (ranking,) = infer(cells, costs=costs).rankings
    assert {"throughput", "memory"} <= set(ranking.front.criteria)
    front = {each.contestant.name: each.is_on_front for each in ranking.backbones}
    assert front == {"slow": True, "fast": True, "worst": False}
    assert ranking.backbones[1].tradeoffs.images_per_second == 500.0
    (ranking,) = infer(cells, costs=costs[:2]).rankings
    assert {"throughput", "memory"} <= set(ranking.front.left_out)
    assert infer(cells, costs=costs).costs["fast"].forward.peak_memory == pytest.approx(500)
