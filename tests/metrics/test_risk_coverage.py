import itertools

import numpy as np
import pytest
from confidence_samples import columns, samples
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import risk_coverage

pytestmark = pytest.mark.filterwarnings("error")


def area_one_by_one(y):
    """Mean risk after each sample, accepted in the order given."""
    return np.mean(np.cumsum(~np.asarray(y, bool)) / np.arange(1, len(y) + 1))


def test_small_case_by_hand():
    result = risk_coverage([0.9, 0.8, 0.8, 0.5], [1, 1, 0, 0])
    np.testing.assert_allclose(result.coverage, [0.25, 0.75, 1.0])
    np.testing.assert_allclose(result.risk, [0.0, 1 / 3, 0.5])
    assert result.aurc == pytest.approx((1 * 0 + 2 / 3 + 0.5) / 4)
    assert result.excess_aurc == pytest.approx(result.aurc - (1 / 3 + 2 / 4) / 4)
    assert result.n == 4


@settings(max_examples=60, deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_agrees_with_a_loop_over_thresholds_in_any_order(pairs, random):
    p, y = columns(pairs)
    expected = 0.0
    for threshold in np.unique(p):
        expected += np.mean(p == threshold) * np.mean(~y[p >= threshold])
    result = risk_coverage(p, y)
    assert result.aurc == pytest.approx(expected, abs=1e-12)
    random.shuffle(pairs)
    shuffled = risk_coverage(*columns(pairs))
    assert shuffled.aurc == pytest.approx(result.aurc, abs=1e-12)
    assert shuffled.excess_aurc == pytest.approx(result.excess_aurc, abs=1e-12)


@pytest.mark.parametrize("n_wrong", range(6))
def test_excess_is_over_the_best_of_all_orderings(n_wrong):
    y = np.array([False] * n_wrong + [True] * (5 - n_wrong))
    p = np.array([0.3, 0.9, 0.5, 0.7, 0.6])
    best = min(area_one_by_one(order) for order in itertools.permutations(y))
    result = risk_coverage(p, y)
    assert result.excess_aurc == pytest.approx(result.aurc - best, abs=1e-15)
    perfect = risk_coverage(np.where(y, 0.9, 0.1) + 0.01 * np.arange(5), y)
    assert perfect.excess_aurc == pytest.approx(0.0, abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(samples)
def test_no_ordering_has_less_than_no_excess(pairs):
    result = risk_coverage(*columns(pairs))
    assert 0.0 <= result.excess_aurc <= result.aurc <= 1.0
    assert result.risk[-1] == pytest.approx(1.0 - columns(pairs)[1].mean())


@pytest.mark.parametrize(("outcome", "aurc"), [(1, 0.0), (0, 1.0)])
def test_one_sided_outcomes(outcome, aurc):
    result = risk_coverage([0.2, 0.4, 0.4], [outcome] * 3)
    assert (result.aurc, result.excess_aurc) == (aurc, 0.0)


def test_equal_confidences_have_the_risk_of_the_whole():
    result = risk_coverage([0.5] * 8, [1] * 6 + [0] * 2)
    assert result.aurc == 0.25
    assert (result.coverage.tolist(), result.risk.tolist()) == ([1.0], [0.25])


@pytest.mark.parametrize(("num_right", "excess"), [(500, 0.35), (900, 0.095)])
def test_excess_depends_on_accuracy_where_confidence_says_nothing(num_right, excess):
    # All tied, the risk is the error rate at every coverage, as it is on average in random order.
    result = risk_coverage(np.full(1000, 0.7), np.arange(1000) < num_right)
    assert result.excess_aurc == pytest.approx(excess, abs=0.005)
