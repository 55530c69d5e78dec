"""Probes on frozen features: logistic regression (the linear protocol) and k-nearest neighbours."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hf_sslgen.metrics import negative_log_likelihood
from hf_sslgen.training.logistic_regression import regularisation_path
from hf_sslgen.training.nearest_neighbours import knn_predictions, knn_probabilities
from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID, TOLERANCE
from hf_sslgen.training.probe_design import as_tensor, make_design

__all__ = ["LinearProbe", "fit_linear_probe", "knn_predictions", "knn_probabilities"]

logger = logging.getLogger(__name__)

LOWEST_LOGIT = -1e4
"""Intercept of a class without training images."""


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


def _logistic_regressions(
    features: NDArray[np.floating],
    labels: NDArray[np.int64],
    num_classes: int,
    grid: Sequence[float],
    standardise: bool,
    tolerance: float,
    max_iterations: int,
    device: torch.device | str,
) -> Iterator[tuple[float, NDArray[np.float64], NDArray[np.float64], bool]]:
    """Fit each C, from strong to weak regularisation; yields C, weight (C, D), bias (C,) and convergence."""
    classes, present = np.unique(labels, return_inverse=True)
    design = make_design(features, len(classes), standardise, device)
    for fit in regularisation_path(design, present, grid, tolerance, max_iterations):
        weight, bias = np.zeros((num_classes, features.shape[1])), np.full(num_classes, LOWEST_LOGIT)
        weight[classes], bias[classes] = design.folded(fit.weights)
        yield fit.inverse_regularisation, weight, bias, fit.converged


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
    device: torch.device | str = "cpu",
) -> LinearProbe:
    """Fit multinomial logistic regression, selecting C by validation likelihood.

    Args:
        features, validation_features: (N, D) and (V, D).
        standardise: scale features to mean 0 and standard deviation 1 over the training images.
        retrain_on_validation: refit with the selected C on training and validation images together.
        device: where the fits run; on Apple's GPUs, which have no float64, they run on the CPU.

    Raises:
        InputError: the features are not finite.
    """
    fitting = "cpu" if torch.device(device).type == "mps" else device
    options = (standardise, tolerance, max_iterations, fitting)
    to_validate = as_tensor(validation_features).double()
    not_converged = 0
    candidates: dict[float, float] = {}
    probes: dict[float, tuple[NDArray[np.float64], NDArray[np.float64], bool]] = {}
    for value, weight, bias, converged in _logistic_regressions(features, labels, num_classes, grid, *options):
        probes[value] = weight, bias, converged
        not_converged += not converged
        logits = (to_validate @ torch.from_numpy(weight).T).numpy() + bias
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
