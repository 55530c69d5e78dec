"""What a planned design finds agrees with what a study of that design reports, and with how often it finds it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulated_differences import draw_domains, simulated_targets

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.metrics.variance_components import Design, VarianceComponents
from hf_sslgen.study.inference.design.assumed_components import IMAGENET_SIZE, SMALL, assumption_for
from hf_sslgen.study.inference.design.design_power import (
    cheapest_extension,
    detectable_on_domain,
    detectable_over_domains,
)
from hf_sslgen.study.inference.design.measured_components import NOTHING_KNOWN, measure_components
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS
from hf_sslgen.study.inference.target_groups import group_differences

TRUE = VarianceComponents(
    image=0.1, image_training=0.08, image_run=0.08, training=4e-4, run_on_domain=4e-4, run=4e-4, domain=9e-4
)
DESIGN = Design(images=400, seeds=3, runs=4, domains=6)


def sizes(scopes: tuple) -> dict[str, float]:
    return {each.scope: each.minimum_detectable_difference for each in scopes}


def reports_no_negative_variance(seed: int) -> bool:
    """Whether a draw is one of those whose estimates are all positive, so that none was set to zero."""
    found = measure_components(simulated_targets(draw_domains(TRUE, DESIGN, 0.0, np.random.default_rng(seed))), TRUE)
    return min(vars(found.components).values()) > 0.0


def test_the_plan_of_a_study_as_it_was_made_says_what_that_study_reports() -> None:
    seed = next(seed for seed in range(50) if reports_no_negative_variance(seed))
    targets = simulated_targets(draw_domains(TRUE, DESIGN, 0.01, np.random.default_rng(seed)))
    one = measure_components(targets[:1], NOTHING_KNOWN)
    planned = detectable_on_domain(one.components, DESIGN)
    assert sizes(planned) == pytest.approx(sizes(targets[0].judgement.scopes), rel=1e-9)

    (group,) = group_differences(targets, {})[:1]
    measured = measure_components(targets, NOTHING_KNOWN)
    assert measured.assumed == () and measured.num_differences == 6
    over = detectable_over_domains(measured.components, DESIGN)
    assert sizes(over) == pytest.approx(sizes(group.judgement.scopes), rel=1e-9)


def test_intervals_over_groups_of_images_are_read_with_their_degrees_of_freedom() -> None:
    over_images = simulated_targets(draw_domains(TRUE, DESIGN, 0.01, np.random.default_rng(0)))[:1]
    half = (over_images[0].high - over_images[0].low) / 2 * stats.t.ppf(0.975, 9) / stats.norm.ppf(0.975)
    value = (over_images[0].high + over_images[0].low) / 2
    grouped = [replace(over_images[0], low=value - half, high=value + half, row_degrees_of_freedom=9.0)]
    one, other = (measure_components(each, NOTHING_KNOWN).components.image for each in (over_images, grouped))
    assert one == pytest.approx(other) and one > 0


def test_components_are_recovered_on_average() -> None:
    found = [
        measure_components(simulated_targets(draw_domains(TRUE, DESIGN, 0.0, np.random.default_rng(seed))), TRUE)
        for seed in range(40)
    ]
    for name, true in vars(TRUE).items():
        estimates = np.array([vars(each.components)[name] for each in found])
        error = estimates.std(ddof=1) / math.sqrt(len(estimates))
        assert abs(estimates.mean() - true) < 4 * error + 0.05 * true, name


def test_a_true_difference_of_that_size_is_found_in_four_of_five_studies() -> None:
    design, generator = Design(images=100, seeds=3, runs=5, domains=1), np.random.default_rng(1)
    (planned,) = (size for scope, size in sizes(detectable_on_domain(TRUE, design)).items() if scope == PRETRAINING)
    on_domains = replace(TRUE, domain=0.0)
    found = [
        simulated_targets(draw_domains(on_domains, design, planned, generator))[0].judgement.scopes[2].low > 0.0
        for _ in range(200)
    ]
    assert 0.70 < np.mean(found) < 0.90

    design = Design(images=50, seeds=1, runs=4, domains=5)
    planned = sizes(detectable_over_domains(TRUE, design))[PRETRAINING]
    found = []
    for _ in range(120):
        targets = simulated_targets(draw_domains(TRUE, design, planned, generator))
        found.append(group_differences(targets, {})[0].judgement.scopes[1].low > 0.0)
    assert 0.68 < np.mean(found) < 0.92


def test_a_scope_with_too_few_runs_says_how_many_would_do() -> None:
    scopes = detectable_on_domain(TRUE, Design(images=100, seeds=1, runs=1, domains=1))
    assert [math.isnan(each.minimum_detectable_difference) for each in scopes] == [False, True, True]
    assert scopes[1].reason == scopes[2].reason == "not testable: one run; 3 are needed"
    over = detectable_over_domains(TRUE, Design(images=100, seeds=1, runs=2, domains=2))
    assert {each.reason for each in over} == {"not testable: 2 domains; 3 are needed"}
    over = detectable_over_domains(TRUE, Design(images=100, seeds=1, runs=2, domains=3))
    assert [each.reason for each in over] == ["", "not testable: 2 runs; 3 are needed"]


def test_an_unknown_variance_is_never_taken_for_none() -> None:
    design = Design(images=100, seeds=3, runs=3, domains=3)
    scopes = detectable_on_domain(replace(TRUE, training=math.nan, run=math.nan), design)
    assert not math.isnan(scopes[0].minimum_detectable_difference)
    assert [each.reason for each in scopes[1:]] == [
        "the variance between training seeds is not known",
        "the variance between pretraining runs is not known",
    ]
    over = detectable_over_domains(replace(TRUE, domain=math.nan), design)
    assert {each.reason for each in over} == {"the variance between domains is not known"}


def test_what_an_earlier_study_does_not_tell_is_assumed() -> None:
    single = Design(images=200, seeds=1, runs=1, domains=1)
    targets = simulated_targets(draw_domains(TRUE, single, 0.0, np.random.default_rng(0)))
    found = measure_components(targets, SMALL.of(HEADLINE_ACCURACY))
    assert found.assumed == ("training seeds", "pretraining runs", "domains")
    assert found.components.training == SMALL.accuracy.training
    assert found.components.image == pytest.approx(0.26, rel=0.3)
    nothing = measure_components(targets, NOTHING_KNOWN)
    assert math.isnan(nothing.components.training) and not math.isnan(nothing.components.image)
    assert measure_components([], SMALL.accuracy).components == SMALL.accuracy


def test_repeats_that_give_the_same_cells_are_one_run() -> None:
    targets = simulated_targets(draw_domains(TRUE, Design(100, 1, 1, 1), 0.0, np.random.default_rng(0)))
    assert not measure_components(targets, NOTHING_KNOWN).repeats_are_one_run
    assert measure_components([replace(targets[0], num_seeds=3)], NOTHING_KNOWN).repeats_are_one_run


def cells_of(design: Design) -> int:
    return 2 * design.runs * design.seeds * design.domains


def brute_force(scope: str, most_cells: int) -> int:
    """The fewest cells among all designs, tried one by one."""
    wanted = sizes(detectable_over_domains(TRUE, DESIGN))[scope] / 2
    return min(
        cells_of(candidate)
        for domains in range(6, 41)
        for runs in range(4, 13)
        for seeds in range(3, 6)
        if cells_of(candidate := replace(DESIGN, domains=domains, runs=runs, seeds=seeds)) <= most_cells
        and sizes(detectable_over_domains(TRUE, candidate))[scope] <= wanted
    )


def test_the_cheapest_extension_is_the_one_of_trying_all() -> None:
    most = Design(images=400, seeds=30, runs=40, domains=60)
    found = cheapest_extension(TRUE, DESIGN, detectable_over_domains, PRETRAINING, cells_of, most)
    assert found is not None
    planned = sizes(detectable_over_domains(TRUE, DESIGN))[PRETRAINING]
    assert found.minimum_detectable_difference <= planned / 2
    assert found.additional_cells == cells_of(found.design) - cells_of(DESIGN)
    best = brute_force(PRETRAINING, cells_of(found.design))
    assert best <= cells_of(found.design) <= 1.1 * best  # sizes far above the plan are tried in steps


def test_more_images_cost_no_cells_and_nothing_may_be_enough() -> None:
    design = Design(images=100, seeds=1, runs=1, domains=1)
    most = replace(design, images=1000, seeds=10)
    found = cheapest_extension(TRUE, design, detectable_on_domain, WEIGHTS, cells_of, most)
    assert found is not None and found.additional_cells == 0 and found.design.images == 1000
    most = replace(design, seeds=10)
    assert cheapest_extension(TRUE, design, detectable_on_domain, WEIGHTS, cells_of, most) is None


def test_assumptions_follow_the_size_of_the_input() -> None:
    assert assumption_for(64) is SMALL and assumption_for(224) is assumption_for(None) is IMAGENET_SIZE
    assert SMALL.of("gini") is NOTHING_KNOWN
    scopes = sizes(detectable_on_domain(IMAGENET_SIZE.accuracy, Design(10_000, 3, 3, 1)))
    assert 0.005 < scopes[WEIGHTS] < scopes[TRAINING] < scopes[PRETRAINING] < 0.03
