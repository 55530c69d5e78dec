"""Two classifiers on images with known label probabilities: accuracy, confidence and calibration."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from hf_sslgen.metrics import (
    accuracy,
    adaptive_calibration_error,
    brier_score,
    classwise_calibration_error,
    debiased_calibration_error,
    expected_calibration_error,
    fit_temperature,
    ks_calibration_error,
    negative_log_likelihood,
    prediction_confidence,
    prediction_consistency,
    risk_coverage,
    top_k_accuracy,
    top_label,
    top_label_brier,
)
from hf_sslgen.metrics.inputs import BoolArray, FloatArray, IntArray
from hf_sslgen.study.inference import paired
from simulated import populations
from simulated.repetitions import Draw

PER_CLASS = "accuracy.mean_per_class_accuracy"
COMPARED = (
    "accuracy.accuracy",
    PER_CLASS,
    "prediction_confidence.mean_confidence",
    "prediction_confidence.gap",
    "brier_score.mean",
    "negative_log_likelihood.mean",
)
"""The numbers in which studies and reports compare two models."""


@dataclass(frozen=True)
class PredictionScenario:
    """A population of images and two models of them; the same `seed` gives the same population."""

    name: str
    shape: populations.Shape
    num_classes: int = 10
    num_images: int = 100_000
    seed: int = 0
    num_references: float = math.inf

    def truth(self, n: int) -> Mapping[str, float]:
        population, model, other = _built(self)
        first = {
            **populations.accuracy_truth(population, model),
            **populations.confidence_truth(model),
            **populations.calibration_truth(population, model),
            **populations.proper_scores(population, model),
            **populations.risk_coverage_truth(model),
            **populations.consistency_truth(model, other, self.num_classes),
        }
        if self.shape.label_noise == 0.0:  # no temperature undoes the noise
            first["fit_temperature.temperature"] = self.shape.sharpness
        second = {
            **populations.accuracy_truth(population, other),
            **populations.confidence_truth(other),
            **populations.proper_scores(population, other),
        }
        return first | {f"difference of {name}": first[name] - second[name] for name in COMPARED}

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        population, model, other = _built(self)
        images, labels = population.sample(n, generator)
        drawn = Draw()
        logits, probabilities = population.logits[images], model.probabilities[images]
        top = top_label(probabilities, labels)
        p, correct = top.per_sample_confidence, top.per_sample_correct
        prediction, other_prediction = top.per_sample_prediction, other.prediction[images]
        drawn.add("accuracy", accuracy(prediction, labels, self.num_classes))
        drawn.add("top_k_accuracy", top_k_accuracy(logits, labels))
        drawn.add("prediction_confidence", prediction_confidence(p, correct))
        drawn.add("expected_calibration_error", expected_calibration_error(p, correct))
        drawn.add("adaptive_calibration_error", adaptive_calibration_error(p, correct))
        drawn.add("debiased_calibration_error", debiased_calibration_error(p, correct))
        drawn.add("classwise_calibration_error", classwise_calibration_error(probabilities, labels))
        drawn.add("ks_calibration_error", ks_calibration_error(p, correct))
        drawn.add("brier_score", brier_score(probabilities, labels))
        drawn.add("negative_log_likelihood", negative_log_likelihood(probabilities, labels))
        drawn.add("top_label_brier", top_label_brier(p, correct))
        drawn.add("risk_coverage", risk_coverage(p, correct))
        drawn.add("fit_temperature", fit_temperature(logits, labels))
        drawn.add("prediction_consistency", prediction_consistency(prediction, other_prediction))
        _add_differences(drawn, _Predictions(model, images, labels), _Predictions(other, images, labels), labels)
        return drawn


@cache
def _built(scenario: PredictionScenario) -> tuple[populations.Population, populations.Model, populations.Model]:
    population = populations.make_population(scenario.num_images, scenario.num_classes, scenario.shape, scenario.seed)
    model, other = (populations.model_of(population, x) for x in (population.logits, population.other_logits))
    return population, model, other


class _Predictions:
    """Per-sample values of one model."""

    def __init__(self, model: populations.Model, images: IntArray, labels: IntArray) -> None:
        probabilities = model.probabilities[images]
        self.confidence: FloatArray = model.confidence[images]
        self.correct: BoolArray = model.prediction[images] == labels
        self.brier_score = brier_score(probabilities, labels).per_sample_score
        self.likelihood = negative_log_likelihood(probabilities, labels).per_sample_score


def _add_differences(drawn: Draw, a: _Predictions, b: _Predictions, labels: IntArray) -> None:
    """The differences between two models, as studies compute them."""
    right = [[a.correct.astype(np.float64) - b.correct]]
    wrong = ~(a.correct & b.correct)
    confidence = a.confidence - b.confidence
    estimates = {
        "accuracy.accuracy": paired.share_difference(right),
        PER_CLASS: paired.per_class_difference(right, labels),
        "prediction_confidence.mean_confidence": paired.confidence_difference(
            [[confidence]], np.minimum(a.confidence, b.confidence)
        ),
        "prediction_confidence.gap": paired.outcome_difference([[confidence - right[0][0]]], wrong),
        "brier_score.mean": paired.outcome_difference([[a.brier_score - b.brier_score]], wrong),
        "negative_log_likelihood.mean": paired.outcome_difference([[a.likelihood - b.likelihood]], wrong),
    }
    for name in COMPARED:
        drawn.add_estimate(f"difference of {name}", estimates[name])
