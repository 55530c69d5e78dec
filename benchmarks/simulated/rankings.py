"""How often backbones that are alike are told apart when all of them are compared with each other."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.rank_statistics import adjust_all_pairs
from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.target_inference import SIGNIFICANCE
from hf_sslgen.study.inference import paired
from hf_sslgen.study.inference.scopes import run_variances, scoped_intervals, widest_scope
from simulated.networks import ACCURACY, REGIMES, Population, Study
from simulated.study_verdicts import over_domains

METHODS, RUNS, DOMAINS, IMAGES = (3, 6), 3, (1, 6), 1000


@dataclass
class RankingCounts:
    """Rankings of methods that are alike, and those that tell any two apart, adjusted and not."""

    methods: int
    domains: int
    regime: str
    rankings: int = 0
    false_adjusted: int = 0
    false_unadjusted: int = 0


def rank_alike(methods: int, domains: int, regime: str, repetitions: int, seed: int) -> RankingCounts:
    """Rank methods of three pretraining runs each, on one domain or over several.

    The methods are runs of one side, which differ only by what varies between runs.
    """
    counts = RankingCounts(methods, domains, regime)
    population = Population(REGIMES[regime])
    for repetition in range(repetitions):
        generator = np.random.default_rng([seed, methods, domains, tuple(REGIMES).index(regime), repetition])
        study = population.draw(methods * RUNS, 1, domains, IMAGES, generator)
        pairs = combinations(range(methods), 2)
        p_values = np.array([_p_value(study, first, second) for first, second in pairs])
        counts.rankings += 1
        counts.false_adjusted += int((adjust_all_pairs(p_values, methods) < SIGNIFICANCE).any())
        counts.false_unadjusted += int((p_values < SIGNIFICANCE).any())
    return counts


def _p_value(study: Study, first: int, second: int) -> float:
    """Of no difference between two methods, if they were pretrained again."""
    by_domain = [
        _of_method(domain.sides[ACCURACY][0], first) - _of_method(domain.sides[ACCURACY][0], second)
        for domain in study.domains
    ]
    if len(by_domain) > 1:
        values = np.stack([differences.mean(axis=1) for differences in by_domain])
        return over_domains(ACCURACY, "", values, (np.zeros(RUNS), 0.0)).claimed.p_value()
    runs = [[run] for run in by_domain[0]]
    estimate = paired.share_difference(runs)
    intervals = scoped_intervals(estimate.value, Interval(estimate.low, estimate.high), run_variances(runs))
    return widest_scope(intervals).p_value


def _of_method(correct: FloatArray, method: int) -> FloatArray:
    """The runs of a method, (R, N), from those of all of them, (methods R, 1, N)."""
    return correct[method * RUNS : (method + 1) * RUNS, 0].astype(np.float64)
