"""Intervals by scope of cells with several runs, against the analysis of variance written out here."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_study import SELF_SUPERVISED, SUPERVISED, Setting, write_study
from scipy import stats

from hf_sslgen.metrics import interaction, target_mean
from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults, infer
from hf_sslgen.study.inference.target_groups import GroupDifference

RUNS, SEEDS, DOMAINS = 3, 2, 3


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    """Three pretraining runs of two objectives, two training seeds of each, on three domains of each group."""
    twins = [
        replace(twin, name=f"{twin.objective}-{run}", pretraining_seed=run, source="source")
        for run in range(RUNS)
        for twin in (SUPERVISED, SELF_SUPERVISED)
    ]
    domains = [(f"{group}-{index}", group) for group in ("similar", "different") for index in range(DOMAINS)]
    store = tmp_path_factory.mktemp("store")
    write_study(store, tuple(twins), domains=domains, settings=(Setting("linear", seeds=tuple(range(SEEDS))),))
    return list(read_cells(store))


@pytest.fixture(scope="module")
def several(cells: list[Cell]) -> StudyResults:
    return infer(cells)


def differences_of(cells: list[Cell], domain: str) -> np.ndarray:
    """Self-supervised minus supervised correctness by image, run and seed."""
    correct = {
        (cell.objective, cell.pretraining_seed, cell.seed): cell.records()
        .query("transform == ''")
        .set_index("sample_id")["correct"]
        for cell in cells
        if cell.domain == domain
    }
    by_run = [
        [(correct["simclr", run, seed] - correct["supervised", run, seed]).to_numpy() for seed in range(SEEDS)]
        for run in range(RUNS)
    ]
    return np.moveaxis(np.array(by_run), 2, 0)


def accuracy_on(results: StudyResults, domain: str) -> TargetDifference:
    (found,) = [d for d in results.targets if d.metric == "accuracy" and d.domain == domain]
    return found


def accuracy_over(results: StudyResults, group: str) -> GroupDifference:
    (found,) = [g for g in results.groups if g.comparison.metric == "headline_accuracy" and g.group == group]
    return found


def widened(half: float, rows: float, both: float, columns: float, freedom: int, of_rows: float = math.inf) -> float:
    """Half an interval: 0.4 of Banerjee's and 0.6 of Satterthwaite's square, and not less than that over rows."""
    error = half / stats.t.ppf(0.975, of_rows)
    alone = error**2 * max(0.0, 1 - (1 - 1 / of_rows) * both / rows)
    total = (columns + alone) ** 2 / (columns**2 / freedom + alone**2 / of_rows)
    apart = stats.t.ppf(0.975, freedom) ** 2 * columns + stats.t.ppf(0.975, of_rows) ** 2 * alone
    together = stats.t.ppf(0.975, total) ** 2 * (columns + alone)
    return max(half, math.sqrt(0.4 * apart + 0.6 * together))


def crossed(table: np.ndarray) -> tuple[float, float, float]:
    """Variance of the mean from rows, from their interaction with columns, and from columns."""
    rows, columns = table.shape
    residual = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    both = np.square(residual).sum() / ((rows - 1) * (columns - 1)) / (rows * columns)
    return table.mean(axis=1).var(ddof=1) / rows, both, table.mean(axis=0).var(ddof=1) / columns


def test_a_difference_on_one_domain_has_three_nested_intervals(several: StudyResults, cells: list[Cell]) -> None:
    for domain in ("similar-0", "different-1"):
        found = accuracy_on(several, domain)
        table = differences_of(cells, domain)
        weights, training, pretraining = found.judgement.scopes
        assert [weights.scope, training.scope, pretraining.scope] == [WEIGHTS, TRAINING, PRETRAINING]
        assert found.value == pytest.approx(table.mean())
        assert (weights.low, weights.high) == (found.low, found.high)
        half = found.high - found.value
        # Seeds are nested in runs: their variances are pooled.
        images = len(table)
        of_seeds = table.mean(axis=0).var(axis=1, ddof=1).mean() / (RUNS * SEEDS)
        residual = table - table.mean(axis=0) - table.mean(axis=2, keepdims=True) + table.mean(axis=(0, 2))[:, None]
        both = np.square(residual).sum() / (RUNS * (SEEDS - 1) * (images - 1)) / (images * RUNS * SEEDS)
        rows = table.mean(axis=(1, 2)).var(ddof=1) / images
        of_training = widened(half, rows, both, of_seeds, RUNS * (SEEDS - 1))
        assert training.high - found.value == pytest.approx(of_training)
        of_pretraining = max(of_training, widened(half, *crossed(table.mean(axis=2)), RUNS - 1))
        assert pretraining.high - found.value == pytest.approx(of_pretraining)
        assert found.judgement.claimed == pretraining
        assert weights.p_value <= training.p_value <= pretraining.p_value


def test_pretraining_runs_are_crossed_with_the_domains_of_a_group(several: StudyResults, cells: list[Cell]) -> None:
    for group in ("similar", "different"):
        found = accuracy_over(several, group)
        table = np.array([differences_of(cells, f"{group}-{d}").mean(axis=(0, 2)) for d in range(DOMAINS)])
        training, pretraining = found.judgement.scopes
        over_domains = target_mean(table.mean(axis=1))
        assert (training.low, training.high) == pytest.approx((over_domains.low, over_domains.high))
        half = widened(over_domains.high - over_domains.value, *crossed(table), RUNS - 1, DOMAINS - 1)
        assert pretraining.high - found.value == pytest.approx(half)
        assert found.judgement.claimed == pretraining and found.judgement.is_headline


def test_an_interaction_shares_its_runs_between_the_groups(several: StudyResults, cells: list[Cell]) -> None:
    similar, different = (
        np.array([differences_of(cells, f"{group}-{d}").mean(axis=(0, 2)) for d in range(DOMAINS)])
        for group in ("similar", "different")
    )
    (found,) = [i for i in several.interactions if i.comparison.metric == "headline_accuracy"]
    welch = interaction(different.mean(axis=1), similar.mean(axis=1))
    training, pretraining = found.judgement.scopes
    assert (training.low, training.high) == pytest.approx((welch.low, welch.high))
    rows, both, _ = np.add(crossed(different), crossed(similar))
    columns = (different.mean(axis=0) - similar.mean(axis=0)).var(ddof=1) / RUNS
    half = widened(welch.high - welch.value, rows, both, columns, RUNS - 1, welch.degrees_of_freedom)
    assert pretraining.high - found.value == pytest.approx(half)


def test_domains_with_other_runs_do_not_count_as_one_run(cells: list[Cell]) -> None:
    missing = [c for c in cells if not (c.domain == "similar-1" and c.pretraining_seed == 2)]
    results = infer(missing)
    similar, different = (accuracy_over(results, group).judgement for group in ("similar", "different"))
    assert similar.claimed.scope == TRAINING and different.claimed.scope == PRETRAINING
    reason = "not testable: not all domains have the same pretraining runs"
    (between,) = [i for i in results.interactions if i.comparison.metric == "headline_accuracy"]
    assert similar.scopes[1].reason == between.judgement.scopes[1].reason == reason


def test_networks_of_other_sizes_are_no_pretraining_runs_of_one_objective(cells: list[Cell]) -> None:
    sizes = [replace(c, provenance={**c.provenance, "parameters": 10 + (c.pretraining_seed == 2)}) for c in cells]
    found = infer([c for c in sizes if c.domain == "similar-0"])
    contrasts = {(d.first, d.second) for d in found.targets}
    assert contrasts == {(f"simclr-{run}", f"supervised-{run}") for run in range(RUNS)}
    assert not any(b.contestant.are_runs for ranking in found.rankings for b in ranking.backbones)


def test_one_run_is_not_testable_and_says_how_many_would_do(cells: list[Cell]) -> None:
    found = accuracy_on(infer([c for c in cells if c.pretraining_seed == 0 and c.seed == 0]), "similar-0")
    weights, training, pretraining = found.judgement.scopes
    assert found.judgement.claimed == weights
    assert training.reason == pretraining.reason == "not testable: one run; 3 are needed"
    two = accuracy_on(infer([c for c in cells if c.pretraining_seed == 0]), "similar-0")
    assert two.judgement.scopes[1].reason == "not testable: 2 runs; 3 are needed"
    assert two.judgement.claimed.scope == WEIGHTS
    # Three runs of one seed each: what training again changes is contained in what pretraining again changes.
    runs = accuracy_on(infer([c for c in cells if c.seed == 0]), "similar-0")
    assert runs.judgement.claimed.scope == PRETRAINING and math.isnan(runs.judgement.scopes[1].low)


def test_seeds_with_the_same_records_are_one_run(cells: list[Cell], tmp_path: Path) -> None:
    of_run = [c for c in cells if c.pretraining_seed == 0 and c.seed == 0 and c.domain == "similar-0"]
    again = [replace(cell, identity={**cell.identity, "seed": seed}) for seed in range(1, 4) for cell in of_run]
    found = accuracy_on(infer([*of_run, *again]), "similar-0")
    assert found.judgement.scopes[1].reason == "not testable: one run; 3 are needed"
    assert found.judgement.claimed.scope == WEIGHTS
