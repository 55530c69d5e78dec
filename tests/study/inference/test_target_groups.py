"""Averages over seeds and inference over targets, against the cells' own records and the metrics they rest on."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.errors import InputError
from hf_sslgen.metrics import holm, signed_rank_p_value
from hf_sslgen.metrics.catalogue import rows
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, OF_MAPS, names_of
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.contrasts import cell_key, compare_all
from hf_sslgen.study.inference.differences import Difference
from hf_sslgen.study.inference.interactions import interactions
from hf_sslgen.study.inference.seed_averages import TargetDifference, target_differences
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import group_differences, headline_accuracies
from tests.support.target_differences import changed, target_difference


@pytest.fixture
def cells(large_results: StudyResults) -> list[Cell]:
    return list(large_results.cells)


@pytest.fixture
def results(large_results: StudyResults) -> StudyResults:
    return large_results


def targets_of(results: StudyResults, metric: str, **keys: object) -> list[TargetDifference]:
    return [d for d in results.targets if d.metric == metric and all(vars(d)[k] == v for k, v in keys.items())]


def test_pretraining_seeds_meet_their_own_twin(results: StudyResults) -> None:
    pairs = {(d.first, d.second) for d in results.differences if d.second_objective == "supervised"}
    assert pairs == {
        ("resnet50-simclr-seed0", "resnet50-supervised-seed0"),
        ("resnet50-simclr-seed1", "resnet50-supervised-seed1"),
        ("resnet50-dino", "resnet50-supervised-seed0"),
    }


def test_seeds_are_averaged_within_and_then_over_pretraining_runs(cells, results: StudyResults) -> None:
    (target,) = targets_of(
        results, "accuracy", first="simclr", second="supervised", domain="similar-domain-0", protocol="finetune"
    )
    by_key = {cell_key(cell): cell for cell in cells}

    def apart(run: int, seed: int) -> np.ndarray:
        sides = [
            by_key[f"resnet50-{name}-seed{run}", "similar-domain-0", "finetune", "100%", seed]
            .records()
            .set_index("sample_id")["correct"]
            for name in ("simclr", "supervised")
        ]
        return (sides[0] - sides[1]).to_numpy()

    per_image = np.array([[apart(run, seed) for seed in (0, 1)] for run in (0, 1)])  # (runs, seeds, images)
    values = per_image.mean(axis=2)
    assert target.value == pytest.approx(values.mean())
    assert target.seed_spread == pytest.approx(np.sqrt(values.var(axis=1, ddof=1).mean()))
    assert target.pretraining_seed_spread == pytest.approx(values.mean(axis=1).std(ddof=1))
    assert (target.num_seeds, target.num_pretraining_seeds) == (4, 2)

    averaged = per_image.mean(axis=(0, 1))  # all runs on the same resampled images
    generator = np.random.default_rng(3)
    means = averaged[generator.integers(0, len(averaged), (4000, len(averaged)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    assert (target.low, target.high) == pytest.approx((low, high), abs=0.08 * (high - low))


def test_a_missing_seed_weighs_its_run_no_less(cells) -> None:
    keys = ("similar-domain-0", "finetune")
    some = [c for c in cells if (c.domain, c.protocol) == keys and c.objective in ("simclr", "supervised")]
    some = [c for c in some if (c.pretraining_seed, c.seed) != (1, 1)]
    differences = [d for d in compare_all(some) if d.metric == "accuracy"]
    by_run = {(d.pretraining_seed, d.seed): d.value for d in differences}
    assert set(by_run) == {(0, 0), (0, 1), (1, 0)}
    (target,) = [d for d in target_differences(some, differences) if d.metric == "accuracy"]
    assert target.value == pytest.approx(((by_run[0, 0] + by_run[0, 1]) / 2 + by_run[1, 0]) / 2)
    assert (target.num_seeds, target.num_pretraining_seeds) == (3, 2)


def test_one_run_is_the_difference_itself(results: StudyResults) -> None:
    keys = {"first": "resnet50-dino", "protocol": "linear", "labels": "10%", "domain": "different-domain-2"}
    (target,) = targets_of(results, "brier_score", second="resnet50-supervised-seed0", **keys)
    (difference,) = [
        d
        for d in results.differences
        if d.metric == "brier_score"
        and d.second == "resnet50-supervised-seed0"
        and all(vars(d)[k] == v for k, v in keys.items())
    ]
    assert (target.value, target.low, target.high) == (difference.value, difference.low, difference.high)
    assert math.isnan(target.seed_spread) and math.isnan(target.pretraining_seed_spread)


def test_two_networks_without_seeds_are_not_replicates() -> None:
    base = Difference("accuracy", "a", "b", "d", "similar", "linear", "pretrained", "", "", 0, 0.1, 0.0, 0.2, 10)
    named = [
        replace(base, first=name, first_objective="dino", second_objective="supervised")
        for name in ("dino-s", "dino-b")
    ]
    assert [d.first for d in target_differences([], named)] == ["dino-s", "dino-b"]
    twice = [replace(d, pretraining_seed=0) for d in named]
    assert [d.first for d in target_differences([], twice)] == ["dino-s", "dino-b"]


def test_label_budgets_and_protocols_stay_apart(results: StudyResults) -> None:
    found = {(d.protocol, d.labels) for d in results.targets}
    assert found == {
        ("pretrained", "100%"),
        ("linear", "100%"),
        ("linear", "10%"),
        ("finetune", "100%"),
        ("few-shot", "5-shot"),
    }
    episodes = targets_of(results, "accuracy", protocol="few-shot")
    assert episodes and {d.unit for d in episodes} == {"episodes"} and {d.n for d in episodes} == {120}
    assert not targets_of(results, "gini", protocol="few-shot")


def test_groups_are_student_t_over_targets(results: StudyResults) -> None:
    checked = 0
    for group in results.groups:
        assert group.comparison.second in ("supervised", "resnet50-supervised-seed0")
        values = [d.value for d in group.members]
        # One domain alone marks its objects, and one alone has maps of the encoder as published.
        is_everywhere = group.comparison.metric not in names_of(OF_MAPS) or len(values) == 3
        assert len(set(group.domains)) == group.n == (3 if is_everywhere else 1)
        assert {d.group for d in group.members} == {group.group}
        if not is_everywhere:
            assert math.isnan(group.low) and math.isnan(group.high)
            continue
        interval = stats.ttest_1samp(values, 0).confidence_interval()
        assert (group.value, group.low, group.high) == pytest.approx((np.mean(values), *interval))
        checked += 1
    assert checked > 50


def test_tests_are_adjusted_within_their_family(results: StudyResults) -> None:
    # eight targets of each group, so that the family of six can reach 0.05
    many = [changed(d, domain=f"{d.domain}-{i}", value=d.value + i * 1e-4) for i in range(3) for d in results.targets]
    groups = group_differences(many, {})
    family = [
        g
        for g in groups
        if (g.comparison.first, g.comparison.protocol, g.comparison.labels, g.group)
        == ("simclr", "linear", "100%", "similar")
        and (g.comparison.metric, g.comparison.transform) in rows.tested_numbers()
    ]
    assert family[0].comparison.metric == HEADLINE_ACCURACY and len(family) == 6
    p_values = [signed_rank_p_value([d.value for d in g.members]) for g in family]
    assert [g.signed_rank_p_value for g in family] == pytest.approx(p_values)
    assert [g.adjusted_signed_rank_p_value for g in family] == pytest.approx(holm(p_values))
    untested = [g for g in groups if g.comparison.metric == "mean_confidence"]
    assert untested and all(math.isnan(g.signed_rank_p_value) for g in untested)
    few = [g for g in results.groups if (g.comparison.metric, g.comparison.transform) in rows.tested_numbers()]
    assert all("out of reach" in g.signed_rank_reason and math.isnan(g.adjusted_signed_rank_p_value) for g in few)


def test_interaction_is_different_minus_similar(results: StudyResults) -> None:
    (found,) = [
        i
        for i in results.interactions
        if (i.comparison.metric, i.comparison.first, i.comparison.protocol, i.comparison.labels)
        == (HEADLINE_ACCURACY, "simclr", "linear", "100%")
    ]
    values = {
        group: [
            d.value
            for d in targets_of(results, "accuracy", group=group, first="simclr", protocol="linear")
            if d.labels == "100%" and d.second == "supervised"
        ]
        for group in ("similar", "different")
    }
    expected = stats.ttest_ind(values["different"], values["similar"], equal_var=False).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert (found.n_similar, found.n_different) == (3, 3)


def test_each_domain_is_judged_by_its_own_accuracy() -> None:
    base = target_difference(
        first="a", second="b", domain="d", value=0.1, low=0.0, high=0.2, n=10, second_objective="supervised"
    )
    per_class = changed(base, metric="mean_per_class_accuracy", value=0.3)
    elsewhere = changed(base, domain="e", value=0.5)
    targets = [base, per_class, elsewhere]
    assert headline_accuracies(targets, {"d": "mean_per_class_accuracy"}) == [per_class, elsewhere]
    (group,) = [
        g
        for g in group_differences(targets, {"d": "mean_per_class_accuracy"})
        if g.comparison.metric == HEADLINE_ACCURACY
    ]
    assert group.value == pytest.approx(0.4)
    assert headline_accuracies([base], {"d": "mean_per_class_accuracy"}) == [base]  # all an episode has


def test_what_can_not_be_had_is_no_target() -> None:
    base = target_difference(
        metric="gini",
        first="a",
        second="b",
        domain="d",
        value=float("nan"),
        low=0.0,
        high=0.2,
        n=10,
        second_objective="supervised",
    )
    assert group_differences([base], {}) == [] and interactions([base], {}) == []


def test_cells_that_can_not_be_told_apart_are_refused(cells) -> None:
    with pytest.raises(InputError, match="two cells have resnet50-dino"):
        compare_all([cells[0], replace(cells[0], folder=cells[1].folder)])
