import numpy as np
import pytest
from confidence_samples import columns, samples, simulated
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from hf_sslgen.metrics import adaptive_calibration_error, ks_calibration_error, prediction_confidence

pytestmark = pytest.mark.filterwarnings("error")


# --- equal mass ---


@settings(max_examples=80, deadline=None)
@given(samples, st.integers(1, 12), st.randoms(use_true_random=False))
def test_adaptive_agrees_with_a_loop_over_samples_in_any_order(pairs, num_bins, random):
    bins = [[] for _ in range(num_bins)]
    ordered = sorted(pairs)
    for rank, (p, y) in enumerate(ordered):
        first = next(i for i, (q, _) in enumerate(ordered) if q == p)
        assert first <= rank
        bins[first * num_bins // len(ordered)].append((p, y))
    expected = sum(abs(sum(y - p for p, y in members)) for members in bins) / len(pairs)
    random.shuffle(pairs)
    result = adaptive_calibration_error(*columns(pairs), num_bins)
    assert result.adaptive_calibration_error == pytest.approx(expected, abs=1e-12)
    assert result.bin_counts.tolist() == [len(members) for members in bins]
    for b, members in enumerate(bins):
        numbers = (result.bin_low[b], result.bin_high[b], result.bin_confidence[b], result.bin_accuracy[b])
        if not members:
            assert np.isnan(numbers).all()
            continue
        p, y = columns(members)
        assert numbers == pytest.approx((p.min(), p.max(), p.mean(), y.mean()))


def test_bins_have_equal_mass_where_nothing_ties():
    p, y = simulated(157)
    counts = adaptive_calibration_error(p, y, 15).bin_counts
    assert counts.sum() == 157
    assert set(counts.tolist()) == {10, 11}
    whole = adaptive_calibration_error(p, y, 1)
    assert whole.adaptive_calibration_error == pytest.approx(abs(prediction_confidence(p, y).gap))
    alone = adaptive_calibration_error(p, y, 157)
    assert alone.adaptive_calibration_error == pytest.approx(np.abs(p - y).mean())


def test_a_tied_group_stays_together():
    result = adaptive_calibration_error([0.5] * 9 + [0.9], [1] * 5 + [0] * 5, num_bins=3)
    assert result.bin_counts.tolist() == [9, 0, 1]
    assert result.adaptive_calibration_error == pytest.approx((9 * abs(5 / 9 - 0.5) + 0.9) / 10)


def test_more_bins_than_samples_leaves_empty_bins():
    result = adaptive_calibration_error([0.5, 0.7], [1, 0])
    assert result.bin_counts.sum() == 2
    assert np.count_nonzero(result.bin_counts) == 2
    assert result.adaptive_calibration_error == pytest.approx(0.6)


# --- Kolmogorov-Smirnov ---


@settings(max_examples=60, deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_ks_agrees_with_a_loop_over_thresholds_and_bounds_the_gap(pairs, random):
    p, y = columns(pairs)
    expected = max(abs(np.sum((y - p.astype(float))[p <= threshold])) / len(p) for threshold in p)
    random.shuffle(pairs)
    result = ks_calibration_error(*columns(pairs))
    assert result.ks_calibration_error == pytest.approx(expected, abs=1e-12)
    assert result.ks_calibration_error >= abs(prediction_confidence(p, y).gap) - 1e-12
    assert result.n == len(p)


def test_ks_is_the_two_sample_statistic_where_confidences_are_certain_or_even():
    # With p = 1/2 everywhere but at the ends nothing sums to more than the whole; with p in {0, 1} residuals are
    # whole numbers, and the cumulated ones are those of the two empirical distributions scaled by their common size.
    ranks = np.arange(40) / 40
    y = np.random.default_rng(0).permutation(np.arange(40) % 2 == 0)
    scipys = ks_2samp(ranks[y], ranks[~y]).statistic
    cumulated = np.abs(np.cumsum(np.where(y, 1, -1))).max() / 20
    assert scipys == pytest.approx(cumulated)
    # p that alternates very little around 1/2 gives half of it
    p = 0.5 + 1e-9 * np.arange(40)
    assert ks_calibration_error(p, y).ks_calibration_error == pytest.approx(scipys / 4, abs=1e-6)
