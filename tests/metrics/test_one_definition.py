"""Training, analysis and the pure functions give one number for one name, and no number comes without this test.

A real network classifies the embedded digits. Its logits, features and maps go through the Trainer's
`compute_metrics`, through the analysis, and, whole, into the functions of `hf_sslgen.metrics`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hf_sslgen import metrics
from hf_sslgen.analysis.analyze import adapted_analysis, prediction_numbers
from hf_sslgen.analysis.forward import run_split
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.analysis.subset import AnalysisSettings
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.training.arguments import FineTuningArguments
from hf_sslgen.training.evaluation import Predictions, compute_metrics_for, preprocess_logits_for_metrics
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.loading import LoadedBackbone, load_backbone

NUM_CLASSES = 10
SETTINGS = AnalysisSettings(max_subset=24, num_examples=24, batch_size=7)

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]


def _top(logits: Logits, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    top = metrics.top_label(logits, labels, from_logits=True)
    return top.per_sample_confidence, top.per_sample_correct


OF_PREDICTIONS: dict[str, Callable[[Logits, Labels], float]] = {
    "accuracy": lambda x, y: metrics.accuracy(x.argmax(1), y).accuracy,
    "mean_per_class_accuracy": lambda x, y: metrics.accuracy(x.argmax(1), y).mean_per_class_accuracy,
    "top_5_accuracy": lambda x, y: metrics.top_k_accuracy(x, y, k=5).top_k_accuracy,
    "mean_confidence": lambda x, y: metrics.prediction_confidence(*_top(x, y)).mean_confidence,
    "mean_confidence_correct": lambda x, y: metrics.prediction_confidence(*_top(x, y)).mean_confidence_correct,
    "mean_confidence_incorrect": lambda x, y: metrics.prediction_confidence(*_top(x, y)).mean_confidence_incorrect,
    "confidence_gap": lambda x, y: metrics.prediction_confidence(*_top(x, y)).gap,
    "auroc": lambda x, y: metrics.prediction_confidence(*_top(x, y)).auroc,
    "expected_calibration_error": lambda x, y: (
        metrics.expected_calibration_error(*_top(x, y)).expected_calibration_error
    ),
    "ece_if_calibrated": lambda x, y: metrics.expected_calibration_error(*_top(x, y)).ece_if_calibrated,
    "l2_calibration_error": lambda x, y: metrics.expected_calibration_error(*_top(x, y)).l2_calibration_error,
    "maximum_calibration_error": lambda x, y: (
        metrics.expected_calibration_error(*_top(x, y)).maximum_calibration_error
    ),
    "adaptive_calibration_error": lambda x, y: (
        metrics.adaptive_calibration_error(*_top(x, y)).adaptive_calibration_error
    ),
    "debiased_squared_calibration_error": lambda x, y: (
        metrics.debiased_calibration_error(*_top(x, y)).debiased_squared_calibration_error
    ),
    "ks_calibration_error": lambda x, y: metrics.ks_calibration_error(*_top(x, y)).ks_calibration_error,
    "negative_log_likelihood": lambda x, y: metrics.negative_log_likelihood(x, y, from_logits=True).mean,
    "brier_score": lambda x, y: metrics.brier_score(x, y, from_logits=True).mean,
    "top_label_brier": lambda x, y: metrics.top_label_brier(*_top(x, y)).mean,
    "aurc": lambda x, y: metrics.risk_coverage(*_top(x, y)).aurc,
    "excess_aurc": lambda x, y: metrics.risk_coverage(*_top(x, y)).excess_aurc,
}
"""Every number of accuracy and confidence, as somebody with logits and labels has it."""

SUMMARY_NAMES = {"confidence_gap": "gap"}
"""Names that differ in `ConfidenceSummary`, whose fields stand without their measurement's name."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with a classifier for the digits, what it says of the test split, and its analysis."""

    backbone: LoadedBackbone
    domain: Any
    logits: Logits
    labels: Labels
    numbers: tuple[Number, ...]

    def number(self, metric: str) -> Number:
        (found,) = (n for n in self.numbers if n.metric == metric and not n.transform)
        return found


@pytest.fixture(scope="module")
def subject(small_backbones: dict[str, str], digits_domain: Any) -> Subject:
    backbone = load_backbone(
        small_backbones["timm_resnet"], digits_domain.class_names, geometry=Geometry(96, None, "bilinear")
    )
    classifier = find_classifier(backbone.model)[1]
    with torch.no_grad():  # class means as weights: right often enough, and neither always nor never
        train = run_split(backbone, digits_domain.train, 64).features
        means = np.stack([train[digits_domain.train.labels == label].mean(0) for label in range(NUM_CLASSES)])
        centred = (means - means.mean(0)) / means.std(0).clip(min=1e-3)
        classifier.weight.copy_(torch.from_numpy(centred))
        classifier.bias.copy_(torch.from_numpy(-(centred * means.mean(0)).sum(1)))
    seen: list[torch.Tensor] = []
    handle = classifier.register_forward_hook(lambda _module, _inputs, output: seen.append(output.detach().clone()))
    test = run_split(backbone, digits_domain.test, 16)
    handle.remove()
    analysis = adapted_analysis(backbone, digits_domain, test.predictions, "fine-tuned", SETTINGS)
    logits = torch.cat(seen).numpy()
    correct = logits.argmax(1) == digits_domain.test.labels
    assert 0.2 < correct.mean() < 0.95
    return Subject(backbone, digits_domain, logits, digits_domain.test.labels, analysis.numbers)


class Answers(nn.Module):
    """A model that knows its logits: the Trainer evaluates these and no others."""

    def __init__(self, logits: Logits) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.from_numpy(logits))

    def forward(self, positions: torch.Tensor, labels: torch.Tensor, sample_ids: torch.Tensor) -> dict[str, Any]:
        logits = self.logits[positions]
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def trained_numbers(logits: Logits, labels: Labels, folder: Path) -> dict[str, float]:
    """What transformers' own Trainer reports, in batches that don't divide the samples."""
    from transformers import Trainer

    order = np.random.default_rng(0).permutation(len(labels))
    samples = [{"positions": int(i), "labels": int(labels[i]), "sample_ids": int(i)} for i in order]
    arguments = FineTuningArguments(
        output_dir=str(folder),
        per_device_eval_batch_size=7,
        report_to="none",
        use_cpu=True,
    )
    arguments.label_names = ["labels", "sample_ids"]
    trainer = Trainer(
        Answers(logits),
        arguments,
        eval_dataset=samples,  # type: ignore[arg-type]
        compute_metrics=compute_metrics_for(NUM_CLASSES),
        preprocess_logits_for_metrics=preprocess_logits_for_metrics,
    )
    prefix = "eval_"
    return {name.removeprefix(prefix): value for name, value in trainer.evaluate().items()}


@pytest.fixture(scope="module")
def trained(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return trained_numbers(subject.logits, subject.labels, tmp_path_factory.mktemp("trainer"))


@pytest.mark.parametrize("metric", OF_PREDICTIONS)
def test_a_number_of_predictions_is_the_same_everywhere(
    metric: str, subject: Subject, trained: dict[str, float]
) -> None:
    expected = OF_PREDICTIONS[metric](subject.logits, subject.labels)
    assert np.isfinite(expected)
    same = pytest.approx(expected, rel=1e-12, abs=1e-14)
    assert trained[metric] == same
    assert subject.number(metric).value == same
    summary = metrics.confidence_summary(subject.logits, subject.labels, from_logits=True).to_dict()
    assert summary[SUMMARY_NAMES.get(metric, metric)] == same

    probabilities = np.exp(subject.logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    of_probabilities = Predictions.from_probabilities(np.arange(len(subject.labels)), subject.labels, probabilities)
    assert of_probabilities.measures(NUM_CLASSES)[metric] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("metric", OF_PREDICTIONS)
def test_an_interval_of_predictions_is_the_one_of_the_metrics(metric: str, subject: Subject) -> None:
    number = subject.number(metric)
    summary = metrics.confidence_summary(subject.logits, subject.labels, from_logits=True)
    debiased = metrics.debiased_calibration_error(*_top(subject.logits, subject.labels))
    intervals = {**summary.intervals, **debiased.intervals}
    interval = intervals.get(SUMMARY_NAMES.get(metric, metric), (np.nan, np.nan))
    np.testing.assert_allclose([number.low, number.high], interval, rtol=1e-12)


def test_no_number_of_predictions_is_left_out(subject: Subject, trained: dict[str, float]) -> None:
    predictions = run_split(subject.backbone, subject.domain.test, 16).predictions
    assert set(predictions.measures(NUM_CLASSES)) == set(OF_PREDICTIONS)
    assert {n.metric for n in prediction_numbers(predictions, NUM_CLASSES, "fine-tuned")} == set(OF_PREDICTIONS)
    of_the_trainer_itself = {
        "loss",
        "runtime",
        "samples_per_second",
        "steps_per_second",
        "model_preparation_time",
        "epoch",
    }
    assert set(trained) - of_the_trainer_itself == set(OF_PREDICTIONS)
