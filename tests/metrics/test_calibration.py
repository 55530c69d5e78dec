import json

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from hf_sslgen.metrics import (
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    prediction_confidence,
    reliability_null_band,
)

pytestmark = pytest.mark.filterwarnings("error")

# Confidences on a grid, so that ties and bin edges are common.
samples = st.lists(st.tuples(st.integers(0, 60).map(lambda k: k / 60), st.booleans()), min_size=1, max_size=40)


def columns(pairs):
    return np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


# --- confidence ---


def test_confidence_by_hand():
    result = prediction_confidence([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 0])
    assert result.mean_confidence == pytest.approx(0.75)
    assert result.mean_confidence_correct == pytest.approx(0.85)
    assert result.mean_confidence_incorrect == pytest.approx(0.65)
    assert result.gap == pytest.approx(0.25)
    assert result.auroc == 1.0
    assert (result.n, result.reason) == (4, "")


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_sided_outcomes_give_nan_with_a_reason(outcome):
    result = prediction_confidence([0.5, 0.7], [outcome] * 2)
    missing = result.mean_confidence_incorrect if outcome else result.mean_confidence_correct
    there = result.mean_confidence_correct if outcome else result.mean_confidence_incorrect
    assert np.isnan(result.auroc)
    assert np.isnan(missing)
    assert there == pytest.approx(0.6)
    assert result.gap == pytest.approx(0.6 - outcome)
    assert result.reason.startswith(f"every prediction is {'correct' if outcome else 'incorrect'}")


@settings(max_examples=80, deadline=None)
@given(samples)
def test_auroc_agrees_with_scikit_learn_including_ties(pairs):
    p, y = columns(pairs)
    assume(0 < y.sum() < len(y))
    assert prediction_confidence(p, y).auroc == pytest.approx(roc_auc_score(y, p))


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
    variances = [0.09, 0.21, 0.09]
    assert result.ece_if_calibrated == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(variances).sum() / 3)


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


def test_null_value_agrees_with_simulation():
    generator = np.random.default_rng(0)
    p = generator.uniform(0.3, 1.0, 2000)
    draws = [expected_calibration_error(p, generator.random(2000) < p).expected_calibration_error for _ in range(300)]
    null = expected_calibration_error(p, np.ones(2000)).ece_if_calibrated
    assert null == pytest.approx(np.mean(draws), rel=0.05)


def test_calibration_result_is_json_able():
    result = expected_calibration_error([0.9], [1], num_bins=2)
    values = json.loads(json.dumps(result.to_dict()))
    assert values["bin_edges"] == [0.0, 0.5, 1.0]
    assert values["bin_counts"] == [0, 1]
    assert "bin_edges" not in str(result)


# --- null band ---


def test_null_band_agrees_with_binomial_quantiles():
    from scipy.stats import binom

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


# --- proper scores ---


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_proper_scores_agree_with_scikit_learn(n, num_classes, seed):
    generator = np.random.default_rng(seed)
    logits = 3.0 * generator.normal(size=(n, num_classes))
    references = generator.integers(num_classes, size=n)
    p = softmax(logits)
    brier, nll = brier_score(p, references), negative_log_likelihood(p, references)
    assert nll.mean == pytest.approx(log_loss(references, p, labels=np.arange(num_classes)))
    assert brier.mean == pytest.approx(np.square(p - np.eye(num_classes)[references]).sum(axis=1).mean())
    if num_classes == 2:
        assert brier.mean == pytest.approx(2.0 * brier_score_loss(references, p[:, 1], pos_label=1))
    np.testing.assert_allclose(
        brier_score(logits, references, from_logits=True).per_sample_score, brier.per_sample_score
    )
    np.testing.assert_allclose(
        negative_log_likelihood(logits, references, from_logits=True).per_sample_score, nll.per_sample_score, rtol=1e-9
    )
    assert brier.per_sample_score.mean() == pytest.approx(brier.mean)
    assert brier.n == nll.n == n


def test_extremes_of_the_proper_scores():
    certain = [[1.0, 0.0], [0.0, 1.0]]
    assert brier_score(certain, [0, 0]).per_sample_score.tolist() == [0.0, 2.0]
    nll = negative_log_likelihood(certain, [0, 0])
    assert nll.per_sample_score.tolist() == [0.0, -np.log(1e-12)]
    assert not np.signbit(nll.per_sample_score[0])
    from_logits = negative_log_likelihood([[1000.0, 0.0], [0.0, 1000.0]], [0, 0], from_logits=True)
    assert from_logits.per_sample_score.tolist() == nll.per_sample_score.tolist()


def test_inputs_are_left_as_they_were():
    p = np.array([[0.25, 0.75]])
    brier_score(p, [1])
    assert p.tolist() == [[0.25, 0.75]]


def test_half_precision_tensors():
    assert brier_score(torch.tensor([[0.25, 0.75]], dtype=torch.bfloat16), torch.tensor([1])).mean == 0.125


@pytest.mark.parametrize("score", [brier_score, negative_log_likelihood])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[2.0, -1.0]], [0]), r"probabilities must be probabilities in \[0, 1\] \(pass logits with from_logits=True"),
        (([[0.6, 0.6]], [0]), "probabilities must have rows that sum to 1 within 0.001, but row 0 sums to 1.2"),
        (([[0.4, 0.6]], [2]), r"references must be integer class labels in \[0, 2\), but references\[0\] is 2"),
        (([[0.4, 0.6]], [0, 1]), "probabilities and references must have the same length"),
        (([0.4, 0.6], [0, 1]), r"probabilities must have shape \(N, C\), got shape \(2,\)"),
        (([[np.nan, 0.6]], [0]), r"probabilities must be finite, but probabilities\[0, 0\] is nan"),
        (([[0.0, -np.inf]], [0], True), r"probabilities must be finite, but probabilities\[0, 1\] is -inf"),
    ],
)
def test_proper_score_errors(score, arguments, message):
    with pytest.raises(ValueError, match=message):
        score(*arguments)


@pytest.mark.parametrize("function", [prediction_confidence, expected_calibration_error])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.5], [1]), r"confidences must be probabilities in \[0, 1\], but confidences\[0\] is 1.5"),
        (([0.5], [3]), r"correct must be boolean, or 0 and 1 .*, but correct\[0\] is 3"),
        (([0.5], [1, 0]), "confidences and correct must have the same length"),
        (([], []), "confidences must not be empty"),
    ],
)
def test_confidence_errors(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_number_of_bins_and_level_errors():
    with pytest.raises(ValueError, match="num_bins must be an integer of at least 1, got 0"):
        expected_calibration_error([0.5], [1], num_bins=0)
    with pytest.raises(ValueError, match="level must lie strictly between 0 and 1, got 95"):
        reliability_null_band([0.5], level=95)
    with pytest.raises(ValueError, match="num_simulations must be an integer"):
        reliability_null_band([0.5], num_simulations=0)
