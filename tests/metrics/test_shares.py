"""Intervals of shares and of their paired differences, against SciPy, closed forms and exact enumerations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_sslgen.metrics.shares import (
    class_weights,
    credit_interval,
    mean_per_class_interval,
    paired_share_interval,
    share_interval,
)

pytestmark = pytest.mark.filterwarnings("error")


def pairs(above: int, below: int, n: int) -> np.ndarray:
    """Differences of being right on n images: so many in favour of the first model, and of the second."""
    return np.repeat([1.0, -1.0, 0.0], [above, below, n - above - below])


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 50), (50, 50), (1, 2), (37, 50), (196, 200), (4999, 5000)])
def test_a_share_has_scipys_exact_interval(successes, n):
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="exact")
    assert share_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("n", [1, 7, 1000, 50_000])
def test_the_interval_of_nothing_and_of_all_ends_at_the_bound(n):
    assert share_interval(0, n).low == 0.0
    assert share_interval(n, n).high == 1.0


@pytest.mark.parametrize("n", [20, 50])
def test_a_share_near_1_is_covered_by_exact_enumeration(n):
    """Wilson's interval covers 84% where 0.18 events are expected, and 91% at .99 of 50."""
    bounds = np.array([share_interval(k, n) for k in range(n + 1)])
    for share in (0.5, 0.9, 0.97, 0.99, 1.0 - 0.18 / n):
        held = (bounds[:, 0] <= share) & (share <= bounds[:, 1])
        assert stats.binom.pmf(np.arange(n + 1), n, share)[held].sum() >= 0.95


def test_credits_that_vary_less_than_outcomes_have_a_narrower_interval_of_t_where_many_count():
    credits = np.random.default_rng(0).beta(4.0, 4.0, size=2000)
    expected = stats.t.interval(0.95, 1999, credits.mean(), credits.std(ddof=1) / np.sqrt(2000))
    assert credit_interval(np.append(credits, np.nan)) == pytest.approx(expected, abs=5e-4)
    assert np.isnan(credit_interval(np.array([np.nan]))).all()


def test_credits_that_are_all_alike_have_the_interval_of_outcomes():
    low, high = credit_interval(np.full(40, 0.5))
    assert (low, high) == pytest.approx(share_interval(20, 40))


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=1, max_size=60))
def test_a_credit_interval_holds_the_mean_within_bounds_and_mirrors(credits):
    x = np.array(credits)
    low, high = credit_interval(x)
    assert 0.0 <= low <= x.mean() + 1e-9
    assert x.mean() - 1e-9 <= high <= 1.0
    assert low < high
    assert credit_interval(1.0 - x) == pytest.approx((1.0 - high, 1.0 - low), abs=1e-6)


def test_mean_per_class_accuracy_of_equal_classes_has_the_exact_interval():
    references = np.repeat(np.arange(5), 20)
    correct = np.arange(100) % 9 != 0
    assert mean_per_class_interval(correct, references) == pytest.approx(share_interval(int(correct.sum()), 100))


def test_mean_per_class_accuracy_allows_for_errors_that_rare_classes_did_not_show():
    references = np.repeat(np.arange(5), [360, 10, 10, 10, 10])
    correct = np.ones(400, dtype=bool)
    correct[0] = False  # in the common class
    low, _ = mean_per_class_interval(correct, references)
    assert 1.0 - low > 0.2 * stats.binomtest(0, 10).proportion_ci(0.95, method="exact").high
    assert np.isnan(mean_per_class_interval(correct[:-1], references[:-1])).all()


def test_the_mean_per_class_accuracy_of_rare_classes_is_covered():
    generator = np.random.default_rng(2)
    references = np.repeat(np.arange(4), [200, 30, 20, 12])
    held = []
    for _ in range(400):
        correct = generator.random(len(references)) < np.array([0.99, 0.97, 0.95, 0.9])[references]
        low, high = mean_per_class_interval(correct, references)
        held.append(low <= 0.9525 <= high)
    assert np.mean(held) > 0.93


@pytest.mark.parametrize(("above", "below", "decided"), [(4, 0, False), (5, 0, False), (6, 0, True), (9, 2, False)])
def test_a_paired_difference_is_decided_only_where_mcnemars_exact_test_rejects(above, below, decided):
    assert (stats.binomtest(above, above + below).pvalue < 0.05) == decided
    low, high = paired_share_interval(pairs(above, below, 200))
    assert (low > 0.0 or high < 0.0) is decided


def test_none_against_none_is_no_certainty():
    low, high = paired_share_interval(pairs(0, 0, 200))
    assert -low == high == pytest.approx(0.0149, abs=1e-4)  # 1 - .05^(1/200): .95 of the tail is in no event


def test_large_counts_agree_with_tangos_score_interval():
    """Tango (1998): the differences d for which (b - c - n d) / sqrt(n (2 q + d (1 - d))) is 1.96, q given d."""
    b, c, n = 90, 60, 1000

    def statistic(d: float) -> float:
        first = -b - c + (2 * n - b + c) * d
        q = (np.sqrt(first**2 + 8 * n * c * d * (1 - d)) - first) / (4 * n)
        return float((b - c - n * d) / np.sqrt(n * (2 * q + d * (1 - d))))

    low, high = paired_share_interval(pairs(b, c, n))
    assert statistic(low) == pytest.approx(1.96, abs=0.03)
    assert statistic(high) == pytest.approx(-1.96, abs=0.03)


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("shares", [(0.02, 0.0), (0.03, 0.01), (0.05, 0.05), (0.1, 0.05)])
def test_paired_differences_of_rare_events_are_covered_by_exact_enumeration(n, shares):
    """The percentile bootstrap covers 69% where two of 200 differ."""
    total, counts = 0.0, np.arange(int(stats.binom.ppf(1.0 - 1e-6, n, max(shares))) + 1)
    for above in counts:
        for below in counts:
            probability = stats.multinomial.pmf([above, below, n - above - below], n, [*shares, 1.0 - sum(shares)])
            if probability > 1e-5:
                low, high = paired_share_interval(pairs(above, below, n))
                total += probability * (low <= shares[0] - shares[1] <= high)
    assert total > 0.94


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([-1.0, -0.5, 0.0, 0.0, 0.0, 0.5, 1.0]), min_size=1, max_size=60))
def test_a_paired_interval_holds_the_difference_within_bounds_and_turns_with_its_sign(differences):
    d = np.array(differences)
    low, high = paired_share_interval(d)
    assert -1.0 <= low <= d.mean() + 1e-9
    assert d.mean() - 1e-9 <= high <= 1.0
    assert low < high
    assert paired_share_interval(-d) == pytest.approx((-high, -low), abs=1e-9)


def test_averages_over_models_are_narrower_than_outcomes_and_weights_of_equal_classes_change_nothing():
    generator = np.random.default_rng(3)
    a, b = (generator.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=300) for _ in range(2))
    one, both = paired_share_interval(a), paired_share_interval((a + b) / 2.0)
    assert both.high - both.low < 0.85 * (one.high - one.low)
    weights = class_weights(np.arange(300) % 3)
    assert paired_share_interval(a, weights) == pytest.approx(one, abs=1e-9)
