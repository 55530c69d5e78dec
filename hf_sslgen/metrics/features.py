"""Validate and normalise paired features block by block, and compute means over all pairs in closed form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from hf_sslgen.metrics.inputs import (
    BoolArray,
    FloatArray,
    IntArray,
    binary_array,
    label_array,
    raise_at_first,
    require_equal_lengths,
    require_shape,
    to_numpy,
)

BLOCK_ROWS = 256


@dataclass(frozen=True, eq=False)
class FeaturePairs:
    """Features of N images and of their transformed versions.

    Attributes:
        z, z_t: the features as given, shape (N, D).
        defined: shape (N,), False where the transform changed nothing or a vector is zero.
        group: group index, from 0, of each of the M defined images.
    """

    z: npt.NDArray[Any]
    z_t: npt.NDArray[Any]
    defined: BoolArray
    group: IntArray

    def unit_vectors(self) -> tuple[FloatArray, FloatArray]:
        """Return z and z^t of the defined images scaled to length 1, both of shape (M, D)."""
        return _by_block(self.z, self.defined, unit_rows), _by_block(self.z_t, self.defined, unit_rows)

    def centred(self) -> tuple[FloatArray, FloatArray]:
        """Return z and z^t of the defined images with a common scale and origin, both of shape (M, D).

        The origin, which does not affect distances, is the mean of z, so that a large mean costs no precision.
        """
        if not self.defined.any():
            nothing = np.empty((0, self.z.shape[1]))
            return nothing, nothing
        size = max(np.abs(block).max() for values in (self.z, self.z_t) for block in _blocks(values, self.defined))
        x = _by_block(self.z, self.defined, lambda block: block / size)
        origin = x.mean(axis=0)
        x -= origin
        return x, _by_block(self.z_t, self.defined, lambda block: block / size - origin)


def unit_rows(block: FloatArray) -> FloatArray:
    """Scale non-zero rows to length 1, in place."""
    block /= np.abs(block).max(axis=1, keepdims=True)  # so that squaring neither overflows nor vanishes
    block /= np.linalg.norm(block, axis=1, keepdims=True)
    return block


def feature_pairs(features: Any, transformed_features: Any, groups: Any = None, unchanged: Any = None) -> FeaturePairs:
    """Validate both feature arrays and the information on their images.

    Args:
        features, transformed_features: shape (N, D), finite.
        groups: labels of shape (N,), or None for a single group.
        unchanged: booleans of shape (N,), or None.
    """
    z, z_t = to_numpy(features, "features"), to_numpy(transformed_features, "transformed_features")
    require_shape(z.shape, "features", ("N", "D"))
    require_shape(z_t.shape, "transformed_features", ("N", "D"))
    if z.shape != z_t.shape:
        raise ValueError(f"features and transformed_features must have one shape, got {z.shape} and {z_t.shape}")
    group_of = np.zeros(len(z), dtype=np.int64) if groups is None else label_array(groups, "groups")
    skipped = np.zeros(len(z), dtype=np.bool_)
    if unchanged is not None:
        skipped = binary_array(unchanged, "unchanged", "1 where the transform changed nothing")
    require_equal_lengths(features=z, groups=group_of, unchanged=skipped)
    for values, name in ((z, "features"), (z_t, "transformed_features")):
        _require_finite(values, name)
    defined = ~skipped & z.any(axis=1) & z_t.any(axis=1)
    return FeaturePairs(z, z_t, defined, np.unique(group_of[defined], return_inverse=True)[1].astype(np.int64))


def chance_cosines(u: FloatArray, v: FloatArray, own: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray]:
    """Average cos(u_i, v_j), i as query, and cos(u_j, v_i), i as candidate, over all j != i in i's group.

    Args:
        u, v: unit vectors, shape (M, D).
        own: cos(u_i, v_i), shape (M,).
        group: shape (M,), from 0.

    Returns:
        Two arrays of shape (M,), NaN for a sample that is alone in its group.
    """
    sizes = np.bincount(group)[group]
    as_query = _mean_over_others(_products_with_group(u, v, group) - own, sizes)
    return as_query, _mean_over_others(_products_with_group(v, u, group) - own, sizes)


def squared_distances(x: FloatArray, y: FloatArray, group: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute ||x_i - y_i||^2 and the means over j != i of ||x_i - y_j||^2 and of ||x_j - y_i||^2, each (M,).

    Expanding ||x_i - y_j||^2 = |x_i|^2 + |y_j|^2 - 2 x_i y_j avoids visiting pairs.
    """
    norms, norms_t = np.einsum("nd,nd->n", x, x), np.einsum("nd,nd->n", y, y)
    own = norms + norms_t - 2.0 * np.einsum("nd,nd->n", x, y)
    own = np.maximum(own, 0.0)
    sizes = np.bincount(group)[group]
    total, total_t = (
        np.bincount(group, weights=squares)[group] if len(group) else squares for squares in (norms, norms_t)
    )
    as_query = sizes * norms + total_t - 2.0 * _products_with_group(x, y, group) - own
    as_candidate = sizes * norms_t + total - 2.0 * _products_with_group(y, x, group) - own
    return own, _mean_over_others(as_query, sizes), _mean_over_others(as_candidate, sizes)


def _products_with_group(one: FloatArray, other: FloatArray, group: IntArray) -> FloatArray:
    """Sum one_i . other_j over all j in i's group in O(M D), by summing the group before taking the product."""
    rows = len(group)
    membership = scipy.sparse.csr_array(
        (np.ones(rows), (group, np.arange(rows))), shape=(group.max(initial=-1) + 1, rows)
    )
    sums = membership @ other
    products = np.empty(rows)
    for start in range(0, rows, BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        products[part] = np.einsum("nd,nd->n", one[part], sums[group[part]])
    return products


def _mean_over_others(totals: FloatArray, sizes: npt.NDArray[np.number]) -> FloatArray:
    others = sizes - 1
    return np.where(others > 0, totals / np.maximum(others, 1), np.nan)


def _require_finite(array: npt.NDArray[Any], name: str) -> None:
    for start in range(0, len(array), BLOCK_ROWS):
        if not np.isfinite(array[start : start + BLOCK_ROWS]).all():
            raise_at_first(~np.isfinite(array), array, name, "finite")


def _blocks(array: npt.NDArray[Any], defined: BoolArray) -> Iterator[FloatArray]:
    """Return the defined rows as float64, without copying the whole array again."""
    positions = np.flatnonzero(defined)
    for start in range(0, len(positions), BLOCK_ROWS):
        yield array[positions[start : start + BLOCK_ROWS]].astype(np.float64)


def _by_block(array: npt.NDArray[Any], defined: BoolArray, change: Callable[[FloatArray], FloatArray]) -> FloatArray:
    changed = np.empty((np.count_nonzero(defined), array.shape[1]))
    for index, block in enumerate(_blocks(array, defined)):
        changed[index * BLOCK_ROWS : index * BLOCK_ROWS + len(block)] = change(block)
    return changed
