import json
from pathlib import Path

import numpy as np
import pytest
from confidence_samples import columns, samples, simulated
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from hf_sslgen.metrics import (
    expected_calibration_error,
    prediction_confidence,
    reliability_bins,
    reliability_null_band,
)

pytestmark = pytest.mark.filterwarnings("error")
NETCAL = json.loads((Path(__file__).parent / "reference_values" / "netcal.json").read_text())["cases"]


# --- expected calibration error ---


def test_bins_of_the_confident_end():
    confidences = [0.95] * 50 + [1.0] * 50
    correct = [1] * 50 + [1] * 45 + [0] * 5
    assert expected_calibration_error(confidences, correct).expected_calibration_error == pytest.approx(0.025)


def test_edges_are_right_closed_and_exact():
    result = expected_calibration_error([0.3, 0.35], [1, 0], num_bins=10)
    assert result.expected_calibration_error == pytest.approx(0.525)
    assert result.bin_counts.tolist() == [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("num_bins", [1, 7, 10, 15, 20])
def test_each_edge_belongs_to_the_bin_below_it(num_bins):
    edges = np.arange(num_bins + 1) / num_bins
    result = expected_calibration_error(edges, np.ones(num_bins + 1), num_bins)
    assert result.bin_edges.tolist() == edges.tolist()
    assert result.bin_counts.tolist() == [2] + [1] * (num_bins - 1)  # the first bin also holds 0


def test_float32_is_compared_after_upcasting():
    result = expected_calibration_error(np.array([0.3], dtype=np.float32), [1], num_bins=10)
    assert int(np.argmax(result.bin_counts)) == 3


def test_table_by_hand_with_empty_bins_as_nan():
    result = expected_calibration_error([0.1, 0.9, 0.7], [0, 1, 0], num_bins=4)
    assert result.bin_counts.tolist() == [1, 0, 1, 1]
    np.testing.assert_allclose(result.bin_confidence, [0.1, np.nan, 0.7, 0.9])
    np.testing.assert_allclose(result.bin_accuracy, [0.0, np.nan, 0.0, 1.0])
    assert result.expected_calibration_error == pytest.approx((0.1 + 0.7 + 0.1) / 3)
    assert result.ece_if_calibrated == pytest.approx(2 * (0.09 + 0.21 + 0.09) / 3)  # a lone p is off by 2 p (1 - p)


@settings(max_examples=80, deadline=None)
@given(samples, st.integers(1, 12), st.integers(2, 4), st.randoms(use_true_random=False))
def test_ece_properties(pairs, num_bins, factor, random):
    p, y = columns(pairs)
    ece = expected_calibration_error(p, y, num_bins).expected_calibration_error
    gap = prediction_confidence(p, y).gap
    assert ece >= abs(gap) - 1e-12
    assert expected_calibration_error(p, y, 1).expected_calibration_error == pytest.approx(abs(gap), abs=1e-12)
    # a multiple of the number of bins keeps every edge and adds others
    assert expected_calibration_error(p, y, num_bins * factor).expected_calibration_error >= ece - 1e-12
    random.shuffle(pairs)
    assert expected_calibration_error(*columns(pairs), num_bins).expected_calibration_error == pytest.approx(ece)


@pytest.mark.parametrize("case", NETCAL, ids=lambda case: f"{len(case['correct'])} in {case['num_bins']} bins")
def test_agrees_with_netcal(case):
    result = expected_calibration_error(case["confidences"], case["correct"], case["num_bins"])
    assert result.expected_calibration_error == pytest.approx(case["expected_calibration_error"], rel=1e-9)
    assert result.maximum_calibration_error == pytest.approx(case["maximum_calibration_error"], rel=1e-9)
    mean_error = np.nanmean(np.abs(result.bin_accuracy - result.bin_confidence))
    assert mean_error == pytest.approx(case["average_calibration_error"], rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(samples, st.integers(1, 12))
def test_errors_are_those_of_a_loop_over_bins(pairs, num_bins):
    p, y = columns(pairs)
    l1 = l2 = largest = 0.0
    for b in range(num_bins):
        low, high = b / num_bins, (b + 1) / num_bins
        inside = (p <= high) & ((p > low) | ((b == 0) & (p == 0)))
        if inside.any():
            error = abs(y[inside].mean() - p[inside].mean())
            l1 += inside.mean() * error
            l2 += inside.mean() * error**2
            largest = max(largest, error)
    result = expected_calibration_error(p, y, num_bins)
    assert result.expected_calibration_error == pytest.approx(l1, abs=1e-12)
    assert result.l2_calibration_error == pytest.approx(np.sqrt(l2), abs=1e-7)
    assert result.maximum_calibration_error == pytest.approx(largest, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(samples, samples)
def test_tables_of_two_batches_merge_into_that_of_both(first, second):
    a, b = (expected_calibration_error(*columns(pairs)) for pairs in (first, second))
    whole = expected_calibration_error(*columns(first + second))
    np.testing.assert_array_equal(whole.bin_counts, a.bin_counts + b.bin_counts)
    excess = sum(np.nan_to_num(part.bin_counts * (part.bin_accuracy - part.bin_confidence)) for part in (a, b))
    assert whole.expected_calibration_error == pytest.approx(np.abs(excess).sum() / whole.n, abs=1e-12)


def test_null_percentile_is_that_of_simulated_errors():
    p, _ = simulated(500)
    generator = np.random.default_rng(7)
    draws = [expected_calibration_error(p, generator.random(500) < p).expected_calibration_error for _ in range(2000)]
    result = expected_calibration_error(p, np.ones(500), num_simulations=2000)
    assert result.ece_if_calibrated_95 == pytest.approx(np.quantile(draws, 0.95), rel=0.03)
    assert np.isnan(expected_calibration_error(p, np.ones(500)).ece_if_calibrated_95)


def test_null_percentile_is_seeded_and_ignores_order_and_outcomes():
    p, y = simulated(60)
    values = [
        expected_calibration_error(q, z, 7, num_simulations=50, seed=seed).ece_if_calibrated_95
        for q, z, seed in [(p, y, 1), (p[::-1], ~y, 1), (p, y, 2)]
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert values[0] != values[2]


def test_the_null_is_zero_where_every_confidence_is_certain():
    result = expected_calibration_error([0.0, 1.0], [0, 1], num_simulations=10)
    assert (result.expected_calibration_error, result.ece_if_calibrated, result.ece_if_calibrated_95) == (0, 0, 0)


def test_null_value_agrees_with_simulation():
    generator = np.random.default_rng(0)
    p = generator.uniform(0.3, 1.0, 2000)
    draws = [expected_calibration_error(p, generator.random(2000) < p).expected_calibration_error for _ in range(300)]
    null = expected_calibration_error(p, np.ones(2000)).ece_if_calibrated
    assert null == pytest.approx(np.mean(draws), rel=0.05)


def test_bins_alone_are_those_of_the_error() -> None:
    p, y = simulated(500)
    for num_bins in (1, 15):
        result, bins = expected_calibration_error(p, y, num_bins), reliability_bins(p, y, num_bins)
        for name, values in vars(bins).items():
            np.testing.assert_array_equal(values, vars(result)[name])


def test_calibration_result_is_json_able():
    result = expected_calibration_error([0.9], [1], num_bins=2)
    values = json.loads(json.dumps(result.to_dict()))
    assert values["bin_edges"] == [0.0, 0.5, 1.0]
    assert values["bin_counts"] == [0, 1]
    assert "bin_edges" not in str(result)


# --- null band ---


def test_null_band_agrees_with_binomial_quantiles():
    band = reliability_null_band([0.55] * 100 + [0.95] * 40, num_bins=10, num_simulations=4000)
    assert np.isnan(band.low[[0, 4, 7]]).all()
    assert np.isnan(band.high[[0, 4, 7]]).all()
    assert band.bin_counts[[5, 9]].tolist() == [100, 40]
    for index, size, p in [(5, 100, 0.55), (9, 40, 0.95)]:
        assert band.low[index] == pytest.approx(binom.ppf(0.025, size, p) / size, abs=1.5 / size)
        assert band.high[index] == pytest.approx(binom.ppf(0.975, size, p) / size, abs=1.5 / size)


def test_null_band_is_seeded_independent_of_chunks_and_wider_at_a_higher_level(monkeypatch):
    p = np.random.default_rng(0).random(50)
    band = reliability_null_band(p, 5, seed=3)
    monkeypatch.setattr("hf_sslgen.metrics.calibration.SIMULATION_ENTRIES", 170)
    again = reliability_null_band(p[::-1], 5, seed=3)
    np.testing.assert_array_equal(band.low, again.low)
    np.testing.assert_array_equal(band.high, again.high)
    narrow = reliability_null_band(p, 5, level=0.5, seed=3)
    assert (narrow.high - narrow.low < band.high - band.low).all()


def test_number_of_bins_and_level_errors():
    with pytest.raises(ValueError, match="num_bins must be an integer of at least 1, got 0"):
        expected_calibration_error([0.5], [1], num_bins=0)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1, got 95"):
        reliability_null_band([0.5], level=95)
    with pytest.raises(ValueError, match="num_simulations must be an integer"):
        reliability_null_band([0.5], num_simulations=0)
