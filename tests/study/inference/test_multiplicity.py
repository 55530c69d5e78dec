"""The headline verdicts of a page are adjusted together; everything else is exploratory."""

import math

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.metrics import holm
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.study.inference.judgement import UNDECIDED, verdict_of
from hf_sslgen.study.inference.multiplicity import is_answer
from hf_sslgen.study.inference.study_results import StudyResults, infer_over
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, TOO_FEW
from tests.support.target_differences import changed, target_difference

Z = float(stats.norm.ppf(0.975))


def on_one_domain(p_values: list[float]) -> StudyResults:
    """Differences in accuracy of so many backbones on one domain, with these p-values."""
    errors = [0.01 / -stats.norm.ppf(p / 2.0) for p in p_values]
    targets = [
        target_difference(
            first=f"simclr-{index}",
            second="sup",
            value=0.01,
            low=0.01 - Z * error,
            high=0.01 + Z * error,
            first_objective="simclr",
            second_objective="supervised",
        )
        for index, error in enumerate(errors)
    ]
    return infer_over((), (), targets, {})


def test_headlines_are_adjusted_by_holm_and_the_interval_is_not() -> None:
    p_values = [0.001, 0.02, 0.03, 0.4]
    targets = on_one_domain(p_values).targets
    assert [d.judgement.claimed.p_value for d in targets] == pytest.approx(p_values)
    assert [d.judgement.adjusted_p_value for d in targets] == pytest.approx(holm(p_values))
    assert [d.verdict for d in targets] == ["higher", UNDECIDED, UNDECIDED, UNDECIDED]
    assert [verdict_of(d.low, d.high) for d in targets] == ["higher", "higher", "higher", UNDECIDED]
    assert all(math.isnan(d.judgement.q_value) for d in targets)


def test_equal_differences_do_not_tell_how_domains_vary() -> None:
    (on_digits,) = on_one_domain([0.5]).targets
    values = [0.9 - 0.7, 0.8 - 0.6, 0.5 - 0.3]  # equal but for rounding
    targets = [
        changed(on_digits, domain=f"domain-{index}", value=value, low=value - 0.5, high=value + 0.5)
        for index, value in enumerate(values)
    ]
    results = infer_over((), (), targets, {})
    for group in results.groups:
        claimed = group.judgement.claimed
        assert group.verdict == UNDECIDED and math.isnan(claimed.p_value)
        assert claimed.reason == "the differences do not vary between domains"


def test_one_question_needs_no_adjustment() -> None:
    (target,) = on_one_domain([0.04]).targets
    assert target.judgement.is_headline and target.verdict == "higher"


def test_the_accuracy_that_is_the_headline_on_all_domains_is_judged_once(large_results: StudyResults) -> None:
    for estimates in (large_results.groups, large_results.interactions):
        of_metric = {
            metric: [e.judgement for e in estimates if e.comparison.metric == metric]
            for metric in (HEADLINE_ACCURACY, "accuracy")
        }
        assert of_metric["accuracy"] and all(j in of_metric[HEADLINE_ACCURACY] for j in of_metric["accuracy"])


def test_the_rest_is_exploratory_with_q_values(large_results: StudyResults) -> None:
    estimates = [*large_results.targets, *large_results.groups, *large_results.interactions]
    judgements = list({id(e.judgement): e.judgement for e in estimates}.values())  # a repeated one is the same object
    headlines = [j for j in judgements if j.is_headline]
    others = [j for j in judgements if not j.is_headline and not math.isnan(j.claimed.p_value)]
    assert len(headlines) > 20 and len(others) > 100
    p_values = np.array([j.claimed.p_value for j in headlines if not math.isnan(j.claimed.p_value)])
    adjusted = np.array([j.adjusted_p_value for j in headlines if not math.isnan(j.claimed.p_value)])
    np.testing.assert_allclose(adjusted, holm(p_values))
    expected = stats.false_discovery_control([j.claimed.p_value for j in others])
    np.testing.assert_allclose([j.q_value for j in others], expected)
    assert all(math.isnan(j.adjusted_p_value) for j in others)


def test_a_domain_is_a_headline_only_where_its_group_is_too_small(large_results: StudyResults) -> None:
    for group in large_results.groups:
        if group.comparison.metric in ("accuracy", "mean_per_class_accuracy"):  # may be judged as the headline
            continue
        answers = is_answer(group.comparison)
        assert group.judgement.is_headline == (answers and group.n >= MIN_DOMAINS)
        assert all(d.judgement.is_headline == (answers and group.n < MIN_DOMAINS) for d in group.members)
        assert (group.verdict == TOO_FEW) == (group.n < MIN_DOMAINS)
    in_groups = {(d.first, d.second, d.domain, d.protocol, d.labels) for g in large_results.groups for d in g.members}
    controls = [
        d for d in large_results.targets if (d.first, d.second, d.domain, d.protocol, d.labels) not in in_groups
    ]
    assert controls and not any(d.judgement.is_headline for d in controls)
