import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from hf_sslgen.metrics import class_scores as module
from hf_sslgen.metrics import classwise_calibration_error, expected_calibration_error
from hf_sslgen.metrics.calibration import assign_bins
from hf_sslgen.metrics.calibration_by_class import _equal_width_bins

pytestmark = pytest.mark.filterwarnings("error")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(1, 6), st.integers(1, 16), st.integers(0, 2**32 - 1))
def test_is_the_mean_of_the_binary_errors_of_the_classes(n, num_classes, num_bins, seed):
    generator = np.random.default_rng(seed)
    weights = generator.integers(1, 5, (n, num_classes))  # coarse, so that many lie on edges
    p = weights / weights.sum(axis=1, keepdims=True)
    references = generator.integers(num_classes, size=n)
    expected = [
        expected_calibration_error(p[:, c], references == c, num_bins).expected_calibration_error
        for c in range(num_classes)
    ]
    result = classwise_calibration_error(p, references, num_bins)
    np.testing.assert_allclose(result.class_calibration_error, expected, atol=1e-12)
    assert result.classwise_calibration_error == pytest.approx(np.mean(expected), abs=1e-12)
    order = generator.permutation(n)
    shuffled = classwise_calibration_error(p[order], references[order], num_bins)
    np.testing.assert_allclose(shuffled.class_calibration_error, expected, atol=1e-12)


def test_two_classes_by_hand():
    result = classwise_calibration_error([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]], [0, 1, 1], num_bins=10)
    np.testing.assert_allclose(result.class_calibration_error, [(0.8 + 0.2) / 3] * 2)
    assert (result.n, result.num_bins) == (3, 10)


def test_logits_and_small_blocks(monkeypatch):
    generator = np.random.default_rng(0)
    logits, references = generator.normal(size=(83, 7)), generator.integers(7, size=83)
    expected = classwise_calibration_error(softmax(logits, axis=1), references)
    monkeypatch.setattr(module, "BLOCK_BYTES", 300)
    result = classwise_calibration_error(logits, references, from_logits=True)
    np.testing.assert_allclose(result.class_calibration_error, expected.class_calibration_error, atol=1e-12)


@pytest.mark.parametrize("num_bins", [1, 2, 3, 7, 10, 15, 20, 49, 1000])
def test_bins_by_arithmetic_are_those_of_the_search_at_and_around_every_edge(num_bins):
    edges = np.arange(num_bins + 1) / num_bins
    near = np.concatenate([edges, np.nextafter(edges, 0), np.nextafter(edges, 1), np.linspace(0, 1, 5001)])
    p = np.clip(near, 0.0, 1.0)
    np.testing.assert_array_equal(_equal_width_bins(p, edges), assign_bins(p, num_bins)[1])
