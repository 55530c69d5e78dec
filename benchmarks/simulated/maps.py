"""Attribution maps of two models, drawn from a finite population so that the true means are exact."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from hf_sslgen.metrics import MetricResult, attribution_concentration, attribution_localization
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.study.inference.paired import mean_difference, share_difference
from simulated.repetitions import Draw

SIDE = 7


@dataclass(frozen=True)
class MapScenario:
    """Blobs of log-normal width in rectified noise; a share of maps is nowhere positive.

    Attributes:
        width: median standard deviation of the blob, as a share of the side.
        noise: standard deviation of the cells, relative to the blob's peak.
    """

    name: str
    width: float
    noise: float
    zero_map_rate: float
    num_images: int = 20_000
    num_references: float = math.inf

    def truth(self, n: int) -> Mapping[str, float]:
        first, second, boxes = _population(self)
        concentration, other = attribution_concentration(first), attribution_concentration(second)
        both = ~np.isnan(concentration.per_sample_gini) & ~np.isnan(other.per_sample_gini)

        def difference(a: FloatArray, b: FloatArray) -> float:
            return float((a - b)[both].mean())

        return {
            **_numbers("attribution_concentration", concentration),
            **_numbers("attribution_localization", attribution_localization(first, boxes=boxes)),
            "difference of attribution_concentration.gini": difference(
                concentration.per_sample_gini, other.per_sample_gini
            ),
            "difference of attribution_concentration.spread": difference(
                concentration.per_sample_spread, other.per_sample_spread
            ),
            "difference of attribution_concentration.zero_map_rate": concentration.zero_map_rate - other.zero_map_rate,
        }

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        first, second, boxes = _population(self)
        images = generator.integers(self.num_images, size=n)
        drawn = Draw()
        concentration, other = attribution_concentration(first[images]), attribution_concentration(second[images])
        drawn.add("attribution_concentration", concentration)
        drawn.add("attribution_localization", attribution_localization(first[images], boxes=boxes[images]))

        for name, mine, its in (
            ("gini", concentration.per_sample_gini, other.per_sample_gini),
            ("spread", concentration.per_sample_spread, other.per_sample_spread),
        ):
            drawn.add_estimate(f"difference of attribution_concentration.{name}", mean_difference([[mine - its]]))
        zero, other_zero = (np.isnan(r.per_sample_gini).astype(np.float64) for r in (concentration, other))
        number = "difference of attribution_concentration.zero_map_rate"
        drawn.add_estimate(number, share_difference([[zero - other_zero]]))
        return drawn


def _numbers(function: str, result: MetricResult) -> dict[str, float]:
    return {f"{function}.{name}": value for name, value in result.to_dict().items() if isinstance(value, float)}


@cache
def _population(scenario: MapScenario) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return maps of two models (K, h, w) with blobs at the same place, and boxes around the place (K, 4)."""
    generator = np.random.default_rng(3)
    k = scenario.num_images
    centre = generator.uniform(0.2, 0.8, size=(k, 2))
    cells = (np.arange(SIDE) + 0.5) / SIDE

    def maps(width: float) -> FloatArray:
        sizes = width * np.exp(0.5 * generator.normal(size=k))[:, None, None]
        squared = np.square(cells[:, None] - centre[:, 1, None, None]) + np.square(cells - centre[:, 0, None, None])
        blob = np.exp(-squared / (2.0 * np.square(sizes)))
        blob += scenario.noise * generator.normal(size=blob.shape)
        blob[generator.random(k) < scenario.zero_map_rate] = -1.0
        return blob

    half = generator.uniform(0.05, 0.25, size=(k, 2))
    boxes = np.concatenate([np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)], axis=1)
    return maps(scenario.width), maps(1.3 * scenario.width), boxes
