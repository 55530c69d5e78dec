"""Contenders that fit probes on frozen features, with the features they are given."""

import gc
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from hf_sslgen.randomness import derive_seed
from hf_sslgen.training.few_shot import eligible_classes, prototypical_accuracies
from hf_sslgen.training.logistic_regression import regularisation_path
from hf_sslgen.training.nearest_neighbours import knn_probabilities
from hf_sslgen.training.probe_design import make_design
from measured.measuring import peak_resident, settle_memory

Floats = NDArray[np.floating]
Labels = NDArray[np.int64]
OURS, LBFGS, CHOLESKY = "hf_sslgen", "scikit-learn, L-BFGS", "scikit-learn, Newton-Cholesky"
TOLERANCE, MAX_ITERATIONS = 1e-6, 1000
MOST_PARAMETERS = 1_000
"""Of problems that scikit-learn's Newton-Cholesky solver is given. Its Hessian is over all classes together: at 5,000
parameters a grid takes it minutes, and at 200,000 the Hessian would take 320 GB."""

TEMPERATURE = 0.07

ENOUGH = 60
"""Iterations after which memory no longer grows; this package may have computed a preconditioner by then."""


@dataclass(frozen=True)
class Size:
    """Training images, dimensions, classes; the grid of C; whether features are standardised."""

    num_images: int
    num_features: int
    num_classes: int
    grid: tuple[float, ...]
    standardise: bool

    def __str__(self) -> str:
        scaled = "standardised" if self.standardise else "as they are"
        sizes = f"{self.num_images:,} x {self.num_features:,}, {self.num_classes} classes"
        return f"{sizes}, {len(self.grid)} values of C, {scaled}"


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights (K, D) and intercepts (K,) for each C on raw features, as for `size`; which fits did not converge."""

    probes: dict[float, tuple[NDArray[np.float64], NDArray[np.float64]]]
    not_converged: int


def simulated_features(num_images: int, num_features: int, num_classes: int, seed: int) -> tuple[Floats, Labels]:
    """Return float32 features like those of a network: rectified, correlated with a decaying spectrum, with classes
    that overlap."""
    population, generator = np.random.default_rng(0), np.random.default_rng(seed + 1)
    scales = np.arange(1, num_features + 1) ** -0.5
    means = population.normal(size=(num_classes, num_features)) * scales
    mixing = population.normal(size=(num_features, num_features)).astype(np.float32)
    labels = generator.permutation(np.arange(num_images) % num_classes)
    hidden = 0.25 * means[labels] + generator.normal(size=(num_images, num_features)) * scales
    return np.maximum(hidden.astype(np.float32) @ mixing / 3, 0), labels


def fit_ours(
    features: Floats, labels: Labels, size: Size, device: str, max_iterations: int = MAX_ITERATIONS
) -> Fitted:
    design = make_design(features, size.num_classes, size.standardise, device)
    fits = list(regularisation_path(design, labels, size.grid, TOLERANCE, max_iterations))
    probes = {fit.inverse_regularisation: design.folded(fit.weights) for fit in fits}
    return Fitted(probes, sum(not fit.converged for fit in fits))


def fit_scikit_learn(
    features: Floats, labels: Labels, size: Size, solver: str, max_iterations: int = MAX_ITERATIONS
) -> Fitted:
    """Fit each C from the solution before, in float64, as the linear probe did before it had a solver of its own."""
    train = features.astype(np.float64)
    mean, deviation = np.zeros(train.shape[1]), np.ones(train.shape[1])
    if size.standardise:
        mean, deviation = train.mean(0), train.std(0)
        deviation = np.where(deviation > 1e-6 * np.abs(mean).clip(min=1e-6), deviation, np.inf)
    standardised = (train - mean) / deviation
    model = LogisticRegression(max_iter=max_iterations, tol=TOLERANCE, warm_start=True, solver=solver)
    probes, not_converged = {}, 0
    for value in sorted(size.grid):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.set_params(C=value).fit(standardised, labels)
        not_converged += any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
        coefficients, intercepts = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            coefficients, intercepts = (np.concatenate([-part, part]) / 2 for part in (coefficients, intercepts))
        weights = coefficients / deviation
        probes[value] = weights, intercepts - weights @ mean
    return Fitted(probes, not_converged)


def is_small(size: Size) -> bool:
    """Whether Newton-Cholesky is given the problem."""
    rows = 1 if size.num_classes == 2 else size.num_classes
    return rows * (size.num_features + 1) <= MOST_PARAMETERS


def objective(features: Floats, labels: Labels, size: Size, fitted: Fitted, value: float) -> float:
    """Return scikit-learn's objective over C N, of a probe on raw features."""
    weights, intercepts = fitted.probes[value]
    log_probabilities = log_softmax(features.astype(np.float64) @ weights.T + intercepts, axis=1)
    penalised = weights * features.std(0, dtype=np.float64) if size.standardise else weights
    if len(weights) == 2:
        penalised = penalised[1] - penalised[0]
    mean = -log_probabilities[np.arange(len(labels)), labels].mean()
    return float(mean + 0.5 * np.square(penalised).sum() / (value * len(labels)))


def seconds_of(call: Callable[[], object], device: str) -> tuple[float, float]:
    """Return the time of a call by the clock and of the processors."""
    wall, processors = time.perf_counter(), time.process_time()
    call()
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - processors


def megabytes_of_fit(name: str, size: Size, device: str, threads: int) -> float:
    """Return the growth of peak memory during a few iterations for two values of C, on the device if it is a GPU."""
    torch.set_num_threads(threads)
    features, labels = simulated_features(size.num_images, size.num_features, size.num_classes, seed=0)
    short = Size(size.num_images, size.num_features, size.num_classes, size.grid[-2:], size.standardise)
    on_gpu = name == OURS and torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    gc.collect()
    settle_memory()
    before = peak_resident()
    with threadpool_limits(threads):
        if name == OURS:
            fit_ours(features, labels, short, device, ENOUGH)
        else:
            fit_scikit_learn(features, labels, short, "lbfgs", ENOUGH)
    return (torch.cuda.max_memory_allocated() if on_gpu else peak_resident() - before) / 1e6


def neighbours_ours(
    bank: Floats, labels: Labels, queries: Floats, num_classes: int, neighbours: Sequence[int], device: str
) -> list[NDArray[np.float64]]:
    found = knn_probabilities(bank, labels, queries, num_classes, neighbours, TEMPERATURE, device=device)
    return [found[k] for k in neighbours]


def neighbours_scikit_learn(
    bank: Floats, labels: Labels, queries: Floats, neighbours: Sequence[int]
) -> list[NDArray[np.float64]]:
    """Search by brute force for each k."""

    def votes(distances: Floats) -> Floats:
        return np.exp((1 - distances) / TEMPERATURE)

    models = [KNeighborsClassifier(k, weights=votes, metric="cosine", algorithm="brute") for k in neighbours]
    return [model.fit(bank, labels).predict_proba(queries) for model in models]


def episodes_ours(features: Floats, labels: Labels, episodes: int) -> NDArray[np.float64]:
    return prototypical_accuracies(features, labels, 5, 5, 15, episodes, seed=0)


def episodes_one_by_one(features: Floats, labels: Labels, episodes: int) -> NDArray[np.float64]:
    """Draw and classify one episode after the other, with all differences."""
    members = {label: np.flatnonzero(labels == label) for label in eligible_classes(labels, 5, 5, 15)}
    values = features.astype(np.float64)
    accuracies = np.empty(episodes)
    for episode in range(episodes):
        generator = np.random.default_rng(derive_seed(0, "episode", episode))
        chosen = generator.choice(list(members), 5, replace=False)
        drawn = np.stack([generator.permutation(members[int(label)])[:20] for label in chosen])
        prototypes = values[drawn[:, :5]].mean(axis=1)
        query = values[drawn[:, 5:]].reshape(75, -1)
        nearest = np.square(query[:, None] - prototypes).sum(axis=2).argmin(axis=1)
        accuracies[episode] = (nearest == np.repeat(np.arange(5), 15)).mean()
    return accuracies
