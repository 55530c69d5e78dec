"""Differences on a few targets: Student's t over them, and Welch's t between two kinds of targets."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hf_sslgen.metrics import interaction, target_mean
from hf_sslgen.metrics.inputs import FloatArray
from simulated.repetitions import Draw

MEAN = 1.0
SHAPES: dict[str, Callable[[np.random.Generator, int], FloatArray]] = {
    "normal": lambda generator, n: generator.normal(size=n),
    "heavy-tailed (t, 3 degrees)": lambda generator, n: generator.standard_t(3, size=n),
    "skewed (exponential)": lambda generator, n: generator.exponential(size=n) - 1.0,
    "very skewed (log-normal)": lambda generator, n: generator.lognormal(size=n) - math.exp(0.5),
}
"""Distributions of mean zero."""


@dataclass(frozen=True)
class TargetScenario:
    """n targets of one kind, and n of another kind, on which differences vary `ratio` times as much."""

    name: str
    shape: str
    ratio: float
    num_references: float = math.inf

    def truth(self, n: int) -> Mapping[str, float]:
        return {"target_mean.value": MEAN, "interaction.value": MEAN}

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        shape = SHAPES[self.shape]
        differences = MEAN + shape(generator, n)
        mean, between = target_mean(differences), interaction(differences, self.ratio * shape(generator, n))
        drawn = Draw({"target_mean.value": mean.value, "interaction.value": between.value})
        drawn.intervals["target_mean.value"] = (mean.low, mean.high)
        drawn.intervals["interaction.value"] = (between.low, between.high)
        return drawn
