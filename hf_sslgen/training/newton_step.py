"""Newton steps of multinomial logistic regression by preconditioned conjugate gradients in float32.

With p the probabilities of an image's classes, the Hessian is the mean over images of (diag(p) - p p') kron x x', plus
the penalty on its diagonal. It is never formed. It is preconditioned by its diagonal, averaged over images, until the
iterations have cost as much as a better preconditioner: the inverse of X' diag(w) X, where w are the mean variances
p (1 - p) of each image, which all classes share.
"""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from hf_sslgen.training.probe_design import ROWS, Design

JITTER = 1e-6
"""Added to the diagonal of a correlation matrix computed in float32 before it is inverted."""

WORTH = 3
"""The first inverse is computed after iterations that cost this many times as much as one, each further one after
twice as many as the one before: an old inverse serves other penalties nearly as well."""

PATIENCE = 100
"""Iterations at least before a step ends in favour of a better preconditioner."""

SHARE = 0.02
"""A step is good enough if what is left to gain is at most this share of its decrease."""

WINDOW = 5
"""Iterations whose gain estimates what is left to gain."""


@dataclass(frozen=True, eq=False)
class Point:
    """Where a step starts.

    Attributes:
        probabilities: (K, N) in float64.
        gradient: (K, r + 1) in float64 of the objective.
        largest: entry of the gradient.
        penalty: (r + 1,) in float64, 0 for the intercept.
    """

    probabilities: Tensor
    gradient: Tensor
    largest: float
    penalty: Tensor


@dataclass(frozen=True, eq=False)
class Step:
    """A Newton step.

    Attributes:
        direction: (K, r + 1) in float32.
        decrease: of the quadratic model along it.
        remaining: estimate of what is left to gain in the model.
        iterations: products with the Hessian.
    """

    direction: Tensor
    decrease: float
    remaining: float
    iterations: int


@dataclass(eq=False)
class NewtonSteps:
    """Computes steps and remembers the preconditioner, which serves neighbouring penalties too."""

    design: Design
    num_classes: int
    inverse: Tensor | None = None
    iterations_since: int = 0
    squares: Tensor = field(init=False)
    iterations_per_inverse: float = field(init=False)

    def __post_init__(self) -> None:
        num_images, size = self.design.single.shape
        self.squares = torch.stack([rows.double().square().sum(dim=0) for rows in self.design.single.split(ROWS)])
        self.squares = self.squares.sum(dim=0) / num_images
        per_iteration = 4 * num_images * size * self.num_classes
        self.iterations_per_inverse = WORTH * (2 * num_images * size**2 + 3 * size**3) / per_iteration

    def step(self, at: Point, target: float, least_decrease: float, max_iterations: int) -> Step:
        """Solve for the Newton step, to a tenth of the gradient or until it is precise enough to be the last.

        Args:
            target: largest entry that the gradient may have in the end.
            least_decrease: decrease of the objective that does not matter.
        """
        probabilities = at.probabilities.float()
        likeliest = probabilities.argmax(dim=0, keepdim=True)
        penalty = at.penalty.float()
        single, num_images = self.design.single, len(self.design.single)

        def hessian_product(weights: Tensor) -> Tensor:
            # Relative to the likeliest class, differences survive rounding where its probability is nearly 1.
            logits = weights @ single.T
            logits -= logits.gather(0, likeliest)
            weighted = logits.mul_(probabilities)
            weighted -= probabilities * weighted.sum(dim=0, keepdim=True)
            return (weighted @ single).div_(num_images).addcmul_(weights, penalty)

        variances = at.probabilities * (1 - at.probabilities)
        if self.iterations_since >= self.iterations_per_inverse:
            self.inverse = self._shared_inverse(variances.mean(dim=0).float(), at.penalty)
            self.iterations_since = 0
            self.iterations_per_inverse *= 2
        diagonal = (variances.mean(dim=1)[:, None] * self.squares + at.penalty).float()
        inverse = self.inverse

        def preconditioned(residual: Tensor) -> Tensor:
            # What all classes share changes no probability: without this, rounding would grow along it.
            towards = residual / diagonal if inverse is None else residual @ inverse
            return towards.sub_(towards.mean(dim=0))

        scale = at.largest  # float32 has a range to care for
        residual = (at.gradient / -scale).float()
        direction = torch.zeros_like(residual)
        conjugate = preconditioned(residual)
        gains: list[float] = []
        squared, remaining = float((residual * conjugate).sum()), math.inf
        while len(gains) < min(max_iterations, max(PATIENCE, self.iterations_per_inverse)):
            product = hessian_product(conjugate)
            curvature = float((conjugate * product).sum())
            if not (squared > 0 and curvature > 0):  # rounding is all that is left
                break
            length = squared / curvature
            direction.add_(conjugate, alpha=length)
            residual.sub_(product, alpha=length)
            gains.append(0.5 * length * squared * scale**2)
            towards = preconditioned(residual)
            before, squared = squared, float((residual * towards).sum())
            expected = 0.5 * length * squared * scale**2
            remaining = sum(gains[-WINDOW:]) if len(gains) > WINDOW else WINDOW * expected
            left = float(residual.abs().max()) * scale
            is_rough = remaining <= SHARE * sum(gains) and left <= max(0.1 * scale, target)
            if is_rough or (remaining <= least_decrease and left <= target):
                break
            conjugate = towards.add_(conjugate, alpha=squared / before)
        self.iterations_since += len(gains)
        return Step(direction.mul_(scale), sum(gains), remaining, len(gains))

    def _shared_inverse(self, weights: Tensor, penalty: Tensor) -> Tensor:
        """Return the inverse (r + 1, r + 1) of the weighted second moments plus penalty, in float32."""
        single = self.design.single
        moments = torch.diag(penalty * len(single))
        for rows, row_weights in zip(single.split(ROWS), weights.split(ROWS), strict=True):
            moments += ((rows * row_weights[:, None]).T @ rows).double()
        moments /= len(single)
        scales = moments.diagonal().clamp(min=torch.finfo(torch.float64).tiny).rsqrt()
        correlations = moments * scales[:, None] * scales
        jitter, failed = JITTER, True
        while failed:
            correlations.diagonal().add_(jitter)
            factor, status = torch.linalg.cholesky_ex(correlations)
            failed, jitter = bool(status), 10 * jitter
        return (torch.cholesky_inverse(factor) * scales[:, None] * scales).float()
