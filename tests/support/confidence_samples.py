"""Confidences and outcomes that hypothesis draws for the tests of confidence and calibration."""

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

# Confidences on a grid, so that ties and bin edges are common.
samples = st.lists(st.tuples(st.integers(0, 60).map(lambda k: k / 60), st.booleans()), min_size=1, max_size=40)


def columns(pairs: list[tuple[float, bool]]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """p and y of drawn samples."""
    return np.array([p for p, _ in pairs]), np.array([y for _, y in pairs])


def simulated(n: int, sharpness: float = 1.0, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """n samples of a model that is calibrated at `sharpness` 1 and over-confident above it."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(1.0, 1.5, n)
    correct = generator.random(n) < 1.0 / (1.0 + np.exp(-logits))
    return 1.0 / (1.0 + np.exp(-sharpness * logits)), correct
