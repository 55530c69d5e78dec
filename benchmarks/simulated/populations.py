"""Finite populations of images with known label probabilities, so that their numbers are exact sums.

A population has K images. A sample draws n of them with replacement, and a label for each from its true distribution,
so every population value below is a sum over the K images, without simulation.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from hf_sslgen.metrics.calibration_by_rank import equal_mass_bins
from hf_sslgen.metrics.inputs import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Population:
    """K images of C classes: P(label | image), and the logits that two models report for them, all (K, C)."""

    posterior: FloatArray
    logits: FloatArray
    other_logits: FloatArray
    cumulative: FloatArray

    @property
    def num_classes(self) -> int:
        return self.posterior.shape[1]

    def sample(self, n: int, generator: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Images drawn with replacement, and their labels."""
        images = generator.integers(len(self.posterior), size=n)
        below = self.cumulative[images] < generator.random((n, 1))
        return images, np.minimum(below.sum(axis=1), self.num_classes - 1)


@dataclass(frozen=True)
class Shape:
    """The distribution of a population's scores, whose softmax gives the label probabilities.

    Attributes:
        spread: scale of the scores, their standard deviation if they are normal.
        sharpness: the first model's logits are the scores times this: 1 is calibrated, more is over-confident, and
            the temperature that restores the truth is `sharpness` itself.
        imbalance: ratio of the prior probabilities of the most common and the rarest class, with a geometric
            progression in between.
        tails: degrees of freedom of the Student t distribution of scores; infinite for normal scores. With few, many
            probabilities are 1 in floating point.
        label_noise: share of labels that are redrawn regardless of the image.
        hard: share of images whose scores have the scale `HARD` instead of `spread`.
    """

    spread: float
    sharpness: float = 1.0
    imbalance: float = 1.0
    tails: float = math.inf
    label_noise: float = 0.0
    hard: float = 0.0


HARD = 1.5


def make_population(num_images: int, num_classes: int, shape: Shape, seed: int) -> Population:
    """Return a population and two models of it; the second model's logits are the scores with noise."""
    generator = np.random.default_rng(seed)
    prior = -np.log(shape.imbalance) * np.linspace(0.0, 1.0, num_classes)
    drawn = generator.normal(size=(num_images, num_classes))
    if not math.isinf(shape.tails):
        drawn /= np.sqrt(generator.chisquare(shape.tails, size=(num_images, 1)) / shape.tails)
    spread = np.where(generator.random((num_images, 1)) < shape.hard, HARD, shape.spread)
    scores = spread * drawn + prior
    posterior = (1.0 - shape.label_noise) * special.softmax(scores, axis=1) + shape.label_noise / num_classes
    other = scores + generator.normal(size=scores.shape)
    return Population(posterior, shape.sharpness * scores, other, np.cumsum(posterior, axis=1))


@dataclass(frozen=True, eq=False)
class Model:
    """One model on a population: class probabilities (K, C), and its prediction, confidence p and P(correct), (K,)."""

    probabilities: FloatArray
    prediction: IntArray
    confidence: FloatArray
    right: FloatArray


def model_of(population: Population, logits: FloatArray) -> Model:
    probabilities = special.softmax(logits, axis=1)
    prediction = probabilities.argmax(axis=1)
    images = np.arange(len(prediction))
    return Model(
        probabilities, prediction, probabilities[images, prediction], population.posterior[images, prediction]
    )


def proper_scores(population: Population, model: Model) -> dict[str, float]:
    """Expected Brier score, negative log-likelihood and top-label Brier score."""
    q, p, confidence = population.posterior, model.probabilities, model.confidence
    return {
        "brier_score.mean": float((np.square(p) - 2.0 * p * q).sum(axis=1).mean() + 1.0),
        "negative_log_likelihood.mean": float(-(q * np.log(np.maximum(p, 1e-12))).sum(axis=1).mean()),
        "top_label_brier.mean": float((np.square(confidence) - 2.0 * confidence * model.right + model.right).mean()),
    }


def confidence_truth(model: Model) -> dict[str, float]:
    """Mean confidences, gap, and the probability that a right prediction is more confident than a wrong one."""
    p, right = model.confidence, model.right
    wrong = 1.0 - right
    tied = np.unique(p, return_inverse=True)[1]  # an image ties with itself, and with others at 1
    of_right, of_wrong = np.bincount(tied, weights=right), np.bincount(tied, weights=wrong)
    wrong_below = np.cumsum(of_wrong) - of_wrong / 2.0
    return {
        "prediction_confidence.mean_confidence": float(p.mean()),
        "prediction_confidence.mean_confidence_correct": float((p * right).sum() / right.sum()),
        "prediction_confidence.mean_confidence_incorrect": float((p * wrong).sum() / wrong.sum()),
        "prediction_confidence.gap": float(p.mean() - right.mean()),
        "prediction_confidence.auroc": float((of_right * wrong_below).sum() / (right.sum() * wrong.sum())),
    }


def accuracy_truth(population: Population, model: Model) -> dict[str, float]:
    """Accuracy, its mean over classes, and the share of labels among the five most likely classes."""
    q = population.posterior
    hits = np.bincount(model.prediction, weights=model.right, minlength=population.num_classes)
    five = np.argsort(model.probabilities, axis=1)[:, -5:]
    return {
        "accuracy.accuracy": float(model.right.mean()),
        "accuracy.mean_per_class_accuracy": float((hits / q.sum(axis=0)).mean()),
        "top_k_accuracy.top_k_accuracy": float(np.take_along_axis(q, five, axis=1).sum(axis=1).mean()),
    }


def calibration_truth(population: Population, model: Model, num_bins: int = 15) -> dict[str, float]:
    """Calibration errors between expectations, within the bins that the estimators use."""
    p, surplus = model.confidence, model.confidence - model.right
    gaps, shares = binned(p, surplus, num_bins)
    held = shares > 0
    ranked = equal_mass_bins(p, num_bins)
    ranked_gaps = np.bincount(ranked, weights=surplus, minlength=num_bins) / len(p)
    ranked_shares = np.bincount(ranked, minlength=num_bins) / len(p)
    filled = ranked_shares > 0
    by_class = [
        np.abs(binned(model.probabilities[:, c], model.probabilities[:, c] - population.posterior[:, c], num_bins)[0])
        for c in range(population.num_classes)
    ]
    return {
        "expected_calibration_error.expected_calibration_error": float(np.abs(gaps).sum()),
        "expected_calibration_error.l2_calibration_error": float(np.sqrt((gaps[held] ** 2 / shares[held]).sum())),
        "expected_calibration_error.maximum_calibration_error": float(np.abs(gaps[held] / shares[held]).max()),
        "adaptive_calibration_error.adaptive_calibration_error": float(np.abs(ranked_gaps).sum()),
        "debiased_calibration_error.debiased_squared_calibration_error": float(
            (ranked_gaps[filled] ** 2 / ranked_shares[filled]).sum()
        ),
        "classwise_calibration_error.classwise_calibration_error": float(np.mean([g.sum() for g in by_class])),
        "ks_calibration_error.ks_calibration_error": float(np.abs(np.cumsum(surplus[np.argsort(p)])).max() / len(p)),
    }


def binned(p: FloatArray, surplus: FloatArray, num_bins: int) -> tuple[FloatArray, FloatArray]:
    """Per bin (b/M, (b+1)/M], the mean surplus over all images that falls there, and the share of images."""
    bins = np.maximum(np.ceil(p * num_bins).astype(np.int64) - 1, 0)
    gaps = np.bincount(bins, weights=surplus, minlength=num_bins)[:num_bins] / len(p)
    return gaps, np.bincount(bins, minlength=num_bins)[:num_bins] / len(p)


def risk_coverage_truth(model: Model) -> dict[str, float]:
    """Area under the population's risk-coverage curve, and its excess over r + (1 - r) log(1 - r), the oracle's."""
    _, tied, sizes = np.unique(-model.confidence, return_inverse=True, return_counts=True)
    risk = np.cumsum(np.bincount(tied, weights=1.0 - model.right)) / np.cumsum(sizes)
    mean_risk = float(sizes @ risk / sizes.sum())
    error_rate = float(1.0 - model.right.mean())
    oracle = error_rate + (1.0 - error_rate) * np.log1p(-error_rate)
    return {"risk_coverage.aurc": mean_risk, "risk_coverage.excess_aurc": mean_risk - oracle}


def consistency_truth(model: Model, other: Model, num_classes: int) -> dict[str, float]:
    """Share of images to which both models assign the same class, and that share corrected for chance."""
    table = np.bincount(model.prediction * num_classes + other.prediction, minlength=num_classes**2)
    shares = table.reshape(num_classes, num_classes) / table.sum()
    agreement = float(np.trace(shares))
    chance = float(shares.sum(axis=1) @ shares.sum(axis=0))
    return {
        "prediction_consistency.prediction_consistency": agreement,
        "prediction_consistency.kappa": (agreement - chance) / (1.0 - chance),
    }
