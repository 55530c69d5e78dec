"""Runs of one recipe compared as if they were two: the pages of a study, and what is counted on them."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import same_recipe
from fake_study import SELF_SUPERVISED, SUPERVISED, UNTRAINED, Setting, write_study
from reruns.pages import AGAIN, NETWORKS, ONE_RUN, THREE_RUNS, decisions, infer_page, pages_of, spreads
from reruns.tables import as_markdown

from hf_sslgen.metrics.run_variance import nested_variance
from hf_sslgen.study.cells.cell_folder import Cell, read_cells

SEEDS = (0, 1)
RUNS = [replace(SUPERVISED, name=f"supervised-{seed}", pretraining_seed=seed) for seed in range(6)]
SETTINGS = (Setting("linear", seeds=SEEDS),)


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    store = tmp_path_factory.mktemp("runs")
    write_study(store, (*RUNS, UNTRAINED), (("digits", "different"),), settings=SETTINGS)
    return list(read_cells(store))


def test_every_pair_of_trainings_and_runs_and_every_division_of_six_runs_is_a_page(cells: list[Cell]) -> None:
    pages = list(pages_of(cells))
    counts = Counter((page.question, page.objective) for page in pages)
    assert counts == {
        (AGAIN, "supervised"): 6,
        (ONE_RUN, "supervised"): math.comb(6, 2),
        (THREE_RUNS, "supervised"): math.comb(6, 3) // 2,
        (AGAIN, "untrained"): 1,
    }
    divisions = {
        frozenset(
            frozenset(cell.folder for cell in page.cells if cell.objective == role) for role in ("again", "supervised")
        )
        for page in pages
        if page.question == THREE_RUNS
    }
    assert len(divisions) == 10
    assert all(len(frozenset.union(*sides)) == 12 for sides in divisions)  # no cell on both sides


def test_what_is_counted_is_what_the_numbers_say(cells: list[Cell]) -> None:
    page = next(page for page in pages_of(cells) if page.question == THREE_RUNS)
    results = infer_page(page)
    correct = {
        (role, run, seed): cell.records().set_index("sample_id")["correct"]
        for cell in page.cells
        for role, run, seed in [(*cell.backbone.split("-"), cell.seed)]
    }
    by_run = [
        np.stack([correct["again", run, seed] - correct["supervised", run, seed] for seed in SEEDS], axis=1)
        for run in "012"
    ]
    training = nested_variance(by_run)
    found = {each.scope: each.variance for each in spreads(page, results) if each.number == "accuracy"}
    assert found["training"] == pytest.approx(6 * (training.column - training.interaction))
    of_runs = np.var([run.mean() for run in by_run], ddof=1)
    mean = np.stack([run.mean(axis=1) for run in by_run], axis=1)
    residual = mean - mean.mean(axis=0) - mean.mean(axis=1, keepdims=True) + mean.mean()
    interaction = np.square(residual).sum() / (2 * (len(mean) - 1)) / len(mean)
    assert found["pretraining"] == pytest.approx(of_runs - interaction - found["training"] / 2)
    scopes = [each.scope for each in decisions(page, results) if each.number == "accuracy"]
    assert scopes == ["weights", "training", "pretraining"]


def test_the_script_counts_verdicts_on_a_study(tmp_path: Path) -> None:
    runs = [replace(SELF_SUPERVISED, name=f"simclr-{seed}", pretraining_seed=seed) for seed in range(2)]
    runs[1] = replace(runs[1], accuracy=0.95)  # so that every accuracy differs between the two
    write_study(tmp_path / "cells", runs, (("digits", "different"),), settings=SETTINGS)
    same_recipe.main([str(tmp_path), "--markdown", str(tmp_path / "tables.md"), "--json", str(tmp_path / "rows.json")])
    rows = json.loads((tmp_path / "rows.json").read_text())["decisions"]
    accuracies = [row for row in rows if row["number"] == "accuracy" and row["level"] == NETWORKS]
    assert [row["is_decided"] for row in accuracies if row["question"] == ONE_RUN] == [True, True]
    assert len([row for row in accuracies if row["question"] == AGAIN]) == 2
    text = (tmp_path / "tables.md").read_text()
    assert "| two networks on one domain | pretrained again | " in text
    assert "| `accuracy` | linear, 100% | " in text


def test_a_study_without_runs_to_compare_is_refused(tmp_path: Path) -> None:
    write_study(tmp_path / "cells", RUNS[:1], (("digits", "different"),), settings=(Setting("linear"),))
    with pytest.raises(SystemExit, match="no two runs"):
        same_recipe.main([str(tmp_path)])


def test_nothing_measured_leaves_a_cell_empty() -> None:
    assert "| --- |" in as_markdown([], [], "command")
