import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from hf_sslgen.metrics.intervals import mean_interval, proportion_interval


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
