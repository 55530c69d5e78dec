"""Exact population values, against scikit-learn on the population written out with every label and its weight."""

from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated import populations
from simulated.populations import Model, Population, Shape
from sklearn import metrics as reference

CLASSES = 6


class Written(NamedTuple):
    """A population and one model of it, with a row for every image and label: its weight is P(image, label)."""

    population: Population
    model: Model
    images: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]


@pytest.fixture(scope="module", params=[1.0, 50.0], ids=["balanced", "imbalanced"])
def written(request: pytest.FixtureRequest) -> Written:
    population = populations.make_population(80, CLASSES, Shape(2.0, 2.5, imbalance=request.param), seed=1)
    return Written(
        population,
        populations.model_of(population, population.logits),
        np.repeat(np.arange(80), CLASSES),
        np.tile(np.arange(CLASSES), 80),
        population.posterior.ravel() / 80,
    )


def test_posterior_and_model(written: Written) -> None:
    population, model = written.population, written.model
    assert population.posterior.sum(axis=1) == pytest.approx(np.ones(80))
    restored = np.exp(population.logits / 2.5)
    assert restored / restored.sum(axis=1, keepdims=True) == pytest.approx(population.posterior)
    assert model.confidence == pytest.approx(model.probabilities.max(axis=1))


def test_accuracies(written: Written) -> None:
    population, model, images, labels, weights = written
    truth = populations.accuracy_truth(population, model)
    predicted = model.prediction[images]
    assert truth["accuracy.accuracy"] == pytest.approx(
        reference.accuracy_score(labels, predicted, sample_weight=weights)
    )
    assert truth["accuracy.mean_per_class_accuracy"] == pytest.approx(
        reference.balanced_accuracy_score(labels, predicted, sample_weight=weights)
    )
    assert truth["top_k_accuracy.top_k_accuracy"] == pytest.approx(
        reference.top_k_accuracy_score(labels, model.probabilities[images], k=5, sample_weight=weights)
    )


def test_confidence(written: Written) -> None:
    _, model, images, labels, weights = written
    truth = populations.confidence_truth(model)
    p, correct = model.confidence[images], model.prediction[images] == labels
    assert truth["prediction_confidence.auroc"] == pytest.approx(
        reference.roc_auc_score(correct, p, sample_weight=weights)
    )
    assert truth["prediction_confidence.gap"] == pytest.approx((weights * (p - correct)).sum())
    assert truth["prediction_confidence.mean_confidence"] == pytest.approx((weights * p).sum())
    for name, side in (("correct", correct), ("incorrect", ~correct)):
        assert truth[f"prediction_confidence.mean_confidence_{name}"] == pytest.approx(
            np.average(p[side], weights=weights[side])
        )


def test_proper_scores(written: Written) -> None:
    population, model, images, labels, weights = written
    truth = populations.proper_scores(population, model)
    p = model.probabilities[images]
    correct = model.prediction[images] == labels
    assert truth["negative_log_likelihood.mean"] == pytest.approx(
        reference.log_loss(labels, p, sample_weight=weights, labels=np.arange(CLASSES))
    )
    by_class = [reference.brier_score_loss(labels == c, p[:, c], sample_weight=weights) for c in range(CLASSES)]
    assert truth["brier_score.mean"] == pytest.approx(sum(by_class))
    assert truth["top_label_brier.mean"] == pytest.approx(
        reference.brier_score_loss(correct, model.confidence[images], sample_weight=weights)
    )


def test_calibration_errors_by_hand(written: Written) -> None:
    population, model, images, labels, weights = written
    truth = populations.calibration_truth(population, model)
    p, correct = model.confidence[images], model.prediction[images] == labels
    signed, shares = [], []
    for bin_index in range(15):
        inside = (p > bin_index / 15) & (p <= (bin_index + 1) / 15)
        if inside.any():
            shares.append(weights[inside].sum())
            signed.append(np.average(p[inside] - correct[inside], weights=weights[inside]))
    gaps, shares = np.abs(signed), np.array(shares)
    assert truth["expected_calibration_error.expected_calibration_error"] == pytest.approx((shares * gaps).sum())
    assert truth["expected_calibration_error.l2_calibration_error"] == pytest.approx(np.sqrt((shares * gaps**2).sum()))
    assert truth["expected_calibration_error.maximum_calibration_error"] == pytest.approx(gaps.max())

    walk = [(weights * (p - correct))[p <= bound].sum() for bound in np.unique(p)]
    assert truth["ks_calibration_error.ks_calibration_error"] == pytest.approx(np.abs(walk).max())

    of_class = []
    for c in range(CLASSES):
        p_c = model.probabilities[images, c]
        bins = np.clip(np.ceil(p_c * 15), 1, 15)
        surplus = weights * (p_c - (labels == c))
        of_class.append(sum(abs(surplus[bins == b].sum()) for b in range(1, 16)))
    assert truth["classwise_calibration_error.classwise_calibration_error"] == pytest.approx(np.mean(of_class))


def test_errors_of_equal_mass_by_hand(written: Written) -> None:
    """Eighty images in fifteen bins: that of rank i is in bin floor(15 i / 80)."""
    population, model, *_ = written
    truth = populations.calibration_truth(population, model)
    surplus = (model.confidence - model.right)[np.argsort(model.confidence)]
    bins = [surplus[np.arange(80) * 15 // 80 == b] for b in range(15)]
    squared = sum(len(held) / 80 * held.mean() ** 2 for held in bins)
    assert truth["debiased_calibration_error.debiased_squared_calibration_error"] == pytest.approx(squared)
    absolute = sum(abs(held.sum()) for held in bins) / 80
    assert truth["adaptive_calibration_error.adaptive_calibration_error"] == pytest.approx(absolute)


def test_bins_hold_their_upper_edge() -> None:
    surplus = np.array([1.0, 2.0, 4.0, 8.0])
    gaps, shares = populations.binned(np.array([0.0, 0.25, 0.5, 1.0]), surplus, 4)
    assert gaps.tolist() == [0.75, 1.0, 0.0, 2.0]
    assert shares.tolist() == [0.5, 0.25, 0.0, 0.25]


def test_risk_coverage_by_hand(written: Written) -> None:
    model = written.model
    truth = populations.risk_coverage_truth(model)
    risks = [1.0 - model.right[model.confidence >= bound].mean() for bound in model.confidence]
    assert truth["risk_coverage.aurc"] == pytest.approx(np.mean(risks))

    error = 1.0 - model.right.mean()
    coverages = (np.arange(1_000_000) + 0.5) / 1_000_000  # the oracle rejects nothing but errors, until it has to
    oracle = np.maximum(0.0, coverages - (1.0 - error)) / coverages
    assert truth["risk_coverage.excess_aurc"] == pytest.approx(np.mean(risks) - oracle.mean(), abs=1e-9)


def test_consistency(written: Written) -> None:
    population, model = written.population, written.model
    other = populations.model_of(population, population.other_logits)
    truth = populations.consistency_truth(model, other, CLASSES)
    assert truth["prediction_consistency.prediction_consistency"] == (model.prediction == other.prediction).mean()
    assert truth["prediction_consistency.kappa"] == pytest.approx(
        reference.cohen_kappa_score(model.prediction, other.prediction)
    )


def test_labels_follow_the_posterior(written: Written) -> None:
    population = written.population
    images, labels = population.sample(400_000, np.random.default_rng(2))
    table = np.zeros((80, CLASSES))
    np.add.at(table, (images, labels), 1.0)
    drawn = table.sum(axis=1)
    assert drawn.sum() == 400_000
    excess = (table - drawn[:, None] * population.posterior) / np.sqrt(drawn[:, None] * population.posterior + 1.0)
    assert np.abs(excess).max() < 5.0  # standard errors
