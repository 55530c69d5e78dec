"""Many backbones: what is ranked, who is told apart from whom, and what a ranking of equals says."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated_cells import equal_backbones, simulated_cell

from hf_sslgen.metrics.rank_statistics import adjust_all_pairs
from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.held_records import RecordsInMemory
from hf_sslgen.study.inference.backbone_ranking.contestants import find_contestants
from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking, rank_all
from hf_sslgen.study.inference.differences import compare_averaged
from hf_sslgen.study.inference.scopes import scoped_intervals, widest_scope

LEVELS = (0.0, 0.5, 0.55, -0.6)


def ranking_of(cells: list[Cell]) -> Ranking:
    return rank_all(cells)[0]


def named(*backbones: tuple[str, str, int | None, str]) -> list[str]:
    correct = np.ones(10)
    cells = [
        simulated_cell(correct, name, objective=objective, pretraining_seed=seed, source=source)
        for name, objective, seed, source in backbones
    ]
    return [contestant.name for contestant in find_contestants(cells)]


def test_objectives_with_the_same_pretraining_seeds_are_ranked_as_such() -> None:
    twins = [(f"{name}-{seed}", name, seed, "in1k") for name in ("simclr", "supervised") for seed in (0, 1)]
    control = ("untrained:x", "untrained", None, "in1k")
    assert named(*twins, control) == ["simclr", "supervised", "untrained:x"]
    assert named(*twins, ("dino-0", "dino", 0, "in1k")) == ["simclr", "supervised", "dino-0"]
    others = [(f"dino-{seed}", "dino", seed, "in1k") for seed in (1, 2)]
    assert named(*twins, *others) == [name for name, *_ in (*twins, *others)]
    again = [(f"{name}-b{seed}", name, seed, "in22k") for name, seed in (("simclr", 0), ("simclr", 1))]
    assert named(*twins, *again) == ["simclr (in1k)", "supervised (in1k)", "simclr (in22k)"]
    assert named(("a", "supervised", None, ""), ("b", "supervised", None, "")) == ["a", "b"]


def test_pairs_are_the_paired_differences_adjusted_together() -> None:
    cells = equal_backbones(np.random.default_rng(0), 4, 400, seeds=3, seed_deviation=0.05, levels=LEVELS)
    ranking = ranking_of(cells)
    p_values = []
    for pair in ranking.pairs:
        runs = [
            [
                (a, b)
                for a in cells
                for b in cells
                if (a.backbone, b.backbone) == (pair.first, pair.second) and a.seed == b.seed
            ]
        ]
        (expected,) = (d for d in compare_averaged(runs) if d.metric == "accuracy")
        over_images = Interval(expected.low, expected.high)
        claimed = widest_scope(scoped_intervals(expected.value, over_images, expected.variances))
        assert (pair.value, pair.interval) == (expected.value, claimed)
        assert pair.interval.scope == "training"
        p_values.append(claimed.p_value)
    assert [pair.adjusted_p_value for pair in ranking.pairs] == pytest.approx(adjust_all_pairs(p_values, 4))
    assert ranking.adjustment == "Shaffer"


def test_who_is_not_told_apart_from_the_best_shares_its_tier() -> None:
    ranking = ranking_of(equal_backbones(np.random.default_rng(0), 4, 2000, levels=LEVELS))
    assert [(each.contestant.name, each.tier) for each in ranking.backbones] == [
        ("backbone-2", 1),
        ("backbone-1", 1),
        ("backbone-0", 2),
        ("backbone-3", 3),
    ]
    assert ranking.backbones[0].alike == ("backbone-1",) and ranking.backbones[3].alike == ()
    best = ranking.backbones[0]
    assert best.interval.low < best.value < best.interval.high and best.interval.scope == "weights"
    assert math.isnan(best.average_rank) and math.isnan(ranking.friedman_p_value)


def test_over_domains_ranks_are_averaged() -> None:
    cells = equal_backbones(np.random.default_rng(0), 4, 300, domains=4, levels=LEVELS)
    rankings = rank_all(cells)
    assert [len(ranking.domains) for ranking in rankings] == [4, 1, 1, 1, 1]
    over, *alone = rankings
    for each in over.backbones:
        places = [
            1 + sum(other.value > own.value for other in ranking.backbones)
            for ranking in alone
            for own in ranking.backbones
            if own.contestant == each.contestant
        ]
        assert each.average_rank == pytest.approx(np.mean(places), abs=0.51)  # ties share their mean rank
        assert each.value == pytest.approx(
            np.mean([own.value for r in alone for own in r.backbones if own.contestant == each.contestant])
        )
        assert each.interval.scope == "training"
    assert over.friedman_p_value < 0.05
    assert all(math.isnan(pair.signed_rank_p_value) for pair in over.pairs)  # four domains can't reach 0.05


def test_a_backbone_that_some_domains_lack_is_ranked_where_it_was_measured() -> None:
    cells = equal_backbones(np.random.default_rng(0), 4, 300, domains=3)
    cells = [cell for cell in cells if (cell.backbone, cell.domain) != ("backbone-3", "domain-2")]
    assert [len(ranking.backbones) for ranking in rank_all(cells)] == [3, 4, 4, 3]
    assert rank_all(equal_backbones(np.random.default_rng(0), 1, 300)) == ()


def test_without_an_accuracy_or_a_common_seed_nothing_is_told_apart() -> None:
    cells = equal_backbones(np.random.default_rng(0), 4, 300)
    undefined = [replace(number, value=math.nan) for number in cells[0].numbers]
    ranking = ranking_of([replace(cells[0], numbers=tuple(undefined)), *cells[1:]])
    assert sorted(each.contestant.name for each in ranking.backbones) == ["backbone-1", "backbone-2", "backbone-3"]
    other = replace(cells[3], identity=cells[3].identity | {"seed": 7})
    pairs = {(pair.first, pair.second): pair for pair in ranking_of([*cells[:3], other]).pairs}
    unpaired = pairs["backbone-0", "backbone-3"]
    assert unpaired.interval.reason == "they have no training seed or image in common"
    assert math.isnan(unpaired.adjusted_p_value) and unpaired.verdict == "undecided"
    assert unpaired.value == pytest.approx(cells[0].numbers[0].value - cells[3].numbers[0].value)


def test_backbones_measured_on_other_images_are_compared_on_those_they_share() -> None:
    cells = equal_backbones(np.random.default_rng(0), 3, 300)
    records = cells[0].records()
    part = replace(cells[0], reader=RecordsInMemory(records[records["sample_id"] < 200].iloc[::-1]))
    pairs = {(pair.first, pair.second): pair.value for pair in ranking_of([part, *cells[1:]]).pairs}
    own, others = (cell.records()["correct"] for cell in cells[:2])
    assert pairs["backbone-0", "backbone-1"] == pytest.approx((own[:200] - others[:200]).mean())
    assert pairs["backbone-1", "backbone-2"] == pytest.approx(cells[1].numbers[0].value - cells[2].numbers[0].value)


def run_of(name: str, seed: int | None, generator: np.random.Generator, **said: Any) -> Cell:
    objective = name.partition("-")[0]
    return simulated_cell(generator.random(300) < 0.8, name, objective=objective, pretraining_seed=seed, **said)


def test_a_pair_is_not_pretrained_again_if_one_of_the_two_was_not() -> None:
    generator = np.random.default_rng(0)
    cells = [run_of(f"{name}-{seed}", seed, generator) for name in ("simclr", "supervised") for seed in range(3)]
    cells.append(run_of("untrained-x", None, generator))
    ranking = ranking_of(cells)
    scopes = {(pair.first, pair.second): pair.interval.scope for pair in ranking.pairs}
    assert scopes == {
        ("simclr", "supervised"): "pretraining",
        ("simclr", "untrained-x"): "weights",
        ("supervised", "untrained-x"): "weights",
    }
    assert ranking.adjustment == "Holm"


def test_the_front_uses_what_all_have_and_names_what_is_missing() -> None:
    generator = np.random.default_rng(0)

    def cell(name: str, share: float, **said: Any) -> Cell:
        return simulated_cell(generator.random(500) < share, name, **said)

    cells = [
        cell("large", 0.9, parameters=100, brier_score=0.2, device="cpu"),
        cell("small", 0.8, parameters=10, brier_score=0.3, device="cpu"),
        cell("worse", 0.7, parameters=10, brier_score=0.4, device="cpu"),
    ]
    ranking = ranking_of(cells)
    assert {each.contestant.name: each.is_on_front for each in ranking.backbones} == {
        "large": True,
        "small": True,
        "worse": False,
    }
    assert ranking.front.criteria == ("accuracy", "Brier score", "parameters", "seconds per cell")
    assert ranking.front.left_out == ("throughput", "memory")
    front = ranking_of([*cells[:2], cell("unknown", 0.6, device="cuda")]).front
    assert front.criteria == ("accuracy",)
    assert front.left_out == ("Brier score", "parameters", "seconds per cell", "throughput", "memory")


def methods_of(supervised: int, domains: int = 4) -> Any:
    generator = np.random.default_rng(0)
    names = [("simclr", 0.9), ("dino", 0.85), ("byol", 0.88)]
    cells = [
        simulated_cell(generator.random(300) < share, name, f"domain-{domain}", objective=name, source="in1k")
        for domain in range(domains)
        for name, share in names
    ]
    cells += [
        simulated_cell(
            generator.random(300) < 0.6, f"resnet-{index}", f"domain-{domain}", objective="supervised", source="in1k"
        )
        for domain in range(domains)
        for index in range(supervised)
    ]
    (contrast,) = rank_all(cells)[0].methods
    return contrast


def test_methods_are_compared_as_groups_if_there_are_three_of_each() -> None:
    contrast = methods_of(supervised=3)
    assert contrast.first == ("simclr", "dino", "byol") and contrast.num_domains == 4
    assert contrast.verdict == "higher" and 0.2 < contrast.low < contrast.value < contrast.high < 0.35
    assert contrast.p_value < 0.05
    alone = methods_of(supervised=1)
    assert alone.reason == "not testable: one supervised method; 3 are needed"
    assert math.isnan(alone.low) and alone.verdict == "undecided"


def test_pretraining_runs_of_one_objective_are_one_method() -> None:
    generator = np.random.default_rng(0)
    cells = [
        simulated_cell(
            generator.random(100) < 0.8,
            f"{name}-{seed}",
            f"domain-{domain}",
            objective=name,
            pretraining_seed=seed,
            source="in1k",
        )
        for domain in range(3)
        for name, seeds in (("simclr", (0, 1)), ("supervised", (0, 1, 2)))
        for seed in seeds
    ]
    (contrast,) = rank_all(cells)[0].methods
    assert (contrast.first, contrast.second) == (("simclr",), ("supervised",))


def test_the_same_weights_in_two_libraries_are_one_method() -> None:
    generator = np.random.default_rng(0)
    names = (
        ("dino-timm", "dino", "a"),
        ("dino-transformers", "dino", "a"),
        ("mae", "mae", "b"),
        ("tv", "supervised", "c"),
    )
    cells = [
        simulated_cell(
            generator.random(100) < 0.8,
            name,
            f"domain-{domain}",
            objective=objective,
            weights=weights,
            source="photos",
        )
        for domain in range(3)
        for name, objective, weights in names
    ]
    (contrast,) = rank_all(cells)[0].methods
    assert (contrast.first, contrast.second) == (("dino-timm", "mae"), ("tv",))
    accuracies = {(cell.backbone, cell.domain): cell.numbers[0].value for cell in cells}
    of_methods = [[accuracies[name, f"domain-{at}"] for name, *_ in names] for at in range(3)]
    expected = np.mean([(np.mean(row[:2]) + row[2]) / 2 - row[3] for row in of_methods])
    assert contrast.value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("count", "seeds", "studies"),
    [(3, 1, 40), pytest.param(5, 1, 200, marks=pytest.mark.slow), pytest.param(4, 3, 200, marks=pytest.mark.slow)],
)
def test_equal_backbones_seldom_leave_the_top_tier(count: int, seeds: int, studies: int) -> None:
    generator, left = np.random.default_rng(count), []
    for _ in range(studies):
        ranking = ranking_of(equal_backbones(generator, count, 200, seeds=seeds, seed_deviation=0.1 * (seeds > 1)))
        left.append(any(each.tier > 1 for each in ranking.backbones))
    assert np.mean(left) <= 0.06 + 3 * (0.06 * 0.94 / studies) ** 0.5
