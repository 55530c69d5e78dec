"""Two classifiers on images whose label probabilities are known: accuracy, confidence and calibration."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from hf_sslgen.metrics import (
    MIN_CLASS_SIZE,
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
    smallest_class,
    top_k_accuracy,
    top_label,
    top_label_brier,
)
from hf_sslgen.metrics.inputs import IntArray
from hf_sslgen.metrics.intervals import MIN_OUTCOMES
from hf_sslgen.study.differences import MIN_DISCORDANT_IMAGES
from simulated import populations
from simulated.repetitions import Draw
from simulated.resampling import Resampled, resampled_difference, resampled_mean, resampled_per_class

PER_CLASS = "accuracy.mean_per_class_accuracy"
COMPARED = (
    "accuracy.accuracy",
    PER_CLASS,
    "prediction_confidence.mean_confidence",
    "prediction_confidence.gap",
    "brier_score.mean",
    "negative_log_likelihood.mean",
)
"""What studies and reports compare two models in by the bootstrap; of one, they bootstrap accuracy per class alone."""


@dataclass(frozen=True)
class PredictionScenario:
    """Sizes and shape of the population; see `make_population`."""

    name: str
    spread: float
    sharpness: float
    imbalance: float = 1.0
    num_classes: int = 10
    num_images: int = 100_000
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
            "fit_temperature.temperature": self.sharpness,
        }
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

        ours = _resampled(model, images, labels, self.num_classes)
        theirs = _resampled(other, images, labels, self.num_classes)
        discordant = int(np.count_nonzero(correct != (other_prediction == labels)))
        rare = smallest_class(labels) < MIN_CLASS_SIZE
        few = min(np.count_nonzero(correct), np.count_nonzero(~correct)) < MIN_OUTCOMES
        drawn.bootstrap(PER_CLASS, replace(ours[PER_CLASS], withheld=rare or bool(few)))
        for name in COMPARED:
            withheld = discordant < MIN_DISCORDANT_IMAGES or (name == PER_CLASS and rare)
            difference = resampled_difference(ours[name], theirs[name])
            drawn.bootstrap(f"difference of {name}", replace(difference, withheld=withheld))
        return drawn


@cache
def _built(scenario: PredictionScenario) -> tuple[populations.Population, populations.Model, populations.Model]:
    population = populations.make_population(
        scenario.num_images, scenario.num_classes, scenario.spread, scenario.sharpness, scenario.imbalance, seed=0
    )
    model, other = (populations.model_of(population, x) for x in (population.logits, population.other_logits))
    return population, model, other


def _resampled(model: populations.Model, images: IntArray, labels: IntArray, num_classes: int) -> dict[str, Resampled]:
    """Per-sample values of one model, ready for the bootstrap."""
    probabilities, p = model.probabilities[images], model.confidence[images]
    correct = model.prediction[images] == labels
    per_sample = {
        "accuracy.accuracy": correct.astype(np.float64),
        "prediction_confidence.mean_confidence": p,
        "prediction_confidence.gap": p - correct,
        "brier_score.mean": brier_score(probabilities, labels).per_sample_score,
        "negative_log_likelihood.mean": negative_log_likelihood(probabilities, labels).per_sample_score,
    }
    return {name: resampled_mean(values) for name, values in per_sample.items()} | {
        PER_CLASS: resampled_per_class(correct, labels, num_classes)
    }
