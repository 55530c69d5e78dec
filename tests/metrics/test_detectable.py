"""The smallest detectable difference against simulated tests."""

import math

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.metrics.detectable import minimum_detectable_difference


@pytest.mark.parametrize("degrees_of_freedom", [2, 4, 30])
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_a_difference_of_that_size_is_found_that_often(degrees_of_freedom: int, power: float) -> None:
    generator, repetitions = np.random.default_rng(1), 20_000
    half_width = stats.t.ppf(0.975, degrees_of_freedom)
    true = minimum_detectable_difference(half_width, 1.0, power)
    errors = np.sqrt(generator.chisquare(degrees_of_freedom, repetitions) / degrees_of_freedom)
    found = np.mean(generator.normal(true, 1.0, repetitions) - half_width * errors > 0)
    assert found == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / repetitions))


def test_with_a_known_error_it_is_the_sum_of_two_normal_quantiles() -> None:
    expected = 0.3 * (stats.norm.ppf(0.975) + stats.norm.ppf(0.8))
    assert minimum_detectable_difference(0.3 * stats.norm.ppf(0.975), 0.3) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("half_width", "standard_error"), [(math.nan, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_without_an_interval_there_is_none(half_width: float, standard_error: float) -> None:
    assert math.isnan(minimum_detectable_difference(half_width, standard_error))
