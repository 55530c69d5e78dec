import json

import numpy as np
import pytest
from scipy.special import softmax

from hf_sslgen import metrics
from hf_sslgen.metrics import confidence_summary

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(0)
    logits = 2.0 * generator.normal(size=(400, 8))
    cumulated = softmax(logits / 1.4, axis=1).cumsum(axis=1)
    return logits, (generator.random((400, 1)) > cumulated[:, :-1]).sum(axis=1)


@pytest.mark.parametrize("from_logits", [False, True])
def test_every_number_is_that_of_its_function(data, from_logits):
    logits, references = data
    scores = logits if from_logits else softmax(logits, axis=1)
    summary = confidence_summary(scores, references, from_logits, num_bins=10)
    top = metrics.top_label(scores, references, from_logits)
    p, y = top.per_sample_confidence, top.per_sample_correct
    parts = [
        metrics.accuracy(top.per_sample_prediction, references, 8),
        metrics.prediction_confidence(p, y),
        metrics.expected_calibration_error(p, y, 10),
        metrics.adaptive_calibration_error(p, y, 10),
        metrics.debiased_calibration_error(p, y, 10),
        metrics.ks_calibration_error(p, y),
        metrics.classwise_calibration_error(scores, references, 10, from_logits),
        metrics.risk_coverage(p, y),
    ]
    expected = {name: value for part in parts for name, value in part.to_dict().items()}
    expected["top_5_accuracy"] = metrics.top_k_accuracy(scores, references).top_k_accuracy
    expected["top_5_accuracy_interval"] = list(metrics.top_k_accuracy(scores, references).intervals["top_k_accuracy"])
    for name in ("brier_score", "negative_log_likelihood"):
        score = vars(metrics)[name](scores, references, from_logits)
        expected[name], expected[f"{name}_interval"] = score.mean, list(score.intervals["mean"])
        np.testing.assert_array_equal(vars(summary)[f"per_sample_{name}"], score.per_sample_score)
    score = metrics.top_label_brier(p, y)
    expected["top_label_brier"], expected["top_label_brier_interval"] = score.mean, list(score.intervals["mean"])
    expected["num_classes"] = 8
    values = json.loads(json.dumps(summary.to_dict()))
    assert (values.pop("reason"), expected.pop("reason")) == ("", "")
    for name, value in values.items():
        assert value == pytest.approx(expected[name], rel=1e-12), name
    tables = {"bin_edges", "bin_counts", "bin_confidence", "bin_accuracy", "bin_low", "bin_high", "coverage", "risk"}
    assert set(expected) - set(values) == tables | {"class_calibration_error", "ece_if_calibrated_95"}
    np.testing.assert_array_equal(summary.per_sample_correct, y)


def test_before_and_after_temperature(data):
    logits, references = data
    fit = metrics.fit_temperature(logits[:200], references[:200])
    before = confidence_summary(logits[200:], references[200:], from_logits=True)
    after = confidence_summary(metrics.apply_temperature(logits[200:], fit), references[200:])
    assert fit.temperature > 1.1
    assert after.accuracy == before.accuracy
    assert after.negative_log_likelihood < before.negative_log_likelihood
    assert abs(after.gap) < abs(before.gap)


def test_reasons_of_what_is_missing_are_told_together():
    summary = confidence_summary([[0.7, 0.3]], [0])
    assert np.isnan([summary.top_5_accuracy, summary.auroc, summary.debiased_squared_calibration_error]).all()
    assert summary.reason.split("; ") == [
        "with 2 classes, 5 guesses are always right",
        "every prediction is correct: no AUROC and no confidence on incorrect predictions",
        "one sample has no variation to subtract",
    ]
    one_class = confidence_summary([[1.0], [1.0]], [0, 0])
    assert (one_class.accuracy, one_class.brier_score, one_class.expected_calibration_error) == (1.0, 0.0, 0.0)
