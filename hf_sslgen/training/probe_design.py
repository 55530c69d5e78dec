"""The features of a linear probe as its solver sees them: centred, scaled, with a column of ones for the intercept."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.errors import InputError

ROWS = 2048
"""Rows that are converted to float64 at a time."""

PASSES = 150
"""Passes over the features that a fit of a whole grid makes at least, roughly; see `_is_worth_reducing`."""


@dataclass(frozen=True, eq=False)
class Design:
    """A design matrix (N, r + 1) in coordinates in which it is cheap, and the way back to raw features.

    With N images of D > N dimensions the optimum lies in the span of the images, so the problem is solved in an
    orthonormal basis of that span, where the penalty is the same. Otherwise r = D.

    Attributes:
        single: (N, r + 1) in float32; the last column is 1.
        rows: (N, r) from which `single` is (rows - mean) / deviation, for products in float64.
        mean, deviation: (r,) in float64; an infinite deviation drops a dimension.
        basis: (D, r), orthonormal columns, or None if r = D.
        raw_mean, raw_deviation: (D,) of the raw features.
        shift: (D,) by which the features to be judged differ from centred ones, in their units.
    """

    single: Tensor
    rows: Tensor
    mean: Tensor
    deviation: Tensor
    basis: Tensor | None
    raw_mean: Tensor
    raw_deviation: Tensor
    shift: Tensor

    def logits(self, weights: Tensor) -> Tensor:
        """Return (K, N) logits in float64 for weights (K, r + 1)."""
        scaled = weights[:, :-1] / self.deviation
        intercepts = weights[:, -1] - scaled @ self.mean
        blocks = [scaled @ rows.T for rows in self._double_rows()]
        return torch.cat(blocks, dim=1).add_(intercepts[:, None])

    def gradient(self, residuals: Tensor) -> Tensor:
        """Return the product (K, r + 1) of residuals (K, N) with the design, in float64."""
        result = residuals.new_zeros(len(residuals), self.rows.shape[1])
        for block, rows in zip(residuals.split(ROWS, dim=1), self._double_rows(), strict=True):
            result += block @ rows
        sums = residuals.sum(dim=1, keepdim=True)
        return torch.cat([(result - sums * self.mean) / self.deviation, sums], dim=1)

    def largest(self, gradient: Tensor) -> float:
        """Return the largest entry of a gradient (K, r + 1) by the weights of features that are not centred."""
        of_weights, of_intercepts = gradient[:, :-1], gradient[:, -1:]
        if self.basis is not None:
            of_weights = of_weights @ self.basis.T
        of_weights = of_weights + of_intercepts * self.shift
        return max(float(of_weights.abs().max()), float(of_intercepts.abs().max()))

    def folded(self, weights: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return weights (K, D) and intercepts (K,) for raw features."""
        slopes = weights[:, :-1] if self.basis is None else weights[:, :-1] @ self.basis.T
        slopes = slopes / self.raw_deviation
        intercepts = weights[:, -1] - slopes @ self.raw_mean
        return slopes.cpu().numpy(), intercepts.cpu().numpy()

    def _double_rows(self) -> Iterator[Tensor]:
        return (rows.double() for rows in self.rows.split(ROWS))


def as_tensor(values: NDArray[np.generic]) -> Tensor:
    """Return a tensor that shares the array's memory, or that of a copy if it is read-only or not contiguous."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def make_design(
    features: NDArray[np.floating], num_classes: int, standardise: bool, device: torch.device | str = "cpu"
) -> Design:
    """Prepare features (N, D).

    Args:
        standardise: scale to standard deviation 1; dead dimensions are dropped. Otherwise features are only centred,
            which changes the intercept alone.

    Raises:
        InputError: the features are not finite.
    """
    if not np.isfinite(features).all():
        raise InputError("the backbone's features are not finite; its weights may be damaged")
    raw = as_tensor(features).to(device)
    num_images, num_features = raw.shape
    mean, deviation = _standardisation(raw)
    if not standardise:
        deviation = torch.ones_like(mean)
    shift = torch.zeros_like(mean) if standardise else mean
    basis: Tensor | None = None
    rows, row_mean, row_deviation = raw, mean, deviation
    if _is_worth_reducing(num_images, num_features, num_classes):
        basis, triangle = torch.linalg.qr(((raw.double() - mean) / deviation).T)
        rows = triangle.T.contiguous()
        row_mean, row_deviation = rows.new_zeros(num_images), rows.new_ones(num_images)
    single = torch.ones(num_images, rows.shape[1] + 1, device=device)
    for start in range(0, num_images, ROWS):
        block = slice(start, start + ROWS)
        single[block, :-1] = (rows[block].double() - row_mean) / row_deviation
    return Design(single, rows, row_mean, row_deviation, basis, mean, deviation, shift)


def _standardisation(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation, each (D,) in float64; an infinite deviation drops dead dimensions."""
    mean = torch.stack([rows.double().sum(dim=0) for rows in features.split(ROWS)]).sum(dim=0) / len(features)
    squares = [(rows.double() - mean).square_().sum(dim=0) for rows in features.split(ROWS)]
    deviation = (torch.stack(squares).sum(dim=0) / len(features)).sqrt()
    is_alive = deviation > 1e-6 * mean.abs().clamp(min=1e-6)
    return mean, torch.where(is_alive, deviation, torch.inf)


def _is_worth_reducing(num_images: int, num_features: int, num_classes: int) -> bool:
    """Whether a basis of the images' span, for about 4 N^2 D operations, saves more in passes over the features."""
    saved = PASSES * (num_features - num_images) * num_classes
    return num_images < num_features and num_images * num_features < saved
