"""Encoders with known invariance: latent images, their transformed versions, and linear encoders of both."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics import (
    InvarianceResult,
    Whitening,
    debiased_linear_cka,
    fit_whitening,
    invariance,
    invariance_values,
    representation_guards,
    whitened_cosine,
)
from hf_sslgen.metrics.defined import interval_of_defined
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.shares import credit_interval
from hf_sslgen.study.inference.paired import mean_difference, share_difference
from simulated.repetitions import Draw

GALLERY = 256
WHITENED_DIMENSION = 16
Pair = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class FeatureScenario:
    """Two encoders of `dimension` features, the first of which sees two transforms.

    Attributes:
        offset: size of the mean feature, in standard deviations of the strongest one.
        decay: the k-th strongest feature has standard deviation k^-decay.
        kept: mean correlation of a feature with its transformed version under the first transform; the second keeps
            a fifth less.
        num_references: number of images that represent the population, a multiple of the gallery.
    """

    name: str
    offset: float
    decay: float
    kept: float = 0.8
    dimension: int = 32
    num_references: float = 400 * GALLERY

    def pairs(self, n: int, generator: np.random.Generator) -> tuple[Pair, Pair, Pair]:
        """Features and transformed features of n images: two transforms for the first encoder, one for the second."""
        scales = np.arange(1, self.dimension + 1) ** -self.decay
        mean = np.zeros(self.dimension)
        mean[0] = self.offset

        def noise() -> FloatArray:
            return generator.normal(size=(n, self.dimension))

        def moved(latent: FloatArray, kept: FloatArray) -> FloatArray:
            return kept * latent + np.sqrt(1.0 - np.square(kept)) * noise()

        latent = noise()
        mild = generator.beta(10.0 * self.kept, 10.0 * (1.0 - self.kept), size=(n, 1))
        strong = 0.8 * generator.beta(5.0 * self.kept, 5.0 * (1.0 - self.kept), size=(n, 1))
        first = mean + scales * latent
        seen_otherwise = 0.8 * latent + 0.6 * noise()
        second = mean / 2.0 + np.sqrt(scales) * seen_otherwise
        return (
            (first, mean + scales * moved(latent, mild)),
            (first, mean + scales * moved(latent, strong)),
            (second, mean / 2.0 + np.sqrt(scales) * moved(seen_otherwise, 0.9 * mild)),
        )

    def truth(self, n: int) -> Mapping[str, float]:
        return _truth(self, min(n, GALLERY))

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        pairs = self.pairs(n, generator)
        mild, strong, other = (invariance(z, z_t) for z, z_t in pairs)
        drawn = Draw()
        drawn.add("invariance", mild)
        drawn.add("representation_guards", representation_guards(pairs[0][0]))
        drawn.add("debiased_linear_cka", debiased_linear_cka(*pairs[0]))
        drawn.add("whitened_cosine", whitened_cosine(_whitening(self), *pairs[0]))

        corrected = [_values(result) for result in (mild, strong, other)]
        found = [result.per_sample_recall_at_1 for result in (mild, strong, other)]
        for name, values, interval in (
            ("invariance", corrected, interval_of_defined),
            ("recall_at_1", found, credit_interval),
        ):
            family = (values[0] + values[1]) / 2.0
            drawn.values[f"family mean of invariance.{name}"] = float(family.mean())
            drawn.intervals[f"family mean of invariance.{name}"] = interval(family)
        drawn.add_estimate("difference of invariance.invariance", mean_difference([[corrected[0] - corrected[2]]]))
        drawn.add_estimate("difference of invariance.recall_at_1", share_difference([[found[0] - found[2]]]))
        return drawn


def _values(result: InvarianceResult) -> FloatArray:
    return invariance_values(
        result.per_sample_cosine, result.per_sample_chance_cosine, result.per_sample_candidate_chance_cosine
    )


@cache
def _whitening(scenario: FeatureScenario) -> Whitening:
    """Return the whitening, fitted once: intervals are over test images under a fixed whitening."""
    training = scenario.pairs(5_000, np.random.default_rng(1))[0][0]
    return fit_whitening(training, WHITENED_DIMENSION)


@cache
def _truth(scenario: FeatureScenario, gallery: int) -> dict[str, float]:
    generator = np.random.default_rng(2)
    blocks = int(scenario.num_references) // GALLERY
    sums = [_Moments(scenario.dimension) for _ in range(3)]
    recall, auc = np.zeros(3), np.zeros(3)
    whitened = 0.0
    for _ in range(blocks):
        pairs = scenario.pairs(GALLERY, generator)
        for index, (z, z_t) in enumerate(pairs):
            similarity = sums[index].add(z, z_t)[:gallery, :gallery]
            own = np.diagonal(similarity)[:, None]
            closer = (similarity < own).sum(axis=1)
            recall[index] += (closer == gallery - 1).mean() / blocks
            auc[index] += closer.mean() / (gallery - 1) / blocks
        whitened += whitened_cosine(_whitening(scenario), *pairs[0]).whitened_cosine / blocks
    corrected = [moments.invariance() for moments in sums]
    return {
        "invariance.invariance": corrected[0],
        "invariance.cosine": sums[0].cosine(),
        "invariance.chance_cosine": sums[0].chance_cosine(),
        "invariance.distance_invariance": sums[0].distance_invariance(),
        "invariance.recall_at_1": recall[0],
        "invariance.rank_auc": auc[0],
        "representation_guards.covariance_effective_rank": sums[0].covariance_effective_rank(),
        "representation_guards.rankme": sums[0].rankme(),
        "debiased_linear_cka.linear_cka": sums[0].cka(),
        "whitened_cosine.whitened_cosine": whitened,
        "family mean of invariance.invariance": (corrected[0] + corrected[1]) / 2.0,
        "family mean of invariance.recall_at_1": (recall[0] + recall[1]) / 2.0,
        "difference of invariance.invariance": corrected[0] - corrected[2],
        "difference of invariance.recall_at_1": recall[0] - recall[2],
    }


class _Moments:
    """Sums over reference images, from which population values follow."""

    def __init__(self, dimension: int) -> None:
        self.n = 0
        self.own = 0.0
        self.directions = np.zeros((2, dimension))
        self.joint = np.zeros((2 * dimension, 2 * dimension))
        self.means = np.zeros(2 * dimension)

    def add(self, z: FloatArray, z_t: FloatArray) -> FloatArray:
        """Add a block of pairs; returns its cosines, all queries against all candidates."""
        u, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (z, z_t))
        similarity = u @ v.T
        self.n += len(z)
        self.own += float(np.trace(similarity))
        self.directions += np.stack([u.sum(axis=0), v.sum(axis=0)])
        both = np.concatenate([z, z_t], axis=1)
        self.joint += both.T @ both
        self.means += both.sum(axis=0)
        return similarity

    def cosine(self) -> float:
        return self.own / self.n

    def chance_cosine(self) -> float:
        return float(self.directions[0] @ self.directions[1] - self.own) / (self.n * (self.n - 1))

    def invariance(self) -> float:
        chance = self.chance_cosine()
        return (self.cosine() - chance) / (1.0 - chance)

    def _covariances(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        half = len(self.means) // 2
        mean = self.means / self.n
        covariance = self.joint / self.n - np.outer(mean, mean)
        return covariance[:half, :half], covariance[half:, half:], covariance[:half, half:]

    def distance_invariance(self) -> float:
        """Two images' z and z^t are independent: their squared distance is both variances plus that of the means."""
        of_z, of_z_t, shared = self._covariances()
        half = len(self.means) // 2
        offset = float(np.square((self.means[:half] - self.means[half:]) / self.n).sum())
        others = float(np.trace(of_z) + np.trace(of_z_t)) + offset
        return 1.0 - (others - 2.0 * float(np.trace(shared))) / others

    def cka(self) -> float:
        of_z, of_z_t, shared = self._covariances()
        return float(np.square(shared).sum() / (np.linalg.norm(of_z) * np.linalg.norm(of_z_t)))

    def covariance_effective_rank(self) -> float:
        return _exp_entropy(np.linalg.eigvalsh(self._covariances()[0]))

    def rankme(self) -> float:
        half = len(self.means) // 2
        return _exp_entropy(np.sqrt(np.linalg.eigvalsh(self.joint[:half, :half])))


def _exp_entropy(weights: npt.NDArray[np.floating]) -> float:
    share = weights / weights.sum()
    return float(np.exp(-(share * np.log(share)).sum()))
