"""Mean absolute deviation of the number of hits in independent trials with different probabilities."""

from itertools import pairwise

import numpy as np

from hf_sslgen.metrics.inputs import FloatArray, IntArray

EXACT_VARIANCE = 25.0
"""Largest variance at which the exact distribution is computed; above it, the expansion is within 2e-5."""

COMPLEX_ENTRIES = 1_000_000  # factors held at a time, 16 MB


def mean_absolute_deviations(p: FloatArray, group: IntArray, num_groups: int) -> FloatArray:
    """Compute E|S - mu| in each group, where S sums independent y_i ~ Bernoulli(p_i) and mu = sum of p_i.

    Up to a variance of 25 the distribution of S is computed; above it a second-order Edgeworth expansion with lattice
    correction is used,

        sqrt(2 / pi) sd (1 + (skewness^2 - excess kurtosis) / 24 - B(mu - floor(mu)) / (2 variance)),

    B(x) = x^2 - x + 1/6. The normal approximation, its first factor, can be wrong by any factor if the variance is
    small: a single trial has 2 p (1 - p), not sqrt(2 p (1 - p) / pi).

    Args:
        p: shape (n,), in [0, 1].
        group: shape (n,), in [0, num_groups).

    Returns:
        Shape (num_groups,); 0 for a group without trials.
    """

    def total(values: FloatArray) -> FloatArray:
        sums: FloatArray = np.bincount(group, weights=values, minlength=num_groups).astype(np.float64)
        return sums

    q = p * (1.0 - p)
    variance = total(q)
    deviations = np.zeros(num_groups)
    large = variance > EXACT_VARIANCE
    if large.any():
        v = variance[large]
        squared_skewness = total(q * (1.0 - 2.0 * p))[large] ** 2 / v**3
        excess_kurtosis = total(q * (1.0 - 6.0 * q))[large] / v**2
        rest = total(p)[large] % 1.0
        of_whole_numbers = (rest**2 - rest + 1.0 / 6.0) / (2.0 * v)
        factor = 1.0 + (squared_skewness - excess_kurtosis) / 24.0 - of_whole_numbers
        deviations[large] = np.sqrt(2.0 / np.pi * v) * factor
    exact = np.flatnonzero(~large[group] & (q > 0.0))
    exact = exact[np.lexsort((p[exact], group[exact]))]  # sums then don't depend on the order of the trials
    groups, starts = np.unique(group[exact], return_index=True)
    for index, (start, stop) in zip(groups, pairwise([*starts, len(exact)]), strict=True):
        deviations[index] = _of_the_distribution(p[exact[start:stop]])
    return deviations


def _of_the_distribution(p: FloatArray) -> float:
    """Compute E|S - mu| by the inverse discrete Fourier transform of prod_i (1 - p_i + p_i exp(i theta)).

    S is counted from the likeliest outcome of each trial, so that it is small if every trial is nearly certain.

    Args:
        p: shape (n,), strictly between 0 and 1.
    """
    unlikelier = np.minimum(p, 1.0 - p)
    step = np.where(p > 0.5, -1.0, 1.0)
    mean = float((step * unlikelier).sum())
    # By Bennett's inequality, less than 1e-20 of the distribution lies farther from the mean than this.
    reach = int(10.0 * np.sqrt((p * (1.0 - p)).sum())) + 20
    size = 2 * reach + 1
    turn = np.exp(2j * np.pi / size * np.arange(reach + 1)) - 1.0
    transform = np.ones(reach + 1, dtype=np.complex128)
    rows = COMPLEX_ENTRIES // len(turn)
    for start in range(0, len(p), rows):
        part = slice(start, start + rows)
        for direction, factor in ((1.0, turn), (-1.0, turn.conj())):
            transform *= (1.0 + unlikelier[part][step[part] == direction, None] * factor).prod(axis=0)
    outcomes = np.arange(-reach, reach + 1) + round(mean)
    share = np.fft.irfft(transform.conj(), size)[outcomes % size]
    return float(np.abs(outcomes - mean) @ share)
