import numpy as np
import pytest
from confidence_samples import columns, samples
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import debiased_calibration_error
from hf_sslgen.metrics.debiased_calibration import paired_bins

pytestmark = pytest.mark.filterwarnings("error")


def value(p, y, num_bins=15):
    return debiased_calibration_error(p, y, num_bins).debiased_squared_calibration_error


@settings(max_examples=60, deadline=None)
@given(samples, st.integers(1, 12), st.randoms(use_true_random=False))
def test_agrees_with_a_loop_over_pairs_in_any_order(pairs, num_bins, random):
    p, y = columns(pairs)
    result = debiased_calibration_error(p, y, num_bins)
    if len(p) == 1:
        assert np.isnan(result.debiased_squared_calibration_error)
        assert result.reason == "one sample has no variation to subtract"
        return
    bins, total = paired_bins(p, num_bins), 0.0
    for b in range(result.num_bins):
        residual = (y - p)[bins == b]
        of_pairs = [residual[i] * residual[j] for i in range(len(residual)) for j in range(len(residual)) if i != j]
        total += len(residual) / len(p) * np.mean(of_pairs)
    random.shuffle(pairs)
    again = debiased_calibration_error(*columns(pairs), num_bins)
    assert result.debiased_squared_calibration_error == pytest.approx(total, abs=1e-12)
    assert again.debiased_squared_calibration_error == pytest.approx(total, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(samples, st.integers(1, 20))
def test_bins_are_ordered_hold_two_samples_and_never_part_ties(pairs, num_bins):
    p, _ = columns(pairs)
    if len(p) < 2:
        return
    bins = paired_bins(p, num_bins)
    assert np.bincount(bins).min() >= 2
    assert bins.max() < max(1, min(num_bins, len(p) // 2))
    order = np.argsort(p, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    assert (np.diff(bins[order])[np.diff(p[order]) == 0] == 0).all()


def test_an_accurate_over_confident_network_has_its_true_error_on_average_where_equal_widths_lose_half_of_it():
    """Most confidences are near 1, so that the others are alone in equally wide bins."""
    generator = np.random.default_rng(1)
    estimates, truths, by_width = [], [], []
    for _ in range(3000):
        p = 1.0 - 0.6 * generator.beta(0.3, 2.0, size=50)
        gap = 0.35 * np.sqrt((1.0 - p) / 0.6)  # how far each confidence is above its chance of being right
        y = generator.random(50) < p - gap
        bins = paired_bins(p, 15)
        means = np.bincount(bins, weights=gap) / np.bincount(bins)
        truths.append(np.square(means)[bins].mean())
        estimates.append(value(p, y))
        width = np.minimum((p * 15).astype(int), 14)
        sizes, sums = np.bincount(width), np.bincount(width, weights=y - p)
        hits, held = np.bincount(width, weights=y), sizes >= 2
        share = hits[held] / sizes[held]
        terms = np.square(sums[held] / sizes[held]) - share * (1.0 - share) / (sizes[held] - 1)
        by_width.append(np.average(terms, weights=sizes[held]))
    error = np.std(estimates) / np.sqrt(3000)
    assert np.mean(estimates) == pytest.approx(np.mean(truths), abs=4 * error + 0.05 * np.mean(truths))
    assert np.mean(by_width) < 0.85 * np.mean(truths)


def test_average_over_repeated_samples_is_the_true_error_where_the_plain_square_is_not():
    # one bin: 50 samples at p = .8, right with probability .7
    generator = np.random.default_rng(0)
    outcomes = generator.random((4000, 50)) < 0.7
    estimates = [value([0.8] * 50, y, 10) for y in outcomes]
    assert np.mean(estimates) == pytest.approx(0.01, abs=4 * np.std(estimates) / np.sqrt(4000))
    assert np.mean((outcomes.mean(axis=1) - 0.8) ** 2) > 0.013


def test_it_has_no_interval():
    result = debiased_calibration_error([0.75] * 40, [1, 0] * 20)
    assert "debiased_squared_calibration_error_interval" not in result.to_dict()
