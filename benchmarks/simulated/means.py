"""Means of values with a few outliers, for numbers that have no better interval than that of a mean."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hf_sslgen.metrics.defined import interval_of_defined
from hf_sslgen.metrics.inputs import FloatArray
from simulated.repetitions import Draw

Values = Callable[[np.random.Generator, int], FloatArray]


def _outliers(share: float, size: float) -> Values:
    return lambda generator, n: generator.normal(size=n) + size * (generator.random(n) < share)


KINDS: dict[str, tuple[Values, float]] = {
    "mean of normal values": (lambda generator, n: generator.normal(size=n), 0.0),
    "mean of exponential values": (lambda generator, n: generator.exponential(size=n), 1.0),
    "mean of log-normal values": (lambda generator, n: generator.lognormal(size=n), math.exp(0.5)),
    "mean with 10% five deviations off": (_outliers(0.1, 5.0), 0.5),
    "mean with 3% eight deviations off": (_outliers(0.03, 8.0), 0.24),
    "mean with 2% four deviations off": (_outliers(0.02, 4.0), 0.08),
    "mean of values of which 90% are 0": (
        lambda generator, n: (generator.random(n) < 0.1) * generator.random(n),
        0.05,
    ),
}
"""A distribution of values, and its mean."""


@dataclass(frozen=True)
class MeanScenario:
    """Samples of every kind."""

    name: str
    num_references: float = math.inf

    def truth(self, n: int) -> Mapping[str, float]:
        return {kind: mean for kind, (_, mean) in KINDS.items()}

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        drawn = Draw()
        for kind, (values, _) in KINDS.items():
            x = values(generator, n)
            drawn.values[kind] = float(x.mean())
            drawn.intervals[kind] = interval_of_defined(x)
        return drawn
