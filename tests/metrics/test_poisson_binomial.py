"""Expected deviations of numbers of hits, against enumeration, convolution, simulation and a closed form."""

from itertools import product
from math import floor, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from hf_sslgen.metrics import expected_calibration_error
from hf_sslgen.metrics.calibration import assign_bins
from hf_sslgen.metrics.poisson_binomial import mean_absolute_deviations

pytestmark = pytest.mark.filterwarnings("error")


def deviation(p):
    p = np.asarray(p, dtype=np.float64)
    return mean_absolute_deviations(p, np.zeros(len(p), dtype=np.int64), 1)[0]


def convolved(p):
    share = np.ones(1)
    for probability in p:
        share = np.convolve(share, [1 - probability, probability])
    return np.abs(np.arange(len(share)) - np.sum(p)) @ share


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_agrees_with_an_enumeration_of_all_outcomes(p):
    outcomes = product([0, 1], repeat=len(p))
    expected = sum(
        abs(sum(y) - sum(p)) * prod(q if hit else 1 - q for q, hit in zip(p, y, strict=True)) for y in outcomes
    )
    assert deviation(p) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_agrees_with_a_convolution_where_confidences_are_saturated_or_not(seed):
    generator = np.random.default_rng(seed)
    n = int(generator.integers(5, 2000))
    rest = 10 ** generator.uniform(-9, -1, n)
    for p in (
        1 - rest,
        np.where(generator.random(n) < 0.5, rest, 1 - rest),
        generator.beta(*generator.uniform(0.05, 3, 2), n),
    ):
        assert deviation(p) == pytest.approx(convolved(p), rel=2e-5, abs=1e-12)


@pytest.mark.parametrize("p", [0.003, 0.2, 0.5, 0.97])
@pytest.mark.parametrize("variance", [24.9, 25.1, 200.0])
def test_agrees_with_the_closed_form_of_the_binomial_on_both_sides_of_the_change(p, variance):
    n = round(variance / p / (1 - p))
    k = floor(n * p) + 1
    assert deviation(np.full(n, p)) == pytest.approx(2 * k * (1 - p) * binom.pmf(k, n, p), rel=2e-5)  # de Moivre


def test_groups_are_apart_and_certain_or_missing_trials_add_nothing():
    p = np.array([0.9, 0.0, 0.3, 1.0, 0.8])
    found = mean_absolute_deviations(p, np.array([2, 1, 0, 1, 2]), 4)
    np.testing.assert_allclose(found, [2 * 0.3 * 0.7, 0.0, convolved([0.9, 0.8]), 0.0], rtol=1e-12)
    np.testing.assert_array_equal(mean_absolute_deviations(p[:0], np.empty(0, dtype=np.int64), 2), [0.0, 0.0])


def test_sums_do_not_depend_on_the_order():
    p = 1 - 10 ** np.random.default_rng(0).uniform(-6, -1, 400)
    assert deviation(p) == deviation(p[::-1])


@pytest.mark.parametrize(("num_samples", "sharpness"), [(50, 6.0), (200, 8.0), (1000, 8.0)])
def test_a_saturated_calibrated_model_gets_on_average_what_is_foretold(num_samples, sharpness):
    generator = np.random.default_rng(num_samples)
    p = 1 / (1 + np.exp(-generator.uniform(0.0, 2 * sharpness, num_samples)))
    draws = generator.random((4000, num_samples)) < p
    _, index = assign_bins(p, 15)
    excess = np.stack([(draws - p)[:, index == b].sum(axis=1) for b in range(15)])
    errors = np.abs(excess).sum(axis=0) / num_samples
    foretold = expected_calibration_error(p, np.ones(num_samples)).ece_if_calibrated
    assert foretold == pytest.approx(errors.mean(), abs=4 * errors.std() / np.sqrt(len(errors)))


def test_where_one_prediction_in_a_hundred_thousand_is_wrong_the_normal_approximation_is_several_times_off():
    p = np.full(1000, 1 - 1e-5)
    foretold = expected_calibration_error(p, np.ones(1000)).ece_if_calibrated
    assert foretold == pytest.approx(2 * 1e-5 * (1 - 1e-5) ** 1000, rel=1e-6)
    assert np.sqrt(2 / np.pi * 1000 * 1e-5) / 1000 > 4 * foretold
