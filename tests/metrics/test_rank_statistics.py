"""Ranks of many methods, against brute force, SciPy and values worked out by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from hf_sslgen.metrics.rank_statistics import (
    adjust_all_pairs,
    average_ranks,
    compare_method_groups,
    pareto_front,
    tiers,
)
from hf_sslgen.metrics.run_variance import widened_interval
from hf_sslgen.metrics.target_inference import holm

VALUES = arrays(float, st.tuples(st.integers(2, 6), st.integers(2, 5)), elements=st.integers(0, 4).map(float))


def numbers_of_equal_pairs(count: int) -> set[int]:
    """By giving every method one of `count` values, in all ways."""
    return {
        sum(a == b for a, b in itertools.combinations(values, 2))
        for values in itertools.product(range(count), repeat=count)
    }


@given(
    st.integers(2, 5).flatmap(
        lambda k: st.tuples(st.just(k), arrays(float, k * (k - 1) // 2, elements=st.floats(0, 1)))
    )
)
def test_all_pairs_are_adjusted_by_how_many_can_be_equal(drawn: tuple[int, np.ndarray]) -> None:
    count, p_values = drawn
    possible, pairs = numbers_of_equal_pairs(count), len(p_values)
    expected, largest = np.empty(pairs), 0.0
    for step, index in enumerate(np.argsort(p_values, kind="stable")):
        factor = max(number for number in possible if number <= pairs - step)
        largest = max(largest, min(1.0, factor * p_values[index]))
        expected[index] = largest
    found = adjust_all_pairs(p_values, count)
    assert found == pytest.approx(expected)
    assert (found <= holm(p_values) + 1e-12).all() and (found >= p_values).all()


def test_three_methods_gain_most() -> None:
    assert adjust_all_pairs([0.01, 0.03, 0.04], 3) == pytest.approx([0.03, 0.03, 0.04])  # factors 3, 1, 1
    with pytest.raises(ValueError, match="p_values must be 3 numbers"):
        adjust_all_pairs([0.1, 0.2], 3)


@given(VALUES)
def test_average_ranks_and_friedman_are_scipys(values: np.ndarray) -> None:
    found = average_ranks(values)
    ranks = np.array([stats.rankdata(-row) for row in values])
    assert found.ranks == pytest.approx(ranks.mean(axis=0))
    if values.shape[1] > 2 and np.ptp(ranks, axis=1).any():
        expected = stats.friedmanchisquare(*values.T).pvalue
        assert found.p_value == pytest.approx(expected)
    else:
        assert math.isnan(found.p_value)
    for method, column in enumerate(ranks.T):
        if np.ptp(column) > 0:
            interval = stats.t.interval(0.95, len(column) - 1, column.mean(), stats.sem(column))
            low, high = np.clip(interval, 1, values.shape[1])
            assert (found.low[method], found.high[method]) == pytest.approx((low, high))
        else:
            assert math.isnan(found.low[method])


def test_tiers_are_opened_by_the_best_that_is_left() -> None:
    apart, alike = 0.01, 0.5
    p = np.array(
        [
            [math.nan, alike, apart, alike],
            [alike, math.nan, apart, apart],
            [apart, apart, math.nan, alike],
            [alike, apart, alike, math.nan],
        ]
    )
    assert tiers([0.9, 0.8, 0.7, 0.6], p) == [1, 1, 2, 1]  # the fourth is not told apart from the first
    assert tiers([0.6, 0.9, 0.7, 0.8], p) == [1, 1, 2, 2]
    assert tiers([0.9, 0.8, 0.7, 0.6], np.full((4, 4), math.nan)) == [1, 1, 1, 1]
    assert tiers([0.9, 0.8, 0.7, 0.6], np.full((4, 4), 0.0)) == [1, 2, 3, 4]


@given(VALUES)
def test_the_front_holds_what_nothing_dominates(criteria: np.ndarray) -> None:
    def dominates(a: np.ndarray, b: np.ndarray) -> bool:
        return all(x >= y for x, y in zip(a, b, strict=True)) and any(x > y for x, y in zip(a, b, strict=True))

    expected = [not any(dominates(other, each) for other in criteria) for each in criteria]
    assert pareto_front(criteria).tolist() == expected


def test_methods_are_the_unit_when_domains_add_nothing() -> None:
    first, second = np.array([0.9, 0.8, 0.85, 0.7]), np.array([0.6, 0.7, 0.62])
    shift = np.linspace(-0.1, 0.1, 5)[:, None]  # domains are easier or harder for all alike
    found = compare_method_groups(first + shift, second + shift)
    welch = stats.ttest_ind(first, second, equal_var=False)
    assert found.value == pytest.approx(first.mean() - second.mean())
    assert found.methods.degrees_of_freedom == math.floor(welch.df)
    assert found.methods.column == pytest.approx((found.value / welch.statistic) ** 2)
    assert found.methods.row == pytest.approx(0.0, abs=1e-12)


def test_few_methods_or_domains_say_nothing_of_others() -> None:
    generator = np.random.default_rng(0)
    one = compare_method_groups(generator.normal(size=(4, 1)), generator.normal(size=(4, 3)))
    assert not one.methods.is_testable
    assert math.isnan(widened_interval(one.value, one.over_domains, one.methods, 3.0).low)
    alone = compare_method_groups(generator.normal(size=(1, 3)), generator.normal(size=(1, 3)))
    assert math.isnan(alone.over_domains.low)
    with pytest.raises(ValueError, match="the same domains, got 4 and 3"):
        compare_method_groups(np.zeros((4, 2)), np.zeros((3, 2)))


def test_groups_of_equal_methods_are_seldom_told_apart() -> None:
    generator, wrong = np.random.default_rng(0), []
    for _ in range(600):
        domain = generator.normal(size=(6, 1))
        a, b = (domain + generator.normal(size=(1, k)) + 0.5 * generator.normal(size=(6, k)) for k in (5, 4))
        found = compare_method_groups(a, b)
        interval = widened_interval(found.value, found.over_domains, found.methods, 5.0)
        wrong.append(interval.low > 0 or interval.high < 0)
    assert 0.01 < np.mean(wrong) < 0.07
