"""The intervals that the package gives to simulated differences, in every scope, beside what is true there."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hf_sslgen.metrics import interaction, target_mean
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.run_variance import (
    RunVariance,
    contrast_variance,
    crossed_variance,
    interval_p_value,
    widened_interval,
)
from hf_sslgen.study.inference import paired
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS, run_variances
from simulated.networks import ACCURACY, BRIER, KINDS, Domain, Study

DOMAIN, GROUP, INTERACTION = "domain", "group", "interaction"

OverDomains = tuple[FloatArray, float]
"""What is true over all domains of a kind: of each pretraining run (R,), and of the objectives."""


@dataclass(frozen=True)
class Scoped:
    """A difference's interval in one scope.

    Attributes:
        truth: the difference that the interval should contain.
        over_rows, variance, row_degrees_of_freedom: what the interval was made of.
        narrower: the scope whose interval it contains.
    """

    scope: str
    value: float
    truth: float
    over_rows: Interval
    variance: RunVariance | None
    row_degrees_of_freedom: float = np.inf
    narrower: "Scoped | None" = None

    @cached_property
    def interval(self) -> Interval:
        if self.variance is None:
            return self.over_rows
        low, high = widened_interval(self.value, self.over_rows, self.variance, self.row_degrees_of_freedom)
        if self.narrower is None or np.isnan(low):
            return Interval(low, high)
        least = self.narrower.widest
        return Interval(min(low, least.interval.low), max(high, least.interval.high))

    @property
    def widest(self) -> "Scoped":
        """This scope if it has an interval, else the widest narrower one that has."""
        return self if self.narrower is None or not np.isnan(self.interval.low) else self.narrower.widest

    def p_value(self, of: float = 0.0) -> float:
        """Two-sided p-value of a true difference of this size."""
        over_rows = Interval(self.over_rows.low - of, self.over_rows.high - of)
        found = interval_p_value(self.value - of, over_rows, self.variance, self.row_degrees_of_freedom)
        return found if self.narrower is None or np.isnan(found) else max(found, self.narrower.widest.p_value(of))


@dataclass(frozen=True)
class Found:
    """A difference in its scopes, the narrowest first; `objective` is the true difference of the objectives."""

    level: str
    number: str
    kind: str
    scopes: tuple[Scoped, ...]
    objective: float

    @property
    def claimed(self) -> Scoped:
        """The widest scope that has an interval; the narrowest where none has."""
        return self.scopes[-1].widest


def on_domain(domain: Domain, number: str, runs: int, seeds: int, images: int) -> Found:
    """The difference on one domain, from the values of the first runs, seeds and images."""
    values = domain.differences[number][:runs, :seeds, :images]
    if (values == values[:, :1]).all():  # seeds with the same records are one
        values = values[:, :1]
    columns = [list(run) for run in values]
    if number == ACCURACY:
        estimate = paired.share_difference(columns)
    elif number == BRIER:
        right = domain.right[:runs, :seeds, :images].reshape(-1, images)
        estimate = paired.outcome_difference(columns, ~np.logical_and.reduce(right))
    else:
        estimate = paired.mean_difference(columns)
    over_images, variances, truth = Interval(estimate.low, estimate.high), run_variances(columns), domain.truth[number]
    value, freedom = estimate.value, np.inf
    weights = Scoped(WEIGHTS, value, float(truth.weights[:runs, :seeds].mean()), over_images, None)
    of_training = float(truth.training[:runs].mean())
    training = Scoped(TRAINING, value, of_training, over_images, variances.training, freedom, weights)
    pretraining = Scoped(PRETRAINING, value, truth.pretraining, over_images, variances.pretraining, freedom, training)
    return Found(DOMAIN, number, domain.kind, (weights, training, pretraining), truth.pretraining)


def values_of(study: Study, number: str, images: int) -> FloatArray:
    """The difference of each domain, pretraining run and training seed, (T, R, K), over the first images."""
    return np.stack([domain.differences[number][..., :images].mean(axis=-1) for domain in study.domains])


def over_all_domains(study: Study, number: str, values: FloatArray) -> list[Found]:
    """The mean differences over domains of each kind, and between the kinds if there are two.

    Args:
        study: whose first domains these are.
        values: differences by domain, pretraining run and training seed, (T, R, K).
    """
    by_run = values.mean(axis=2)
    kinds = np.array([domain.kind for domain in study.domains[: len(values)]])
    truth = {kind: of_numbers[number] for kind, of_numbers in study.over_domains.items()}
    groups = [over_domains(number, kind, by_run[kinds == kind], truth[kind]) for kind in truth]
    if len(truth) == 1:
        return groups
    similar, different = KINDS
    between = _between_kinds(
        number, by_run[kinds == different], by_run[kinds == similar], truth[different], truth[similar]
    )
    return [*groups, between]


def over_domains(number: str, kind: str, values: FloatArray, truth: OverDomains) -> Found:
    """The mean over domains of one kind, from what each domain and pretraining run has, (T, R)."""
    mean = target_mean(values.mean(axis=1))
    interval, freedom = Interval(mean.low, mean.high), float(len(values) - 1)
    return _of_group(GROUP, number, kind, mean.value, interval, crossed_variance(values), truth, freedom)


def _between_kinds(
    number: str, different: FloatArray, similar: FloatArray, of_different: OverDomains, of_similar: OverDomains
) -> Found:
    result = interaction(different.mean(axis=1), similar.mean(axis=1))
    variance = contrast_variance(different, similar)
    truth = of_different[0] - of_similar[0], of_different[1] - of_similar[1]
    interval = Interval(result.low, result.high)
    return _of_group(INTERACTION, number, "", result.value, interval, variance, truth, result.degrees_of_freedom)


def _of_group(
    level: str,
    number: str,
    kind: str,
    value: float,
    over_rows: Interval,
    variance: RunVariance,
    truth: OverDomains,
    freedom: float,
) -> Found:
    of_these_runs = float(truth[0][: variance.degrees_of_freedom + 1].mean())
    training = Scoped(TRAINING, value, of_these_runs, over_rows, None, freedom)
    scopes = training, Scoped(PRETRAINING, value, truth[1], over_rows, variance, freedom, training)
    return Found(level, number, kind, scopes, truth[1])
