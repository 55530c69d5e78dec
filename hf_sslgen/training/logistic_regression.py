"""Multinomial logistic regression with an L2 penalty, fitted along a path of penalties by Newton's method.

The objective is scikit-learn's, C times the summed negative log-likelihood plus half the squared norm of the weights,
divided by C N; intercepts are not penalised. With two classes scikit-learn penalises the difference of their weights,
which is the same as half the C for both. Solutions for smaller C are extrapolated in log C (polynomials of up to
second degree) to where the next fit starts. Steps are computed in float32; gradients, objectives and the test of
convergence that ends a fit are exact, in float64.

Memory: 4 N D bytes for features in float32, about 100 N K for N images of K classes and, where many iterations make a
preconditioner worthwhile, 40 D^2 (with N D in place of the last two where D > N and the problem is reduced to the span
of the images).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.training.newton_step import NewtonSteps, Point, Step
from hf_sslgen.training.probe_design import Design, as_tensor

LOSS_TOLERANCE = 3e-7
"""Largest estimate of what is left to gain in a converged fit, relative to the objective. With weak regularisation of
separable classes, gradients alone are small far from the optimum."""

DEGREE = 2
"""Largest degree of the polynomials that extrapolate solutions."""

ROUNDING = 1e-14
"""Change of the objective that rounding explains."""


SHORTEST = 1e-8
"""Fraction of a step below which rounding is all that it can gain."""


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit of the path.

    Attributes:
        inverse_regularisation: C.
        weights: (K, r + 1) in the design's coordinates, the intercept last.
        objective: its value.
        largest_gradient: by raw or standardised weights, as the design was made for.
        iterations: passes over the features.
        converged: whether it ended before the limit on these.
    """

    inverse_regularisation: float
    weights: Tensor
    objective: float
    largest_gradient: float
    iterations: int
    converged: bool


@dataclass(frozen=True, eq=False)
class _Iterate:
    """Weights (K, r + 1) with their logits and log-probabilities (K, N), and the objective, all in float64."""

    weights: Tensor
    logits: Tensor
    log_probabilities: Tensor
    objective: float


@dataclass(frozen=True, eq=False)
class _Solution:
    """The optimum at a value of log C."""

    log_c: float
    weights: Tensor
    logits: Tensor


def regularisation_path(
    design: Design, labels: NDArray[np.int64], grid: Sequence[float], tolerance: float, max_iterations: int
) -> Iterator[Fit]:
    """Fit each C, from strong to weak regularisation.

    Args:
        labels: (N,) from 0 to K - 1, each of which occurs.
        tolerance: a fit has converged if no entry of its gradient is larger and the objective can fall by no more
            than `LOSS_TOLERANCE` of itself; or if rounding alone is left.
        max_iterations: passes over the features (products with the Hessian) after which a fit stops in any case.
    """
    references = as_tensor(labels).to(design.single.device)
    shares = torch.bincount(references).double() / len(references)
    steps = NewtonSteps(design, len(shares))
    solved: list[_Solution] = []
    for value in sorted(grid):
        penalised = value / 2 if len(shares) == 2 else value
        problem = _Problem(design, references, shares, 1 / (penalised * len(references)))
        fit, last = _fit(problem, steps, problem.start(math.log(value), solved), value, tolerance, max_iterations)
        solved = [*solved[-DEGREE:], _Solution(math.log(value), last.weights, last.logits)]
        yield fit


class _Problem:
    """The objective for one C; `strength` is that of the penalty, and `shares` (K,) those of the classes."""

    def __init__(self, design: Design, references: Tensor, shares: Tensor, strength: float) -> None:
        self.design, self.references, self.shares = design, references[None], shares
        self.penalty = shares.new_full((design.single.shape[1],), strength)
        self.penalty[-1] = 0

    def at(self, weights: Tensor, logits: Tensor) -> _Iterate:
        log_probabilities = torch.log_softmax(logits, dim=0)
        penalised = 0.5 * float((weights.square().sum(dim=0) * self.penalty).sum())
        objective = penalised - float(log_probabilities.gather(0, self.references).mean())
        return _Iterate(weights, logits, log_probabilities, objective)

    def point(self, iterate: _Iterate, is_exact: bool) -> Point:
        """Return probabilities and gradient, the latter in float32 unless it is to be exact."""
        design, probabilities = self.design, iterate.log_probabilities.exp()
        residuals = probabilities.clone()
        residuals[self.references[0], torch.arange(residuals.shape[1], device=residuals.device)] -= 1
        residuals /= residuals.shape[1]
        product = design.gradient(residuals) if is_exact else (residuals.float() @ design.single).double()
        gradient = product + iterate.weights * self.penalty
        return Point(probabilities, gradient, design.largest(gradient), self.penalty)

    def start(self, log_c: float, solved: Sequence[_Solution]) -> _Iterate:
        """Return the best extrapolation of earlier solutions, or the optimum for infinite regularisation."""
        if not solved:
            weights = self.shares.new_zeros(len(self.shares), len(self.penalty))
            weights[:, -1] = self.shares.log() - self.shares.log().mean()
            return self.at(weights, weights[:, -1:].expand(-1, self.references.shape[1]))
        starts = []
        for degree in range(len(solved)):
            points = solved[-1 - degree :]
            factors = _extrapolation(log_c, [point.log_c for point in points])
            weights = _combined(factors, [point.weights for point in points])
            starts.append(self.at(weights, _combined(factors, [point.logits for point in points])))
        return min(starts, key=lambda start: start.objective)


def _combined(factors: Sequence[float], terms: Sequence[Tensor]) -> Tensor:
    return torch.stack([factor * term for factor, term in zip(factors, terms, strict=True)]).sum(dim=0)


def _extrapolation(at: float, known: Sequence[float]) -> list[float]:
    """Return the factors of values at known places in the polynomial through them, evaluated elsewhere (Lagrange)."""
    return [math.prod((at - other) / (place - other) for other in known if other != place) for place in known]


def _fit(
    problem: _Problem, steps: NewtonSteps, start: _Iterate, value: float, tolerance: float, max_iterations: int
) -> tuple[Fit, _Iterate]:
    """Take Newton steps until convergence, which is tested with an exact gradient."""
    design, current = problem.design, start
    target = 0.3 * tolerance / (1 + float(design.shift.abs().max()))
    iterations, is_exact = 0, False
    left, gained, before = math.inf, math.inf, math.inf
    while True:
        at, enough = problem.point(current, is_exact), LOSS_TOLERANCE * current.objective
        stalls = at.largest > 0.5 * before
        # Where the objective no longer falls, features far from 0 can keep the gradient from falling too.
        falls = at.largest > tolerance and not (stalls and gained <= ROUNDING)
        converged = at.largest == 0 or (left <= enough and not falls)
        ends = converged or iterations >= max_iterations
        if ends and is_exact:
            return Fit(value, current.weights, current.objective, at.largest, iterations, converged), current
        if not is_exact and (ends or left <= enough or stalls):
            is_exact, before = True, math.inf
            current = problem.at(current.weights, design.logits(current.weights))
            continue
        step = steps.step(at, target, 0.3 * enough, max_iterations - iterations)
        along = design.logits(step.direction.double()) if is_exact else step.direction @ design.single.T
        following = _advanced(problem, current, at, step, along)
        iterations += max(step.iterations, 1)
        before, gained = at.largest, 0.0
        if following is not None:
            gained = current.objective - following.objective
            left = step.remaining + abs(gained - step.decrease)
            current = following


def _advanced(problem: _Problem, current: _Iterate, at: Point, step: Step, along: Tensor) -> _Iterate | None:
    """Return the iterate after the step, shortened until the objective falls; None if it never does.

    Args:
        along: (K, N), what the whole step adds to the logits.
    """
    slope = float((at.gradient * step.direction).sum())
    length = 1.0
    while length > SHORTEST and slope < 0:
        weights = current.weights.add(step.direction, alpha=length)
        following = problem.at(weights, current.logits.add(along, alpha=length))
        if following.objective <= current.objective + 1e-4 * length * slope + ROUNDING:
            return following
        length /= 2
    return None
