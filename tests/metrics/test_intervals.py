import numpy as np
import pytest
from scipy.stats import ttest_1samp

from hf_sslgen.metrics.defined import interval_of_defined, spread_to_all
from hf_sslgen.metrics.intervals import mean_interval, skewed_mean_interval


def test_mean_interval_is_scipys_t_of_the_defined_entries():
    values = np.random.default_rng(0).normal(2.0, 3.0, 40)
    expected = ttest_1samp(values, 0.0).confidence_interval(0.95)
    with_gaps = np.insert(values, [0, 7, 40], np.nan)
    assert mean_interval(values) == pytest.approx((expected.low, expected.high))
    assert mean_interval(with_gaps) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize("values", [[], [1.0], [np.nan, 1.0]])
def test_fewer_than_two_values_have_no_interval(values):
    assert np.isnan(mean_interval(np.array(values))).all()


def test_without_skewness_the_correction_changes_nothing():
    values = np.concatenate([np.linspace(-1.0, 1.0, 201)])
    assert skewed_mean_interval(values) == pytest.approx(mean_interval(values))


@pytest.mark.parametrize(("num_defined", "has_interval"), [(99, False), (100, True)])
def test_means_of_few_values_have_no_interval(num_defined, has_interval):
    values = np.append(np.random.default_rng(0).exponential(size=num_defined), [np.nan] * 50)
    interval = interval_of_defined(values)
    assert np.isnan(interval.low) != has_interval
    if has_interval:
        assert interval == skewed_mean_interval(values[:num_defined])


@pytest.mark.parametrize("share", [0.03, 0.1])
def test_a_mean_with_few_values_far_off_is_covered_from_100_values_on(share):
    """With 50 values the interval would cover 87 to 89%, and a rule that looks at skewness would make it worse."""
    generator = np.random.default_rng(5)
    held = []
    for _ in range(800):
        values = generator.normal(size=100) + 8.0 * (generator.random(100) < share)
        low, high = interval_of_defined(values)
        held.append(low <= 8.0 * share <= high)
    assert 0.90 <= np.mean(held) <= 0.985


def test_values_spread_to_all_samples_keep_the_mean_and_its_error():
    values = np.array([1.0, np.nan, 4.0, np.nan, 7.0, 2.0])
    spread = spread_to_all(values)
    assert spread.mean() == pytest.approx(3.5)
    assert spread[1] == spread[3] == pytest.approx(3.5)
    of_mean = np.square(values[~np.isnan(values)] - 3.5).sum() / 4**2
    assert np.square(spread - 3.5).sum() / 6**2 == pytest.approx(of_mean)
    assert np.isnan(spread_to_all(np.full(3, np.nan))).all()
