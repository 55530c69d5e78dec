import numpy as np
import pytest
import torch
from confidence_samples import columns, samples, simulated
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import brier_score_loss, log_loss

from hf_sslgen.metrics import brier_score, negative_log_likelihood, top_label_brier
from hf_sslgen.metrics import class_scores as module

pytestmark = pytest.mark.filterwarnings("error")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_proper_scores_agree_with_scikit_learn(n, num_classes, seed):
    generator = np.random.default_rng(seed)
    logits = 3.0 * generator.normal(size=(n, num_classes))
    references = generator.integers(num_classes, size=n)
    p = softmax(logits, axis=1)
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


@settings(max_examples=40, deadline=None)
@given(samples)
def test_top_label_brier_is_scikit_learns_binary_one(pairs):
    p, y = columns(pairs)
    result = top_label_brier(p, y)
    assert result.mean == pytest.approx(brier_score_loss(y, p, pos_label=True, labels=[False, True]), abs=1e-15)
    np.testing.assert_allclose(result.per_sample_score, np.square(p - y))


@pytest.mark.parametrize("score", [brier_score, negative_log_likelihood])
@pytest.mark.parametrize("from_logits", [False, True])
def test_blocks_change_nothing_and_rows_are_scored_one_by_one(score, from_logits, monkeypatch):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(57, 6))
    x = x if from_logits else softmax(x, axis=1)
    references = generator.integers(6, size=57)
    whole = score(x, references, from_logits)
    alone = [score(x[i : i + 1], references[i : i + 1], from_logits).mean for i in range(57)]
    np.testing.assert_allclose(whole.per_sample_score, alone, rtol=1e-12)
    monkeypatch.setattr(module, "BLOCK_BYTES", 200)
    np.testing.assert_allclose(score(x, references, from_logits).per_sample_score, alone, rtol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.floats(-1e6, 1e6), st.integers(0, 2**32 - 1))
def test_a_constant_added_to_logits_changes_nothing(constant, seed):
    generator = np.random.default_rng(seed)
    logits, references = generator.normal(size=(8, 5)), generator.integers(5, size=8)
    for score in (brier_score, negative_log_likelihood):
        plain, shifted = score(logits, references, True), score(logits + constant, references, True)
        np.testing.assert_allclose(shifted.per_sample_score, plain.per_sample_score, atol=1e-8)


def test_the_interval_is_around_the_mean_and_covers():
    def scores(n, seed):
        return top_label_brier(*simulated(n, sharpness=1.5, seed=seed))

    truth = scores(400_000, 1).mean
    intervals = [scores(200, seed).intervals["mean"] for seed in range(2, 602)]
    assert 0.92 <= np.mean([low <= truth <= high for low, high in intervals]) <= 0.97
