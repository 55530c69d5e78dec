"""Probes on frozen features: logistic regression (the linear protocol) and k-nearest neighbours."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from hf_sslgen.errors import InputError
from hf_sslgen.metrics import negative_log_likelihood
from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID, TOLERANCE

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A linear classifier on raw features, with the features' standardisation folded in.

    Attributes:
        weight: (C, D).
        bias: (C,).
        inverse_regularisation: the selected C.
        candidates: validation negative log-likelihood of each C tried.
        not_converged: number of fits that stopped at the iteration limit.
        converged: whether the fit of this classifier converged.
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    inverse_regularisation: float
    candidates: dict[float, float]
    not_converged: int
    converged: bool


def _folded(
    model: LogisticRegression, mean: NDArray[np.float64], deviation: NDArray[np.float64], num_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weight (C, D) and bias (C,) on raw features; classes without training images get the lowest logit."""
    coefficients, intercepts = model.coef_, model.intercept_
    if len(model.classes_) == 2:  # scikit-learn stores a single row, the logit difference
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    weight = np.zeros((num_classes, coefficients.shape[1]))
    bias = np.full(num_classes, -1e4)
    weight[model.classes_] = coefficients / deviation
    bias[model.classes_] = intercepts - (coefficients / deviation) @ mean
    return weight, bias


def _standardisation(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation, each (D,); an infinite deviation drops dead dimensions."""
    mean, deviation = features.mean(0), features.std(0)
    return mean, np.where(deviation > 1e-6 * np.abs(mean).clip(min=1e-6), deviation, np.inf)


def _logistic_regressions(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    num_classes: int,
    grid: Sequence[float],
    standardise: bool,
    tolerance: float,
    max_iterations: int,
) -> Iterator[tuple[float, NDArray[np.float64], NDArray[np.float64], bool]]:
    """Fit each C, from strong to weak regularisation; yields C, weight (C, D), bias (C,) and convergence."""
    if not np.isfinite(features).all():
        raise InputError("the backbone's features are not finite; its weights may be damaged")
    train = features.astype(np.float64)
    num_features = train.shape[1]
    mean, deviation = _standardisation(train) if standardise else (np.zeros(num_features), np.ones(num_features))
    standardised = (train - mean) / deviation
    model = LogisticRegression(max_iter=max_iterations, tol=tolerance, warm_start=True)
    with threadpool_limits(limits=1):  # on small matrices threads slow things down, up to tenfold
        for value in sorted(grid):  # each fit starts from the previous one
            model.set_params(C=value)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                model.fit(standardised, labels)
            converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
            yield value, *_folded(model, mean, deviation, num_classes), converged


def fit_linear_probe(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    validation_features: NDArray[np.floating],
    validation_labels: NDArray[np.int64],
    num_classes: int,
    grid: Sequence[float] = INVERSE_REGULARISATION_GRID,
    max_iterations: int = 1000,
    tolerance: float = TOLERANCE,
    standardise: bool = True,
    retrain_on_validation: bool = False,
) -> LinearProbe:
    """Fit multinomial logistic regression by L-BFGS, selecting C by validation likelihood.

    Args:
        features, validation_features: (N, D) and (V, D).
        standardise: scale features to mean 0 and standard deviation 1 over the training images.
        retrain_on_validation: refit with the selected C on training and validation images together.

    Raises:
        InputError: the features are not finite.
    """
    options = (standardise, tolerance, max_iterations)
    not_converged = 0
    candidates: dict[float, float] = {}
    probes: dict[float, tuple[NDArray[np.float64], NDArray[np.float64], bool]] = {}
    for value, weight, bias, converged in _logistic_regressions(features, labels, num_classes, grid, *options):
        probes[value] = weight, bias, converged
        not_converged += not converged
        logits = validation_features.astype(np.float64) @ weight.T + bias
        candidates[value] = negative_log_likelihood(logits, validation_labels, from_logits=True).mean
    best = min(candidates, key=lambda value: candidates[value])
    if not_converged:
        logger.warning("%d of %d logistic regressions stopped at the iteration limit", not_converged, len(candidates))
    if len(candidates) > 1 and best in (min(candidates), max(candidates)):
        logger.info("the selected C = %g lies at an end of its grid", best)
    weight, bias, converged = probes[best]
    if retrain_on_validation:
        features, labels = (
            np.concatenate(parts) for parts in ((features, validation_features), (labels, validation_labels))
        )
        ((_, weight, bias, converged),) = _logistic_regressions(features, labels, num_classes, (best,), *options)
        not_converged += not converged
    return LinearProbe(weight, bias, best, candidates, not_converged, converged)


def knn_probabilities(
    train_features: NDArray[np.floating],
    train_labels: NDArray[np.int64],
    features: NDArray[np.floating],
    num_classes: int,
    neighbours: Sequence[int],
    temperature: float = 0.07,
    pseudo_neighbours: float = 1.0,
    block_size: int = 1024,
) -> dict[int, NDArray[np.float64]]:
    """Compute class probabilities by cosine-weighted k-nearest neighbours (Wu et al. 2018; DINO's protocol).

    Each of the k neighbours votes exp(similarity / temperature) for its class. With v_c the share of class c in the
    votes and a = `pseudo_neighbours`, p_c = (k v_c + a / C) / (k + a): a class without votes keeps a probability above
    0, and the largest vote wins for every a.

    Args:
        train_features: (N, D).
        features: (M, D).
        neighbours: values of k, none above N.

    Returns:
        For each k, (M, C) probabilities.
    """

    def unit(values: NDArray[np.floating]) -> NDArray[np.float32]:
        norms = np.linalg.norm(values, axis=1, keepdims=True)
        return (values / np.maximum(norms, 1e-12)).astype(np.float32)

    bank, queries = unit(train_features), unit(features)
    most = max(neighbours)
    if most > len(bank):
        raise InputError(f"neighbours has k = {most}, more than the {len(bank)} training images")
    result = {k: np.empty((len(queries), num_classes)) for k in neighbours}
    for start in range(0, len(queries), block_size):
        similarity = queries[start : start + block_size] @ bank.T
        nearest = np.argpartition(-similarity, most - 1, axis=1)[:, :most]
        of_nearest = np.take_along_axis(similarity, nearest, axis=1).astype(np.float64)
        order = np.argsort(-of_nearest, axis=1, kind="stable")
        of_nearest = np.take_along_axis(of_nearest, order, axis=1)
        classes = train_labels[np.take_along_axis(nearest, order, axis=1)]
        # The common factor exp(-largest / temperature) avoids overflow at small temperatures.
        weights = np.exp((of_nearest - of_nearest[:, :1]) / temperature)
        for k, probabilities in result.items():
            votes = np.zeros((len(similarity), num_classes))
            np.add.at(votes, (np.arange(len(similarity))[:, None], classes[:, :k]), weights[:, :k])
            shares = votes / votes.sum(axis=1, keepdims=True)
            probabilities[start : start + block_size] = (k * shares + pseudo_neighbours / num_classes) / (
                k + pseudo_neighbours
            )
    return result


def knn_predictions(
    train_features: NDArray[np.floating],
    train_labels: NDArray[np.int64],
    features: NDArray[np.floating],
    num_classes: int,
    k: int = 20,
    temperature: float = 0.07,
    block_size: int = 1024,
) -> NDArray[np.int64]:
    """Return (M,) class indices with the largest vote, as in `knn_probabilities`; k is capped at all neighbours."""
    k = min(k, len(train_features))
    probabilities = knn_probabilities(
        train_features, train_labels, features, num_classes, (k,), temperature, block_size=block_size
    )
    predictions: NDArray[np.int64] = probabilities[k].argmax(axis=1)
    return predictions
