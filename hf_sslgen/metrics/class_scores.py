"""Read class scores of shape (N, C) in blocks of rows that fit the processor's cache.

50,000 x 1,000 probabilities are 200 MB in float32: a float64 copy would take 400 MB, and every further pass over all
of them costs as much as reading them from memory. A block is converted, validated and measured while it is in the
cache, so that the scores are read once and no array of their size is ever allocated.

Validation uses the input's own precision, in which comparisons with a bound are exact; results are computed in
float64.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import (
    PROBABILITY_TOLERANCE,
    FloatArray,
    IntArray,
    is_tensor,
    label_array,
    require_shape,
    to_numpy,
)

ROW_SUM_TOLERANCE = 1e-3
BLOCK_BYTES = 512 * 1024
_HINT = "pass logits with from_logits=True, or probabilities computed in float32"


class ScoreBlock(NamedTuple):
    """Validated rows of the scores.

    Attributes:
        rows: their position among all rows.
        scores: (B, C), contiguous, float32 or float64. Read-only, because they may be the caller's own memory.
        prediction: (B,), the first class with the largest score.
        largest: (B,), that score, in the precision of `scores`.
        from_logits: whether `scores` are logits.
    """

    rows: slice
    scores: npt.NDArray[np.floating]
    prediction: IntArray
    largest: npt.NDArray[np.floating]
    from_logits: bool

    def confidence(self) -> FloatArray:
        """Return the largest probability of each row: (B,) in float64."""
        if not self.from_logits:
            return np.minimum(self.largest, 1.0, dtype=np.float64)
        return 1.0 / np.exp(self.shifted_logits()).sum(axis=1)  # the largest shifted logit is 0

    def probabilities(self) -> FloatArray:
        """Return probabilities clipped to [0, 1], or the softmax of logits: a new (B, C) array in float64."""
        if not self.from_logits:
            return np.clip(self.scores, 0.0, 1.0, dtype=np.float64)
        return self.softmax()

    def softmax(self, temperature: float = 1.0) -> FloatArray:
        """Return softmax(logits / temperature): a new (B, C) array in float64."""
        shifted = self.shifted_logits()
        with np.errstate(over="ignore"):
            shifted /= temperature
        exponentials = np.exp(shifted, out=shifted)
        exponentials /= exponentials.sum(axis=1, keepdims=True)
        return exponentials

    def shifted_logits(self) -> FloatArray:
        """Return logits minus their row's largest, which changes no probability: a new (B, C) array in float64."""
        with np.errstate(over="ignore"):  # a difference beyond float64 means a probability of zero
            return np.subtract(self.scores, self.largest[:, None], dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ClassScores:
    """An array or strided tensor of class scores that is validated as it is read."""

    name: str
    shape: tuple[int, int]
    from_logits: bool
    source: Any

    def blocks(self) -> Iterator[ScoreBlock]:
        """Iterate over all rows in order; raises `ValueError` at the first block with an invalid score."""
        n, num_classes = self.shape
        size = max(1, BLOCK_BYTES // (num_classes * max(4, self.source.dtype.itemsize)))
        for start in range(0, n, size):
            scores = _own_precision(to_numpy(self.source[start : start + size], self.name))
            prediction = scores.argmax(axis=1)
            largest = scores[np.arange(len(scores)), prediction]
            # Both are NaN if any score is, since argmax finds the first NaN of a row.
            self._require_range(scores, float(scores.min()), float(largest.max()), start)
            if not self.from_logits:
                self._require_row_sums(scores, start)
            yield ScoreBlock(slice(start, start + len(scores)), scores, prediction, largest, self.from_logits)

    def _require_range(self, scores: npt.NDArray[np.floating], low: float, high: float, start: int) -> None:
        if self.from_logits:
            within = np.isfinite(low) and np.isfinite(high)
        else:
            within = low >= -PROBABILITY_TOLERANCE and high <= 1.0 + PROBABILITY_TOLERANCE
        if within:
            return
        offending, expected = ~np.isfinite(scores), "finite"
        if not offending.any():
            wide = scores.astype(np.float64)
            offending = (wide < -PROBABILITY_TOLERANCE) | (wide > 1.0 + PROBABILITY_TOLERANCE)
            expected = f"probabilities in [0, 1] ({_HINT})"
        row, column = np.unravel_index(int(np.argmax(offending)), scores.shape)
        raise ValueError(
            f"{self.name} must be {expected}, but {self.name}[{start + row}, {column}] is {scores[row, column]} "
            f"(shape {self.shape})"
        )

    def _require_row_sums(self, scores: npt.NDArray[np.floating], start: int) -> None:
        doubtful = np.flatnonzero(np.abs(scores.sum(axis=1) - 1.0) > ROW_SUM_TOLERANCE / 2)
        if len(doubtful) == 0:  # float32 sums of numbers in [0, 1] that total 1 err by less than half the tolerance
            return
        sums = scores[doubtful].sum(axis=1, dtype=np.float64)
        offending = np.abs(sums - 1.0) > ROW_SUM_TOLERANCE
        if offending.any():
            first = int(np.argmax(offending))
            raise ValueError(
                f"{self.name} must have rows that sum to 1 within {ROW_SUM_TOLERANCE}, but row "
                f"{start + doubtful[first]} sums to {sums[first]:.6g} (shape {self.shape}); {_HINT}"
            )


def class_scores(value: Any, name: str, from_logits: bool) -> ClassScores:
    """Check type and shape of scores, (N, C); their values are validated by `ClassScores.blocks`.

    Tensors on another device or in half precision are also converted block by block.

    Raises:
        ValueError: the scores are not a numeric array of shape (N, C) with N, C > 0.
    """
    source = value if is_tensor(value) and str(value.layout) == "torch.strided" else to_numpy(value, name)
    shape = tuple(source.shape)
    require_shape(shape, name, ("N", "C"))
    if to_numpy(source[:0], name).dtype.kind == "b":
        raise ValueError(
            f"{name} must be {'logits' if from_logits else 'probabilities'}, got booleans (shape {shape})"
        )
    return ClassScores(name, (shape[0], shape[1]), from_logits, source)


def class_scores_and_references(
    scores: Any, references: Any, from_logits: bool, name: str = "probabilities"
) -> tuple[ClassScores, IntArray]:
    """Check scores, (N, C), and their labels, (N,) in [0, C)."""
    table = class_scores(scores, name, from_logits)
    true = label_array(references, "references", num_classes=table.shape[1])
    if len(true) != table.shape[0]:
        raise ValueError(f"{name} and references must have the same length, got shapes {table.shape} and {true.shape}")
    return table, true


def _own_precision(block: npt.NDArray[Any]) -> npt.NDArray[np.floating]:
    """Return contiguous rows in float32 if that can represent every value of the input's type, else in float64."""
    narrow = block.dtype.kind == "f" and block.dtype.itemsize <= 4
    return np.ascontiguousarray(block, dtype=np.float32 if narrow else np.float64)
