"""The solver of the linear probe against scikit-learn's and against the conditions of an optimum."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from hf_sslgen.training import probe_design
from hf_sslgen.training.logistic_regression import Fit, regularisation_path
from hf_sslgen.training.probe_design import Design, make_design

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TOLERANCE = 1e-6


def fits_of(
    features: Floats, labels: Labels, grid: list[float], standardise: bool = False, tolerance: float = TOLERANCE
) -> tuple[Design, list[Fit]]:
    design = make_design(features, int(labels.max()) + 1, standardise)
    return design, list(regularisation_path(design, labels, grid, tolerance, 1000))


def objective(features: Floats, labels: Labels, weights: Floats, intercepts: Floats, value: float) -> float:
    """Of scikit-learn, divided by C N. Of two classes, the difference between weights is penalised."""
    log_probabilities = log_softmax(features @ weights.T + intercepts, axis=1)
    penalised = weights[1:] - weights[:1] if len(weights) == 2 else weights
    mean = -log_probabilities[np.arange(len(labels)), labels].mean()
    return float(mean + 0.5 * np.square(penalised).sum() / (value * len(labels)))


def reference(features: Floats, labels: Labels, value: float) -> tuple[Floats, Floats]:
    """Weights and intercepts by Newton's method with a Cholesky factor; one row is split in two as the probe does."""
    model = LogisticRegression(C=value, solver="newton-cholesky", tol=1e-10, max_iter=200).fit(features, labels)
    if len(model.classes_) == 2:
        return np.concatenate([-model.coef_, model.coef_]) / 2, np.concatenate(
            [-model.intercept_, model.intercept_]
        ) / 2
    return model.coef_, model.intercept_


def gradient(features: Floats, labels: Labels, weights: Floats, intercepts: Floats, value: float) -> Floats:
    """The gradient (K, D + 1) of the mean objective; 0 at an optimum."""
    residuals = (softmax(features @ weights.T + intercepts, axis=1) - np.eye(len(weights))[labels]) / len(labels)
    strength = (2 if len(weights) == 2 else 1) / (value * len(labels))
    return np.concatenate([residuals.T @ features + strength * weights, residuals.sum(0)[:, None]], axis=1)


@st.composite
def problems(draw: st.DrawFn) -> tuple[Floats, Labels]:
    """Classes that overlap or are separable; features that are scarce, many, copied, constant or of any scale."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_classes, num_images = draw(st.integers(2, 5)), draw(st.integers(10, 40))
    num_features = draw(st.integers(1, 30))
    labels = generator.permutation(np.arange(num_images) % num_classes)
    distance = draw(st.sampled_from([0.0, 1.0, 30.0]))
    features = distance * generator.normal(size=(num_classes, num_features))[labels]
    features += generator.normal(size=(num_images, num_features))
    features *= 10 ** generator.uniform(-draw(st.integers(0, 2)), draw(st.integers(0, 2)), num_features)
    features += draw(st.sampled_from([0.0, 5.0]))
    if draw(st.booleans()):
        features = np.concatenate([features, features[:, :2], np.full((num_images, 1), 3.0)], axis=1)
    if draw(st.booleans()):
        features[1], labels[1] = features[0], labels[0]
    return features, labels


@settings(max_examples=25)
@given(problem=problems(), exponent=st.integers(-5, 5), standardise=st.booleans())
def test_every_fit_is_the_optimum(problem: tuple[Floats, Labels], exponent: int, standardise: bool) -> None:
    """As far as scikit-learn finds it and as the gradient tells, in the features' own coordinates."""
    features, labels = problem
    grid = [10.0 ** (exponent - 1), 10.0 ** (exponent - 0.5), 10.0**exponent]
    design, fits = fits_of(features, labels, grid, standardise)
    if standardise:
        deviation = features.std(0)
        features = (features - features.mean(0)) / np.where(deviation > 1e-9, deviation, np.inf)
    for value, fit in zip(grid, fits, strict=True):
        weights, intercepts = design.folded(fit.weights)
        if standardise:
            intercepts = intercepts + weights @ design.raw_mean.numpy()
            weights = weights * np.where(deviation > 1e-9, deviation, 0)
        found = objective(features, labels, weights, intercepts, value)
        assert fit.converged and fit.iterations < 1000
        assert fit.objective == pytest.approx(found, rel=1e-9, abs=1e-13)
        size = np.abs(gradient(features, labels, weights, intercepts, value)).max()
        assert size <= 1.001 * TOLERANCE
        assert fit.largest_gradient == pytest.approx(size, rel=1e-3, abs=1e-10)
        best = reference(features, labels, value)
        assert found <= (1 + 1e-6) * objective(features, labels, *best, value)


@pytest.mark.parametrize("standardise", [False, True])
@pytest.mark.parametrize("num_classes", [2, 10])
def test_a_path_over_eleven_decades_is_scikit_learns(num_classes: int, standardise: bool) -> None:
    """On digits, which most of the grid separates."""
    features, labels = load_digits(return_X_y=True)
    kept = np.flatnonzero(labels < num_classes)[:150]
    features, labels = features[kept, ::3], labels[kept].astype(np.int64)
    if standardise:
        features = (features - features.mean(0)) / np.where(features.std(0) > 0, features.std(0), np.inf)
    grid = np.logspace(-5, 6, 9).tolist()
    design, fits = fits_of(features, labels, grid[::-1], standardise)
    assert [fit.inverse_regularisation for fit in fits] == grid and all(fit.converged for fit in fits)
    for fit in fits:
        value, best = fit.inverse_regularisation, reference(features, labels, fit.inverse_regularisation)
        folded = design.folded(fit.weights)
        least = objective(features, labels, *best, value)
        assert objective(features, labels, *folded, value) <= (1 + 1e-6) * least
        ours, theirs = (features @ weights.T + intercepts for weights, intercepts in (folded, best))
        np.testing.assert_array_equal(ours.argmax(1), theirs.argmax(1))


def data(num_images: int, num_features: int, num_classes: int = 4) -> tuple[Floats, Labels]:
    generator = np.random.default_rng(1)
    labels = np.arange(num_images) % num_classes
    return generator.normal(size=(num_classes, num_features))[labels] + generator.normal(
        size=(num_images, num_features)
    ), labels


def test_a_basis_of_few_images_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """More dimensions than images, two of which are equal."""
    features, labels = data(20, 300)
    features[4] = features[0]
    reduced, fits = fits_of(features, labels, [1e-2, 1.0, 1e3], tolerance=1e-8)
    assert reduced.single.shape == (20, 21)
    monkeypatch.setattr(probe_design, "PASSES", 0)
    whole, others = fits_of(features, labels, [1e-2, 1.0, 1e3], tolerance=1e-8)
    assert whole.single.shape == (20, 301)
    for fit, other in zip(fits, others, strict=True):
        np.testing.assert_allclose(reduced.folded(fit.weights)[0], whole.folded(other.weights)[0], atol=1e-3)
        assert fit.objective == pytest.approx(other.objective, rel=1e-6)


def test_blocks_of_rows_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = data(50, 6)
    _, fits = fits_of(features, labels, [0.1, 100.0])
    for module in ("probe_design", "newton_step"):
        monkeypatch.setattr(f"hf_sslgen.training.{module}.ROWS", 16)
    _, others = fits_of(features, labels, [0.1, 100.0])
    for fit, other in zip(fits, others, strict=True):
        assert fit.objective == pytest.approx(other.objective, rel=1e-7)


def test_a_second_run_gives_the_same_bits() -> None:
    features, labels = data(60, 5)
    (_, first), (_, second) = (fits_of(features.astype(np.float32), labels, [1e-3, 1.0, 1e4]) for _ in range(2))
    for fit, other in zip(first, second, strict=True):
        assert torch.equal(fit.weights, other.weights)


def test_many_iterations_make_a_better_preconditioner_worthwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotated features of decaying variance, classes that overlap, and hardly any regularisation."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(400, 30))
    labels = (features[:, :4] + 1.5 * generator.normal(size=(400, 4))).argmax(1)
    rotation = np.linalg.qr(generator.normal(size=(30, 30))).Q
    features = features * np.logspace(0, -2, 30) @ rotation
    _, (fit,) = fits_of(features, labels, [1e4])
    monkeypatch.setattr("hf_sslgen.training.newton_step.WORTH", np.inf)
    _, (without,) = fits_of(features, labels, [1e4])
    assert fit.converged and without.converged and without.iterations > 5 * fit.iterations
    assert fit.objective == pytest.approx(without.objective, rel=1e-6)


def test_an_only_class_needs_no_weights() -> None:
    _, (fit,) = fits_of(np.arange(6.0).reshape(3, 2), np.zeros(3, np.int64), [1.0])
    assert fit.converged and not fit.weights.any()
