"""Pairs of networks with known truth: per-image numbers over domains, pretraining runs and training seeds.

On domain d, image i has on side s of pretraining run r and training seed k the latent score

    eta = level[d] +- (difference + tilt[d]) / 2          a minus on the second side
        + run[s, r] + kind[s, r, kind of d] + domain[s, r, d] + seed[s, r, d, k]
        + image[d, i] + side[s, d, i] + run_image[s, r, d, i] + seed_image[s, r, d, k, i]

and every term is normal. The image terms have variance 1 together. An image is classified correctly where eta > 0, so
accuracy is Phi(mean / sqrt(1 + variance of what is averaged over)) in every scope, in closed form. The Brier score is
that of two classes with the probability 1 / (1 + exp(-SHARPNESS eta)) of the true one. The concentration of an
attribution map is linear in a second latent score of the same form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from hf_sslgen.metrics.inputs import FloatArray

ACCURACY, BRIER, GINI = "accuracy", "brier_score", "gini"
NUMBERS = (ACCURACY, BRIER, GINI)
LEVEL, LEVEL_DEVIATION = 1.0, 0.4
"""Of the latent score over domains: half of the accuracies lie between 73 and 90%."""
SHARPNESS = 2.0
GINI_LEVEL, GINI_DEVIATION = 0.6, 0.08
POINTS = np.array([0.01 * np.sqrt(2.0 * np.pi) * np.exp(LEVEL**2 / 2.0), 0.01 / GINI_DEVIATION])
"""What moves accuracy at that level by one point, and Gini by 0.01: effects on both are equally large."""
TRAITS = len(POINTS)
MEANS = np.array([[LEVEL, LEVEL], [0.0, 0.0]])
"""By trait and side."""
NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(48)
NODE_WEIGHTS = NODE_WEIGHTS / NODE_WEIGHTS.sum()

KINDS = ("similar", "different")


@dataclass(frozen=True)
class Regime:
    """How much networks vary; standard deviations of one network's accuracy, in points.

    Attributes:
        run: over pretraining runs, alike on all domains.
        run_kind: over pretraining runs, alike on domains of one kind, where there are two.
        run_domain: over pretraining runs, on each domain on its own.
        seed: over training seeds.
        side, run_image, seed_image: shares of the variance between images that a side, a pretraining run and a
            training seed has to itself: whom two networks of equal accuracy classify correctly.
    """

    run: float = 0.0
    run_kind: float = 0.0
    run_domain: float = 0.0
    seed: float = 0.0
    side: float = 0.05
    run_image: float = 0.1
    seed_image: float = 0.1


REGIMES: Mapping[str, Regime] = {
    "none": Regime(side=0.25, run_image=0.0, seed_image=0.0),
    "images": Regime(side=0.0),
    "ImageNet": Regime(run=0.3, run_kind=0.15, run_domain=0.25, seed=0.25),
    "small": Regime(run=1.0, run_kind=0.7, run_domain=2.0, seed=2.0),
}


@dataclass(frozen=True)
class Truth:
    """The true difference in each scope: of these networks (R, K), of these pretraining runs (R,), of the sides."""

    weights: FloatArray
    training: FloatArray
    pretraining: float


@dataclass(frozen=True)
class Domain:
    """What is measured on one domain, the first side minus the second.

    Attributes:
        differences: of each number, shape (R, K, N).
        right: whether both sides classify an image correctly, shape (R, K, N).
        truth: of each number.
        sides: the values of each number, shape (2, R, K, N).
    """

    kind: str
    differences: Mapping[str, FloatArray]
    right: NDArray[np.bool_]
    truth: Mapping[str, Truth]
    sides: Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Study:
    """Several domains measured with the same pretraining runs.

    Attributes:
        over_domains: of each kind and number, the true difference over all domains of the kind: of these pretraining
            runs (R,), and of the sides.
    """

    domains: tuple[Domain, ...]
    over_domains: Mapping[str, Mapping[str, tuple[FloatArray, float]]]


@dataclass(frozen=True)
class Population:
    """What studies are drawn from.

    Attributes:
        difference: true difference of the sides in accuracy, in points, over all domains.
        tilt: standard deviation over domains of the true difference, in points.
        kinds: those of the domains, in turn.
    """

    regime: Regime
    difference: float = 0.0
    tilt: float = 0.0
    kinds: tuple[str, ...] = ("different",)

    def draw(self, runs: int, seeds: int, domains: int, images: int, generator: np.random.Generator) -> Study:
        regime, shape = self.regime, (TRAITS, 2, runs)
        of_run = _effects(regime.run, shape, generator)
        of_kind = {kind: of_run + _effects(self._run_kind, shape, generator) for kind in self.kinds}
        apart, variance = self._apart(), self._variance_over_runs()
        drawn = []
        for index in range(domains):
            kind = self.kinds[index % len(self.kinds)]
            drawn.append(self._domain(kind, of_kind[kind], apart, seeds, images, generator))
        between = self._variance_over_domains()
        of_training = between + _variance(regime.run_domain, regime.seed)
        over = {
            kind: {
                number: (
                    _difference(number, MEANS[..., None] + apart[..., None] + of_kind[kind], of_training),
                    float(_difference(number, MEANS + apart, between + variance)),
                )
                for number in NUMBERS
            }
            for kind in self.kinds
        }
        return Study(tuple(drawn), over)

    @property
    def _run_kind(self) -> float:
        return self.regime.run_kind if len(self.kinds) > 1 else 0.0

    def _apart(self) -> FloatArray:
        """By trait and side, what differs between the sides: accuracy and what follows from it."""
        variance = 1.0 + (self._variance_over_domains() + self._variance_over_runs())[0]
        half = _half_shift(self.difference / 100.0, float(np.sqrt(variance)))
        return np.array([[half, -half], [0.0, 0.0]])

    def _variance_over_domains(self) -> FloatArray:
        return np.array([LEVEL_DEVIATION**2, 0.0]) + _variance(self.tilt / 2.0)

    def _variance_over_runs(self) -> FloatArray:
        return _variance(self.regime.run, self._run_kind, self.regime.run_domain, self.regime.seed)

    def _domain(
        self,
        kind: str,
        of_run: FloatArray,
        apart: FloatArray,
        seeds: int,
        images: int,
        generator: np.random.Generator,
    ) -> Domain:
        regime = self.regime
        level = MEANS + np.array([[LEVEL_DEVIATION * generator.standard_normal()], [0.0]])
        tilt = _effects(self.tilt / 2.0, (TRAITS, 1, 1), generator)[..., 0]
        of_sides = level + apart + tilt * np.array([1.0, -1.0])
        of_runs = of_sides[..., None] + of_run + _effects(regime.run_domain, of_run.shape, generator)
        means = of_runs[..., None] + _effects(regime.seed, (*of_run.shape, seeds), generator)
        score, map_score = (_scores(mean, regime, images, generator) for mean in means)
        sides = {
            ACCURACY: (score > 0.0).astype(np.float32),
            BRIER: _brier(score),
            GINI: np.float32(GINI_LEVEL) + np.float32(GINI_DEVIATION) * map_score,
        }
        truth = {
            number: Truth(
                _difference(number, means, np.zeros(TRAITS)),
                _difference(number, of_runs, _variance(regime.seed)),
                float(_difference(number, of_sides, self._variance_over_runs())),
            )
            for number in NUMBERS
        }
        differences = {number: values[0].astype(np.float64) - values[1] for number, values in sides.items()}
        return Domain(kind, differences, (score[0] > 0.0) & (score[1] > 0.0), truth, sides)


def _effects(deviation: float, shape: tuple[int, ...], generator: np.random.Generator) -> FloatArray:
    """Effects on both traits, of a standard deviation in points."""
    scale = deviation * POINTS.reshape(-1, *[1] * (len(shape) - 1))
    return np.asarray(scale * generator.standard_normal(shape))


def _variance(*deviations: float) -> FloatArray:
    """By trait, the variance of effects with these standard deviations in points."""
    return np.square(POINTS) * np.square(deviations).sum()


def _scores(mean: FloatArray, regime: Regime, images: int, generator: np.random.Generator) -> NDArray[np.float32]:
    """Latent scores (2, R, K, N) of means (2, R, K)."""
    sides, runs, seeds = mean.shape

    def noise(share: float, *shape: int) -> NDArray[np.float32]:
        if share == 0.0:
            return np.zeros((*shape, images), np.float32)
        return np.float32(np.sqrt(share)) * generator.standard_normal((*shape, images), np.float32)

    shared = noise(1.0 - regime.side - regime.run_image - regime.seed_image, 1, 1, 1)
    shared = shared + noise(regime.side, sides, 1, 1) + noise(regime.run_image, sides, runs, 1)
    scores: NDArray[np.float32] = noise(regime.seed_image, sides, runs, seeds)
    scores += shared
    scores += mean[..., None].astype(np.float32)
    return scores


def _brier(scores: NDArray[Any]) -> NDArray[Any]:
    wrong = 1.0 / (1.0 + np.exp(SHARPNESS * scores))
    return np.asarray(2.0 * wrong * wrong)


def _expected(number: str, mean: FloatArray, variance: float) -> FloatArray:
    """A number's expectation over images and over effects with this variance."""
    if number == ACCURACY:
        return np.asarray(special.ndtr(mean / np.sqrt(1.0 + variance)))
    if number == BRIER:
        return np.asarray(_brier(mean[..., None] + np.sqrt(1.0 + variance) * NODES) @ NODE_WEIGHTS)
    return GINI_LEVEL + GINI_DEVIATION * mean


def _difference(number: str, means: FloatArray, variance: FloatArray) -> FloatArray:
    """The first side minus the second; means have shape (traits, 2, ...), variances (traits,)."""
    trait = 1 if number == GINI else 0
    first, second = _expected(number, means[trait], float(variance[trait]))
    return np.asarray(first - second)


def _half_shift(difference: float, deviation: float) -> float:
    """What is added to one side and taken from the other to make accuracies differ by this much."""
    if difference == 0.0:
        return 0.0

    def excess(half: float) -> float:
        high, low = special.ndtr((LEVEL + half) / deviation), special.ndtr((LEVEL - half) / deviation)
        return float(high - low) - difference

    return float(optimize.brentq(excess, 0.0, 2.0))
