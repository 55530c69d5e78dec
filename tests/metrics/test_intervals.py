import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from hf_sslgen.metrics import brier_score, debiased_calibration_error, prediction_confidence, top_label_brier
from hf_sslgen.metrics.intervals import mean_interval, outcome_interval, proportion_interval, skewed_mean_interval
from hf_sslgen.metrics.results import NO_INTERVAL


def test_mean_interval_is_scipys_t_of_the_defined_entries():
    values = np.random.default_rng(0).normal(2.0, 3.0, 40)
    expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
    with_gaps = np.insert(values, [0, 7, 40], np.nan)
    assert mean_interval(values) == pytest.approx((expected.low, expected.high))
    assert mean_interval(with_gaps) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 1.0]])
def test_fewer_than_two_values_have_no_interval(values):
    assert np.isnan(mean_interval(np.array(values))).all()


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 50), (50, 50), (1, 2), (37, 50), (4999, 5000)])
def test_proportion_interval_is_scipys_wilson(successes, n):
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert proportion_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("n", [1, 7, 1000, 50_000])
def test_the_interval_of_nothing_and_of_all_ends_at_the_bound(n):
    assert proportion_interval(0, n).low == 0.0
    assert proportion_interval(n, n).high == 1.0


@pytest.mark.parametrize(("num_wrong", "has_interval"), [(9, False), (10, True), (90, True), (91, False)])
def test_scores_have_no_interval_with_too_few_right_or_wrong(num_wrong, has_interval):
    correct = np.arange(100) >= num_wrong
    values = np.random.default_rng(0).random(100)
    expected = skewed_mean_interval(values) if has_interval else NO_INTERVAL
    np.testing.assert_equal(outcome_interval(values, correct), expected)
    p = np.full(100, 0.8) + values / 10
    for result in (top_label_brier(p, correct), brier_score(np.stack([p, 1 - p], 1), (~correct).astype(int))):
        assert np.isnan(result.intervals["mean"].low) != has_interval
    assert np.isnan(prediction_confidence(p, correct).intervals["gap"].low) != has_interval
    debiased = debiased_calibration_error(p, correct).intervals["debiased_squared_calibration_error"]
    assert np.isnan(debiased.low) != has_interval
