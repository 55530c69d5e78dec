"""Logits reduced per batch give the numbers that the whole matrix of probabilities gives."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.metrics import log_loss, roc_auc_score, top_k_accuracy_score
from transformers import EvalPrediction

from hf_sslgen.errors import DivergedError
from hf_sslgen.metrics import MetricResult, expected_calibration_error
from hf_sslgen.training.evaluation import Predictions, compute_metrics_for, reduce_logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_reduction_agrees_with_the_definitions(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(200, 7, generator=generator) * 4).to(dtype)
    labels = torch.randint(0, 7, (200,), generator=generator)
    prediction, confidence, nll, brier, credit = reduce_logits(logits, labels)
    probabilities = softmax(logits.double().numpy(), axis=1)
    one_hot = np.eye(7)[labels]
    np.testing.assert_array_equal(prediction, probabilities.argmax(1))
    np.testing.assert_allclose(confidence, probabilities.max(1), rtol=1e-12)
    np.testing.assert_allclose(nll, -np.log(probabilities[one_hot == 1]), rtol=1e-9)
    np.testing.assert_allclose(brier, np.square(probabilities - one_hot).sum(1), atol=1e-12)
    assert float(credit.mean()) == pytest.approx(top_k_accuracy_score(labels, probabilities, k=5), abs=1e-2)
    assert {column.dtype for column in (confidence, nll, brier, credit)} == {torch.float64}
    assert prediction.dtype == torch.int64


def test_an_impossible_class_is_clipped_and_not_infinite() -> None:
    _, _, nll, brier, credit = reduce_logits(torch.tensor([[0.0, 1e4]]), torch.tensor([0]))
    assert nll.item() == pytest.approx(-np.log(1e-12))
    assert brier.item() == pytest.approx(2.0)
    assert credit.isnan().all()  # with two classes five guesses are always right


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_mark_their_image_and_stop_training(value: float) -> None:
    logits = torch.zeros(4, 7)
    logits[:, 2] = 1
    logits[1, 3] = value
    labels = torch.tensor([2, 2, 0, 1])
    columns = reduce_logits(logits, labels)
    assert columns[0].tolist() == [2, 0, 2, 2]
    for column in columns[1:]:
        assert column.isnan().tolist() == [False, True, False, False]
    assert all(column.isnan().all() for column in reduce_logits(torch.full((2, 7), value), labels[:2])[1:])
    gathered = tuple(column.numpy() for column in columns)
    evaluation = EvalPrediction(predictions=gathered, label_ids=(labels.numpy(), np.arange(4)))
    with pytest.raises(DivergedError, match="not finite; a lower learning_rate"):
        compute_metrics_for(7)(evaluation)


def test_predictions_are_ordered_by_sample_id_and_measured_by_their_definitions() -> None:
    rng = np.random.default_rng(0)
    n, num_classes = 300, 6
    ids, references = rng.permutation(n), rng.integers(0, num_classes, n)
    logits = rng.normal(size=(n, num_classes)) + 1.5 * np.eye(num_classes)[references]
    columns = tuple(column.numpy() for column in reduce_logits(torch.from_numpy(logits), torch.from_numpy(references)))
    predictions = Predictions.from_evaluation(columns, (references, ids))
    assert predictions.sample_ids.tolist() == list(range(n))
    np.testing.assert_array_equal(predictions.references, references[np.argsort(ids)])
    measures = predictions.measures(num_classes)

    probabilities = softmax(logits, axis=1)
    p, y = probabilities.max(1), probabilities.argmax(1) == references
    assert measures["accuracy"] == pytest.approx(y.mean())
    per_class = [y[references == label].mean() for label in range(num_classes)]
    assert measures["mean_per_class_accuracy"] == pytest.approx(np.mean(per_class))
    assert measures["top_5_accuracy"] == pytest.approx(top_k_accuracy_score(references, probabilities, k=5))
    assert measures["mean_confidence_correct"] == pytest.approx(p[y].mean())
    assert measures["mean_confidence_incorrect"] == pytest.approx(p[~y].mean())
    assert measures["confidence_gap"] == pytest.approx(p.mean() - y.mean())
    assert measures["auroc"] == pytest.approx(roc_auc_score(y, p))
    assert measures["negative_log_likelihood"] == pytest.approx(log_loss(references, probabilities))
    assert measures["brier_score"] == pytest.approx(
        np.square(probabilities - np.eye(num_classes)[references]).sum() / n
    )
    assert measures["top_label_brier"] == pytest.approx(np.square(p - y).mean())
    risks = np.cumsum(~y[np.argsort(-p)]) / np.arange(1, n + 1)
    assert measures["aurc"] == pytest.approx(risks.mean())


def test_five_guesses_among_few_classes_are_no_number() -> None:
    predictions = Predictions.from_probabilities(np.arange(3), np.array([0, 1, 0]), np.full((3, 5), 0.2))
    assert np.isnan(predictions.top_5_credits).all()
    assert "top_5_accuracy" not in predictions.measures(5)


def test_a_number_that_can_not_be_had_says_why() -> None:
    predictions = Predictions.from_probabilities(np.arange(3), np.array([0, 1, 0]), np.eye(2)[[0, 1, 0]])
    auroc = predictions.estimates(2)["auroc"]
    assert np.isnan(auroc.value)
    assert "every prediction is correct" in auroc.reason


def test_a_number_is_taken_from_its_result_without_the_tables_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = softmax(np.random.default_rng(0).normal(size=(120, 3)), axis=1)
    predictions = Predictions.from_probabilities(np.arange(120), np.arange(120) % 3, probabilities)
    binned = expected_calibration_error(predictions.confidences, predictions.correct)
    monkeypatch.delattr(MetricResult, "to_dict")  # which makes lists of all bins
    found = predictions.estimates(3)
    for name in ("expected_calibration_error", "ece_if_calibrated", "maximum_calibration_error"):
        assert found[name].value == vars(binned)[name] and found[name].n == 120
