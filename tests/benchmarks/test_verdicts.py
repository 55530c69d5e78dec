"""The simulated studies have the truth that they claim, and their verdicts are counted by it."""

from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
import verdicts
from scipy import stats
from simulated import study_cells, verdict_counts
from simulated.combinations import rates_of_error
from simulated.joint_families import adjust_by_largest, compare_families
from simulated.networks import ACCURACY, BRIER, GINI, KINDS, NUMBERS, REGIMES, Population, Regime, Study
from simulated.study_cells import cells_of, require_same_verdicts
from simulated.study_verdicts import DOMAIN, on_domain, over_all_domains, values_of
from simulated.verdict_counts import (
    ADJUSTED,
    CLAIMED,
    FORMER,
    ONE_DOMAIN,
    PAGE,
    TWO_KINDS,
    Counts,
    Key,
    Task,
    run_task,
)
from simulated.verdict_tables import as_markdown


def _draw(regime: Regime, difference: float = 0.0, images: int = 20_000, **sizes: int) -> Study:
    population = Population(regime, difference, tilt=1.5, kinds=KINDS)
    return population.draw(images=images, generator=np.random.default_rng(0), **{"runs": 2, "seeds": 2, **sizes})


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_many_images_are_the_true_ones_of_their_networks(number: str) -> None:
    for domain in _draw(REGIMES["small"], difference=5.0, domains=3).domains:
        measured = domain.differences[number]
        errors = (measured.mean(axis=-1) - domain.truth[number].weights) / (measured.std(axis=-1) / sqrt(20_000))
        assert np.abs(errors).max() < 4.0


@pytest.mark.parametrize("number", NUMBERS)
def test_truth_of_a_wider_scope_is_the_mean_of_the_narrower_ones(number: str) -> None:
    """Of 400 training seeds of a run, and of 400 runs of an objective."""
    many_seeds = (
        _draw(REGIMES["small"], difference=5.0, images=2, domains=1, runs=1, seeds=400).domains[0].truth[number]
    )
    spread = many_seeds.weights.std() / sqrt(400)
    assert many_seeds.weights.mean() == pytest.approx(many_seeds.training[0], abs=4 * spread)
    many_runs = (
        _draw(REGIMES["small"], difference=5.0, images=2, domains=1, runs=400, seeds=1).domains[0].truth[number]
    )
    spread = many_runs.training.std() / sqrt(400)
    assert many_runs.training.mean() == pytest.approx(many_runs.pretraining, abs=4 * spread)


def test_true_difference_over_domains_is_the_one_asked_for() -> None:
    study = _draw(REGIMES["ImageNet"], difference=2.0, images=2, domains=800)
    truth = study.over_domains["similar"][ACCURACY]
    assert truth[1] == pytest.approx(0.02)
    found = [domain.truth[ACCURACY].pretraining for domain in study.domains]
    assert np.mean(found) == pytest.approx(0.02, abs=4 * np.std(found) / sqrt(len(found)))
    assert study.over_domains["similar"][GINI][1] == 0.0
    assert study.over_domains["similar"][BRIER][1] < 0.0


def test_identical_runs_are_one_in_every_scope() -> None:
    domain = _draw(REGIMES["none"], images=400, domains=1, runs=3, seeds=3).domains[0]
    weights, training, pretraining = on_domain(domain, ACCURACY, 3, 3, 400).scopes
    assert np.isnan(training.interval.low)
    assert pretraining.interval == pytest.approx(weights.interval)


@pytest.mark.parametrize(("regime", "runs", "seeds"), [("small", 3, 2), ("none", 1, 2)])
def test_whole_chain_gives_the_same_verdicts(regime: str, runs: int, seeds: int) -> None:
    study = _draw(REGIMES[regime], difference=2.0, images=120, domains=6, runs=3)
    assert require_same_verdicts(study, runs, seeds, 6, 120) == len(NUMBERS) * (6 + 2 + 1)


def test_verdicts_that_differ_from_the_chain_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    study = _draw(REGIMES["small"], images=120, domains=6)
    other = _draw(REGIMES["small"], difference=5.0, images=120, domains=6)
    monkeypatch.setattr(study_cells, "cells_of", lambda _, *design: cells_of(other, *design))
    with pytest.raises(RuntimeError, match="the chain gives"):
        require_same_verdicts(study, 2, 1, 6, 120)


@pytest.fixture
def small_designs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, sizes in {"RUNS": (1, 3), "SEEDS": (1, 3), "DOMAINS": (1, 6), "IMAGES": (200,)}.items():
        monkeypatch.setattr(verdict_counts, name, sizes)


@pytest.mark.usefixtures("small_designs")
def test_counts_follow_from_the_intervals() -> None:
    task = Task(ONE_DOMAIN, "small", 0.0, 0.0, block=0, repetitions=6)
    tally = run_task(task)
    population = Population(REGIMES["small"], kinds=("different",))
    claims, former = Counts(), Counts()
    for repetition in range(6):
        study = population.draw(3, 3, 1, 200, np.random.default_rng([0, 3, 0, 0, 0, repetition]))
        found = on_domain(study.domains[0], GINI, 1, 3, 200)
        for counts, scoped, truth in (
            (claims, found.claimed, found.claimed.truth),
            (former, found.scopes[0], found.objective),
        ):
            low, high = scoped.interval
            decided = low > 0 or high < 0
            counts.add(Counts(1, 1, not low <= truth <= high, decided, decided and (low > 0) != (truth > 0)))
    assert tally[Key(DOMAIN, GINI, CLAIMED, 1, 3, 1, 200)] == claims
    assert tally[Key(DOMAIN, GINI, FORMER, 1, 3, 1, 200)] == former
    assert former.missed > claims.missed
    assert tally[Key(PAGE, "5", ADJUSTED, 3, 3, 1, 200)].cases == 1


@pytest.mark.usefixtures("small_designs")
def test_studies_are_the_same_at_every_difference_and_tables_show_the_rates() -> None:
    tasks = [Task(TWO_KINDS, "ImageNet", difference, 1.5, 0, 5) for difference in (0.0, 20.0)]
    entries = [({**vars(task), **vars(key)}, counts) for task in tasks for key, counts in run_task(task).items()]
    ways = {(4, 3): {("used", 0.05): [0.02, 0.06]}}
    families = [compare_families(1, 5.0, repetitions=4, seed=0)]
    text = as_markdown(entries, families, ways, "python verdicts.py", 27)
    assert "| 4 x 3 | 2 to 6 |" in text
    assert "| 3 verdicts, 5 points | 0.0 | 0.0 | 100.0 | 100.0 |" in text
    assert "27 differences" in text
    assert "| two kinds, 3 | none / none (none) | none / none (none) |" in text
    assert "### Power and signs over 12 domains" in text


def test_finished_tasks_are_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_designs: None) -> None:
    done = [Task(ONE_DOMAIN, "images", 0.0, 0.0, block, 5) for block in range(2)]
    first = dict(verdicts.run_tasks(done, 1, tmp_path / "r.jsonl"))
    monkeypatch.setattr(verdicts, "run_task", None)
    assert dict(verdicts.run_tasks(done, 1, tmp_path / "r.jsonl")) == first


def test_over_domains_a_run_of_all_of_them_is_in_the_wider_scope() -> None:
    regime = replace(REGIMES["none"], run=5.0)
    study = Population(regime).draw(3, 1, 6, 2000, np.random.default_rng(1))
    found = over_all_domains(study, GINI, values_of(study, GINI, 2000))[0]
    training, pretraining = found.scopes
    assert training.truth == pytest.approx(training.value, abs=0.01)
    assert pretraining.truth == 0.0
    assert pretraining.interval.high - pretraining.interval.low > 3 * (training.interval.high - training.interval.low)


def test_largest_statistic_of_one_test_is_its_p_value_and_of_equal_ones_too() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(0.08, 1.0, (400, 1))
    expected = 2 * stats.norm.sf(abs(values.mean()) / values.std() * 20)
    assert adjust_by_largest(values, values, generator)[0] == pytest.approx(expected, abs=0.03)
    copies = np.repeat(values, 5, axis=1)
    assert adjust_by_largest(copies, copies, generator)[3] == pytest.approx(expected, abs=0.03)


def test_largest_statistic_of_independent_tests_is_that_of_sidak() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(400, 8)) + np.array([0.16, 0.12, *[0.0] * 6])
    p_values = np.sort(2 * stats.norm.sf(np.abs(values.mean(axis=0)) / values.std(axis=0) * 20))
    expected = np.maximum.accumulate(1.0 - (1.0 - p_values) ** np.arange(8, 0, -1))
    assert np.sort(adjust_by_largest(values, values, generator)) == pytest.approx(expected, abs=0.05)


def test_square_and_add_never_errs_more_and_satterthwaite_does() -> None:
    """The extremes of 45 rates, each with a standard error of 0.3 at 5% and 0.1 at 0.5%."""
    rates = rates_of_error(rows=1000, columns=3, repetitions=4000, seed=1)
    assert max(rates["square-and-add", 0.05]) < 0.065 < 0.07 < max(rates["Satterthwaite", 0.05])
    assert min(rates["used", 0.05]) > 0.01
    assert max(rates["used", 0.05]) < 0.073
    assert max(rates["used", 0.005]) < 0.01 < 0.018 < max(rates["Satterthwaite", 0.005])
