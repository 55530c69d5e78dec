"""Inference over targets against scipy, enumeration, closed forms and a simulation of coverage."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hf_sslgen.metrics import (
    hedges_g,
    holm,
    interaction,
    probability_of_improvement,
    signed_rank_family,
    signed_rank_p_value,
    target_mean,
)

pytestmark = pytest.mark.filterwarnings("error")

DIFFERENCES = [0.031, -0.004, 0.052, 0.018, 0.009, 0.027]
finite = st.floats(-1, 1).map(lambda x: round(x, 3))
samples = st.lists(finite, min_size=1, max_size=9)


def test_mean_and_interval_are_those_of_scipys_paired_t() -> None:
    result = target_mean(DIFFERENCES, level=0.9)
    interval = stats.ttest_1samp(DIFFERENCES, 0).confidence_interval(0.9)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert result.value == pytest.approx(np.mean(DIFFERENCES))
    assert result.standard_deviation == pytest.approx(np.std(DIFFERENCES, ddof=1))
    assert (result.n, result.reason) == (6, "")


def test_two_targets_in_closed_form() -> None:
    result = target_mean([1.0, 3.0])
    half = math.tan(0.475 * math.pi) * math.sqrt(2) / math.sqrt(2)  # one degree of freedom is Cauchy
    assert (result.low, result.high) == pytest.approx((2 - half, 2 + half))
    assert math.isnan(result.effect_size)


def test_one_target_has_a_value_and_a_reason() -> None:
    result = target_mean([0.25])
    assert result.value == 0.25 and math.isnan(result.low) and math.isnan(result.high)
    assert "one target" in result.reason


def test_targets_that_do_not_vary() -> None:
    result = target_mean([0.1] * 4)
    assert (result.low, result.high) == pytest.approx((0.1, 0.1))
    assert math.isnan(result.effect_size) and result.reason


@pytest.mark.parametrize("n", [3, 4, 8])
def test_t_interval_covers_as_it_says(n: int) -> None:
    generator = np.random.default_rng(n)
    draws = generator.normal(0.3, 1.0, (4000, n))
    results = [target_mean(row) for row in draws]
    covered = np.mean([result.low <= 0.3 <= result.high for result in results])
    assert covered == pytest.approx(0.95, abs=0.012)  # 3.5 standard errors


def test_hedges_g_is_unbiased_where_cohens_d_is_not() -> None:
    generator = np.random.default_rng(0)
    draws = generator.normal(0.8, 1.0, (20000, 5))
    assert np.mean([hedges_g(row) for row in draws]) == pytest.approx(0.8, abs=0.02)
    assert np.mean(draws.mean(1) / draws.std(1, ddof=1)) > 0.95


def test_hedges_factor_in_closed_form() -> None:
    x = np.array([0.1, 0.2, 0.6])
    factor = 1 / math.sqrt(math.pi)  # Gamma(1) / (1 * Gamma(1/2))
    assert hedges_g(x) == pytest.approx(factor * x.mean() / x.std(ddof=1))


def test_probability_of_improvement_counts_zero_half() -> None:
    assert probability_of_improvement([1.0, -1.0, 0.0, 2.0]) == 0.625


@given(st.lists(finite.filter(bool), min_size=1, max_size=12, unique_by=abs))
def test_signed_rank_is_scipys_exact_test_without_ties(x: list[float]) -> None:
    assert signed_rank_p_value(x) == pytest.approx(stats.wilcoxon(x, method="exact").pvalue)


@given(st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=8))
def test_signed_rank_with_ties_is_the_enumeration_of_signs(x: list[float]) -> None:
    kept = np.array([value for value in x if value])
    if len(kept) == 0:
        assert signed_rank_p_value(x) == 1.0
        return
    ranks = stats.rankdata(np.abs(kept))
    observed = ranks[kept > 0].sum()
    sums = np.array([np.dot(signs, ranks) for signs in itertools.product((0, 1), repeat=len(kept))])
    expected = min(1.0, 2 * min((sums <= observed).mean(), (sums >= observed).mean()))
    assert signed_rank_p_value(x) == pytest.approx(expected)


@pytest.mark.parametrize(("n", "floor"), [(4, 0.125), (6, 0.03125), (8, 0.0078125)])
def test_floor_is_what_equal_signs_give(n: int, floor: float) -> None:
    x = np.arange(1, n + 1) / 10
    assert signed_rank_p_value(x) == pytest.approx(floor)
    (result,) = signed_rank_family([x])
    assert result.floor == pytest.approx(floor) and result.n == n
    if floor > 0.05:
        assert math.isnan(result.adjusted_p_value) and "out of reach" in result.reason
    else:
        assert result.adjusted_p_value == pytest.approx(floor) and not result.reason


def test_a_family_too_large_for_its_targets_is_not_adjusted() -> None:
    x = np.arange(1, 7) / 10  # floor 0.031 for each of two tests
    results = signed_rank_family([x, -x])
    assert all(math.isnan(result.adjusted_p_value) and "2 tests together" in result.reason for result in results)
    assert all(result.p_value == pytest.approx(0.03125) for result in results)


def test_holm_against_a_worked_example() -> None:
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_plain_and_bonferronis(p: list[float]) -> None:
    adjusted = holm(p)
    assert (adjusted >= np.array(p) - 1e-12).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p)) + 1e-12).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_interaction_is_welchs_t() -> None:
    a, b = DIFFERENCES, [-0.02, 0.01, -0.05, -0.04]
    result = interaction(a, b)
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (result.low, result.high) == pytest.approx((interval.low, interval.high))
    assert result.degrees_of_freedom == pytest.approx(expected.df)
    assert (result.value, result.n_a, result.n_b) == (pytest.approx(np.mean(a) - np.mean(b)), 6, 4)


def test_interaction_of_a_single_target_has_no_interval() -> None:
    result = interaction([0.1], [0.2, 0.3])
    assert result.value == pytest.approx(-0.15) and math.isnan(result.low) and "two targets" in result.reason
    constant = interaction([0.1, 0.1], [0.2, 0.2])
    assert math.isnan(constant.low) and constant.reason


@settings(deadline=None)
@given(samples, st.floats(0.1, 10))
def test_scale_and_sign(x: list[float], factor: float) -> None:
    plain, scaled, turned = target_mean(x), target_mean(np.array(x) * factor), target_mean(-np.array(x))
    assert scaled.value == pytest.approx(plain.value * factor, abs=1e-12)
    assert scaled.effect_size == pytest.approx(plain.effect_size, nan_ok=True, abs=1e-9)
    assert (turned.low, turned.high) == pytest.approx((-plain.high, -plain.low), nan_ok=True, abs=1e-12)
    assert turned.probability_of_improvement == pytest.approx(1 - plain.probability_of_improvement)
    assert signed_rank_p_value(-np.array(x)) == pytest.approx(signed_rank_p_value(x))


@pytest.mark.parametrize("bad", [[], [np.nan], [[1.0]], ["a"]])
def test_wrong_input_is_named(bad: object) -> None:
    for function in (target_mean, hedges_g, signed_rank_p_value, probability_of_improvement):
        with pytest.raises(ValueError, match="differences"):
            function(bad)
    with pytest.raises(ValueError, match="a must"):
        interaction(bad, [1.0, 2.0])
    with pytest.raises(ValueError, match="p_values"):
        holm([1.5])
