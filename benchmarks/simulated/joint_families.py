"""Holm's adjustment of many verdicts on one domain, beside the largest statistic of a joint bootstrap over images.

Several self-supervised backbones are compared with one supervised one on the same images in several numbers, so the
verdicts are correlated. Each applies to these networks only: where training or pretraining varies, a bootstrap over
images does not include what the verdicts are about.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.run_variance import interval_p_value
from hf_sslgen.metrics.target_inference import SIGNIFICANCE, holm
from hf_sslgen.study.inference import paired
from simulated.networks import ACCURACY, BRIER, NUMBERS, REGIMES, Domain, Population

IMAGES, RESAMPLES = 1000, 999


@dataclass
class FamilyCounts:
    """Over families of so many verdicts: those with a false verdict, and verdicts on accuracies that differ."""

    verdicts: int
    difference: float
    families: int = 0
    false_by_holm: int = 0
    false_by_largest: int = 0
    tested: int = 0
    found_by_holm: int = 0
    found_by_largest: int = 0


def compare_families(backbones: int, difference: float, repetitions: int, seed: int) -> FamilyCounts:
    """Judge families of `3 backbones` verdicts by both adjustments.

    Args:
        difference: true difference in accuracy, in points.
    """
    population = Population(REGIMES["images"], difference)
    counts = FamilyCounts(len(NUMBERS) * backbones, difference)
    for repetition in range(repetitions):
        generator = np.random.default_rng([seed, backbones, repetition])
        domain = population.draw(backbones, 1, 1, IMAGES, generator).domains[0]
        values, p_values, at_truth, truth = _family(domain)
        largest, largest_at_truth = (
            adjust_by_largest(values - of, values, generator) for of in (np.zeros(len(truth)), truth)
        )
        accuracies = np.arange(len(truth)) % len(NUMBERS) == NUMBERS.index(ACCURACY)
        counts.families += 1
        counts.false_by_holm += int(holm(at_truth).min() < SIGNIFICANCE)
        counts.false_by_largest += int(largest_at_truth.min() < SIGNIFICANCE)
        counts.tested += int(accuracies.sum())
        counts.found_by_holm += int((holm(p_values)[accuracies] < SIGNIFICANCE).sum())
        counts.found_by_largest += int((largest[accuracies] < SIGNIFICANCE).sum())
    return counts


def adjust_by_largest(values: FloatArray, resampled: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Adjust two-sided tests of a mean of zero by the step-down largest statistic (Westfall and Young 1993).

    Args:
        values: by image and test, shape (N, M).
        resampled: what is resampled with normal multipliers, shape (N, M).
    """
    images, tests = values.shape
    deviations = (resampled - resampled.mean(axis=0)) / resampled.std(axis=0)
    multipliers = generator.standard_normal((RESAMPLES, images))
    drawn = np.abs(multipliers @ deviations) / np.sqrt(images)
    statistics = np.abs(values.mean(axis=0)) / values.std(axis=0) * np.sqrt(images)
    order = np.argsort(-statistics)
    left: NDArray[np.float64] = np.maximum.accumulate(drawn[:, order[::-1]], axis=1)[:, ::-1]
    exceeded = (1 + (left >= statistics[order]).sum(axis=0)) / (RESAMPLES + 1)
    adjusted = np.empty(tests)
    adjusted[order] = np.maximum.accumulate(exceeded)
    return adjusted


def _family(domain: Domain) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Per-image differences (N, M), p-values of no difference and of the true one, and the true ones (M,)."""
    values: list[FloatArray] = []
    truths: list[float] = []
    p_values: list[float] = []
    at_truth: list[float] = []
    for run in range(domain.right.shape[0]):
        for number in NUMBERS:
            first, second = domain.sides[number][0, run, 0], domain.sides[number][1, 0, 0]
            difference = first.astype(np.float64) - second
            if number == ACCURACY:
                estimate = paired.share_difference([[difference]])
            elif number == BRIER:
                right = (domain.sides[ACCURACY][0, run, 0] > 0) & (domain.sides[ACCURACY][1, 0, 0] > 0)
                estimate = paired.outcome_difference([[difference]], ~right)
            else:
                estimate = paired.mean_difference([[difference]])
            truth = domain.truth[number].pretraining  # that of these networks too, since none differ but by images
            values.append(difference)
            truths.append(truth)
            for of, found in ((0.0, p_values), (truth, at_truth)):
                p_value = interval_p_value(estimate.value - of, Interval(estimate.low - of, estimate.high - of))
                found.append(1.0 if np.isnan(p_value) else p_value)
    return np.stack(values, axis=1), np.array(p_values), np.array(at_truth), np.array(truths)
