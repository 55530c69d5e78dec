"""Intervals of what few images decide, among the samples in which they are given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_sslgen.metrics import brier_score, prediction_confidence, top_label_brier
from hf_sslgen.metrics.intervals import skewed_mean_interval
from hf_sslgen.metrics.two_groups import (
    MIN_OUTCOMES,
    confidence_interval,
    outcome_interval,
    selected_share_interval,
    two_group_interval,
)


@pytest.mark.parametrize(("k", "n"), [(1, 20), (7, 50), (30, 60)])
def test_without_a_selection_the_share_has_its_mid_p_interval(k, n):
    low, high = selected_share_interval(k, n, 0, n)
    assert stats.binom.sf(k, n, low) + stats.binom.pmf(k, n, low) / 2.0 == pytest.approx(0.025)
    assert stats.binom.cdf(k - 1, n, high) + stats.binom.pmf(k, n, high) / 2.0 == pytest.approx(0.025)


@pytest.mark.parametrize("share", [0.01, 0.03, 0.05, 0.1])
def test_a_selected_share_is_covered_among_the_samples_that_are_looked_at(share):
    """By exact enumeration; Clopper and Pearson's would cover 36% of the samples of 200 with ten events at .02."""
    n, k = 200, np.arange(10, 191)
    bounds = np.array([selected_share_interval(int(i), n, 10, 190) for i in k])
    probability = stats.binom.pmf(k, n, share)
    held = (bounds[:, 0] <= share) & (share <= bounds[:, 1])
    assert probability[held].sum() / probability.sum() > 0.94
    exact = stats.beta.ppf(0.025, k, n - k + 1) <= share
    if share <= 0.03:
        assert probability[exact].sum() / probability.sum() < 0.92


def test_at_the_edge_of_the_selection_the_share_is_bounded_on_one_side():
    assert selected_share_interval(10, 200, 10, 190).low == 0.0
    assert selected_share_interval(190, 200, 10, 190).high == 1.0
    with pytest.raises(ValueError, match="k must lie between least = 10 and most = 190, got 9"):
        selected_share_interval(9, 200, 10, 190)


@pytest.mark.parametrize(("num_wrong", "has_interval"), [(9, False), (10, True), (90, True), (91, False)])
def test_scores_have_no_interval_with_too_few_right_or_wrong(num_wrong, has_interval):
    correct = np.arange(100) >= num_wrong
    values = np.random.default_rng(0).random(100)
    assert np.isnan(outcome_interval(values, correct).low) != has_interval
    p = np.full(100, 0.8) + values / 10
    for result in (top_label_brier(p, correct), brier_score(np.stack([p, 1 - p], 1), (~correct).astype(int))):
        assert np.isnan(result.intervals["mean"].low) != has_interval
    assert np.isnan(prediction_confidence(p, correct).intervals["gap"].low) != has_interval


@pytest.mark.parametrize(("unsure", "has_interval"), [(9, False), (10, True), (99, True)])
def test_mean_confidence_has_no_interval_where_nearly_all_are_sure(unsure, has_interval):
    p = np.where(np.arange(100) < unsure, 0.6, 1.0) - np.linspace(0.0, 0.01, 100)
    assert np.isnan(prediction_confidence(p, np.ones(100)).intervals["mean_confidence"].low) != has_interval


def test_with_nearly_all_in_the_deciding_group_the_interval_is_that_of_the_whole():
    values = np.random.default_rng(1).random(60)
    assert confidence_interval(values, np.full(60, 0.5)) == skewed_mean_interval(values)


def test_groups_of_equal_values_have_the_interval_of_their_share():
    few = np.arange(100) < 30
    interval = two_group_interval(np.where(few, 3.0, 1.0), few, 100)
    share = selected_share_interval(30, 100, MIN_OUTCOMES, 100)
    assert interval == pytest.approx((1.0 + 2.0 * share.low, 1.0 + 2.0 * share.high))


@settings(max_examples=60, deadline=None)
@given(st.integers(MIN_OUTCOMES, 80), st.integers(0, 2**31))
def test_the_interval_holds_the_mean_and_turns_with_its_sign(k, seed):
    values = np.random.default_rng(seed).exponential(size=100)
    few = np.arange(100) < k
    low, high = two_group_interval(values, few, 100)
    assert low <= values.mean() <= high
    assert two_group_interval(-values, few, 100) == pytest.approx((-high, -low))


@pytest.mark.parametrize("number", ["gap", "brier", "likelihood", "mean_confidence"])
def test_accurate_and_over_confident_networks_are_covered_among_the_samples_that_get_an_interval(number):
    """200 images, accuracy .97: the plain interval covers 50 to 85% of the samples with ten wrong predictions."""
    generator = np.random.default_rng(4)
    held, plain, truths = [], [], {"gap": 0.0, "brier": 0.0, "likelihood": 0.0, "mean_confidence": 0.0}
    doubt, right_in_doubt = 0.06, 0.5  # of these p = .8, of the others exactly 1
    accuracy = 1.0 - doubt * (1.0 - right_in_doubt)
    truths["mean_confidence"] = 1.0 - 0.2 * doubt
    truths["gap"] = truths["mean_confidence"] - accuracy
    truths["brier"] = doubt * (right_in_doubt * 0.04 + (1.0 - right_in_doubt) * 0.64)
    truths["likelihood"] = -doubt * (right_in_doubt * np.log(0.8) + (1.0 - right_in_doubt) * np.log(0.2))
    for _ in range(1500):
        in_doubt = generator.random(200) < doubt
        correct = ~in_doubt | (generator.random(200) < right_in_doubt)
        p = np.where(in_doubt, 0.8, 1.0)
        values = {
            "gap": p - correct,
            "brier": np.square(p - correct),
            "likelihood": -np.log(np.where(correct, p, 1.0 - p + 1e-9)),
            "mean_confidence": p,
        }[number]
        interval = confidence_interval(values, p) if number == "mean_confidence" else outcome_interval(values, correct)
        if not np.isnan(interval.low):
            held.append(interval.low <= truths[number] <= interval.high)
            low, high = skewed_mean_interval(values)
            plain.append(low <= truths[number] <= high)
    assert len(held) > 100
    assert 0.92 <= np.mean(held) <= 0.995
    if number != "mean_confidence":
        assert np.mean(plain) < 0.92
