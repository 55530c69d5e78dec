"""Probes on frozen features: logistic regression (the linear protocol) and k-nearest neighbours."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from hf_sslgen.errors import InputError
from hf_sslgen.metrics import negative_log_likelihood

logger = logging.getLogger(__name__)

INVERSE_REGULARISATION_GRID = tuple(float(value) for value in np.logspace(-5, 2, 15))
"""Candidates of C, the same for every backbone; selected by validation likelihood."""

TOLERANCE = 1e-6
"""Largest gradient at which a fit is done. With scikit-learn's 1e-4 weakly regularised fits stop early, near where
they started, and another C is selected."""


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier of raw features: the features' standardisation is folded into it.

    Attributes:
        weight: (C, D).
        bias: (C,).
        inverse_regularisation: the selected C.
        candidates: validation negative log-likelihood of each C tried.
        not_converged: how many of the fits stopped at the iteration limit.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    inverse_regularisation: float
    candidates: dict[float, float]
    not_converged: int


def _folded(
    model: LogisticRegression, mean: NDArray[np.float64], deviation: NDArray[np.float64], num_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(C, D) weight and (C,) bias on raw features; classes without a training image get a logit below all others."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn keeps a single row, the logit difference
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((num_classes, coefficients.shape[1]))
    bias = np.full(num_classes, -1e4)
    weight[model.classes_] = coefficients / deviation
    bias[model.classes_] = intercepts - (coefficients / deviation) @ mean
    return weight, bias


def fit_linear_probe(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    validation_features: NDArray[np.floating],
    validation_labels: NDArray[np.int64],
    num_classes: int,
    grid: Sequence[float] = INVERSE_REGULARISATION_GRID,
    max_iterations: int = 1000,
) -> LinearProbe:
    """Multinomial logistic regression by L-BFGS on standardised features, C selected by validation likelihood.

    Args:
        features, validation_features: (N, D) and (V, D).

    Raises:
        InputError: features that are not finite.
    """
    if not np.isfinite(features).all():
        raise InputError("the backbone's features are not finite; its weights may be damaged")
    train = features.astype(np.float64)
    mean, deviation = train.mean(0), train.std(0)
    deviation = np.where(deviation > 1e-6 * np.abs(mean).clip(min=1e-6), deviation, np.inf)  # drops dead dimensions
    standardised = (train - mean) / deviation
    not_converged = 0
    candidates: dict[float, float] = {}
    probes: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    model = LogisticRegression(max_iter=max_iterations, tol=TOLERANCE, warm_start=True)
    with threadpool_limits(limits=1):  # the matrices are small: threads cost more than they bring, ten times at worst
        for value in sorted(grid):  # from strong to weak regularisation, each fit starting from the last
            model.set_params(C=value)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                model.fit(standardised, labels)
            not_converged += any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
            weight, bias = probes[value] = _folded(model, mean, deviation, num_classes)
            probabilities = softmax(validation_features.astype(np.float64) @ weight.T + bias, axis=1)
            candidates[value] = negative_log_likelihood(probabilities, validation_labels).mean
    best = min(candidates, key=lambda value: candidates[value])
    if not_converged:
        logger.warning("%d of %d logistic regressions stopped at the iteration limit", not_converged, len(candidates))
    if len(candidates) > 1 and best in (min(candidates), max(candidates)):
        logger.info("the selected C = %g lies at an end of its grid", best)
    return LinearProbe(*probes[best], best, candidates, not_converged)


def knn_predictions(
    train_features: NDArray[np.floating],
    train_labels: NDArray[np.int64],
    features: NDArray[np.floating],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    block_size: int = 1024,
) -> NDArray[np.int64]:
    """Weighted k-nearest-neighbour predictions by cosine similarity (Wu et al. 2018; DINO's protocol).

    Args:
        train_features: (N, D).
        features: (M, D).

    Returns:
        (M,) class indices.
    """

    def unit(values: NDArray[np.floating]) -> NDArray[np.float32]:
        norms = np.linalg.norm(values, axis=1, keepdims=True)
        return (values / np.maximum(norms, 1e-12)).astype(np.float32)

    bank, queries = unit(train_features), unit(features)
    k = min(k, len(bank))
    predictions = np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), block_size):
        similarity = queries[start : start + block_size] @ bank.T
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        weights = np.exp(np.take_along_axis(similarity, nearest, axis=1) / temperature)
        votes = np.zeros((len(similarity), num_classes))
        np.add.at(votes, (np.arange(len(similarity))[:, None], train_labels[nearest]), weights)
        predictions[start : start + block_size] = votes.argmax(axis=1)
    return predictions
