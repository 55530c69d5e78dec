"""Logits reduced per batch give the numbers that the whole matrix of probabilities gives."""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from hf_sslgen.metrics import (
    accuracy,
    brier_score,
    expected_calibration_error,
    negative_log_likelihood,
    prediction_confidence,
)
from hf_sslgen.training.evaluation import Predictions, reduce_logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_reduction_agrees_with_the_metrics(dtype):
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(200, 7, generator=generator) * 4).to(dtype)
    labels = torch.randint(0, 7, (200,), generator=generator)
    prediction, confidence, nll, brier = reduce_logits(logits, labels)
    probabilities = softmax(logits.double().numpy(), axis=1)
    np.testing.assert_array_equal(prediction, probabilities.argmax(1))
    np.testing.assert_allclose(confidence, probabilities.max(1), rtol=1e-12)
    np.testing.assert_allclose(nll, negative_log_likelihood(probabilities, labels).per_sample_score, rtol=1e-9)
    np.testing.assert_allclose(brier, brier_score(probabilities, labels).per_sample_score, atol=1e-12)


def test_an_impossible_class_is_clipped_and_not_infinite():
    _, _, nll, brier = reduce_logits(torch.tensor([[0.0, 1e4]]), torch.tensor([0]))
    assert nll.item() == pytest.approx(-np.log(1e-12))
    assert brier.item() == pytest.approx(2.0)


def test_predictions_are_ordered_by_sample_id_and_measured_by_the_metrics():
    rng = np.random.default_rng(0)
    n = 60
    ids, references = rng.permutation(n), rng.integers(0, 4, n)
    columns = (rng.integers(0, 4, n), rng.uniform(0.3, 1, n), rng.exponential(size=n), rng.uniform(0, 2, n))
    predictions = Predictions.from_evaluation(columns, (references, ids))
    assert predictions.sample_ids.tolist() == list(range(n))
    np.testing.assert_array_equal(predictions.references, references[np.argsort(ids)])
    measures = predictions.measures(num_classes=5)
    correct = columns[0] == references
    assert measures["accuracy"] == pytest.approx(correct.mean())
    assert measures["mean_per_class_accuracy"] == accuracy(columns[0], references, 5).mean_per_class_accuracy
    assert measures["confidence_gap"] == pytest.approx(prediction_confidence(columns[1], correct).gap)
    expected = expected_calibration_error(columns[1], correct)
    assert measures["expected_calibration_error"] == pytest.approx(expected.expected_calibration_error)
    assert measures["ece_if_calibrated"] == pytest.approx(expected.ece_if_calibrated)
    assert measures["negative_log_likelihood"] == pytest.approx(columns[2].mean())
