"""Recall@1 against a random gallery, as the exact expectation over all possible galleries."""

import numpy as np

from hf_sslgen.metrics.inputs import BoolArray, FloatArray, IntArray

TIE_TOLERANCE = 1e-12  # cosines of equal directions differ by float64 rounding, which must not break a tie


def count_better_and_tied(u: FloatArray, v: FloatArray, own: FloatArray, block_size: int) -> tuple[IntArray, IntArray]:
    """Count, per query, how many other images' v are closer than its own, and how many are equally close."""
    better, tied = np.zeros(len(u), dtype=np.int64), np.zeros(len(u), dtype=np.int64)
    for row in range(0, len(u), block_size):
        rows = slice(row, row + block_size)
        for column in range(0, len(u), block_size):
            excess = u[rows] @ v[column : column + block_size].T
            excess -= own[rows, None]
            if row == column:
                np.fill_diagonal(excess, -np.inf)  # an image does not compete with itself
            is_better: BoolArray = excess > TIE_TOLERANCE
            better[rows] += is_better.sum(axis=1)
            tied[rows] += (excess >= -TIE_TOLERANCE).sum(axis=1) - is_better.sum(axis=1)
    return better, tied


def expected_recall_at_1(better: IntArray, tied: IntArray, num_others: int, num_drawn: int) -> FloatArray:
    """Compute the expected credit over all draws of `num_drawn` of `num_others` images without replacement.

    With b better and t tied others, M = num_others - b and m = num_drawn, the credit is P(no better one drawn) times
    E[1 / (1 + T)], where T is the number of tied ones drawn from the remaining M. Since
    C(t, k) / (k+1) = C(t+1, k+1) / (t+1),

        P(no better)   = C(M, m) / C(num_others, m)
        E[1 / (1 + T)] = (M + 1) / ((t + 1) (m + 1)) * (1 - C(M-t, m+1) / C(M+1, m+1))

    Ratios of binomials are computed as products of m or m + 1 factors, because log-gammas would cancel.
    """
    not_better = num_others - better
    none_better = np.ones(len(better))
    none_tied = np.ones(len(better))
    for i in range(num_drawn):
        none_better *= np.maximum(not_better - i, 0) / (num_others - i)
    for i in range(num_drawn + 1):
        none_tied *= np.maximum(not_better - tied - i, 0) / np.maximum(not_better + 1 - i, 1)
    shared = (not_better + 1) / ((tied + 1) * (num_drawn + 1)) * (1.0 - none_tied)
    credit: FloatArray = none_better * shared
    return credit
