"""Estimate variance components from the differences of a study, and fill in missing ones from assumptions."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import special

from hf_sslgen.metrics.run_variance import crossed_variance
from hf_sslgen.metrics.variance_components import Design, VarianceComponents, domain_error
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped
from hf_sslgen.study.inference.target_groups import comparison_of, values_by_run

IMAGES, TRAINING, RUNS, DOMAINS = "images", "training seeds", "pretraining runs", "domains"
NOTHING_KNOWN: Final = VarianceComponents(*[math.nan] * 7)


@dataclass(frozen=True)
class Evidence:
    """Variance components of one number, and where they come from.

    Attributes:
        num_differences: how many differences on one domain they were measured on.
        assumed: what was not measured, of `images`, `training seeds`, `pretraining runs`, `domains`.
        repeats_are_one_run: whether several seeds were measured and gave the same cells, as a deterministic probe on
            published splits does.
    """

    components: VarianceComponents
    num_differences: int
    assumed: tuple[str, ...]
    repeats_are_one_run: bool = False


@dataclass(frozen=True)
class _Size:
    """How many images, pretraining runs and trainings a difference on one domain rests on."""

    images: int
    runs: int
    trainings: int

    @classmethod
    def of(cls, d: TargetDifference) -> "_Size":
        runs = d.variances.pretraining.degrees_of_freedom + 1
        return cls(d.n, runs, d.variances.training.degrees_of_freedom + runs)

    @property
    def seeds(self) -> float:
        return self.trainings / self.runs


def measure_components(members: Sequence[TargetDifference], assumed: VarianceComponents) -> Evidence:
    """Estimate the components of one number under one protocol, pooled over contrasts and domains.

    Each estimate equates a mean square with its expectation; a negative one is zero.

    Args:
        members: the differences, of any number of contrasts on any domains.
        assumed: stands in for components that the differences do not determine; NaN where nothing is assumed.
    """
    usable = [d for d in members if d.n > 1 and not math.isnan(d.value)]
    missing = []
    known = _of_trainings(usable)
    if known is None:
        known = replace(NOTHING_KNOWN, image_training=assumed.image_training, training=assumed.training)
        missing.append(TRAINING)
    of_runs = _of_runs(usable, known)
    if of_runs is None:
        of_runs = replace(known, image_run=assumed.image_run, run_on_domain=assumed.run_on_domain, run=assumed.run)
        missing.append(RUNS)
    image = _between_images(usable, of_runs)
    if math.isnan(image):
        image = assumed.image
        missing.append(IMAGES)
    domain = _between_domains(usable, replace(of_runs, image=image))
    if math.isnan(domain):
        domain = assumed.domain
        missing.append(DOMAINS)
    return Evidence(
        replace(of_runs, image=image, domain=domain),
        len(usable),
        tuple(each for each in (IMAGES, TRAINING, RUNS, DOMAINS) if each in missing),
        repeats_are_one_run=TRAINING in missing and any(d.num_seeds > d.num_pretraining_seeds for d in usable),
    )


def _of_trainings(members: Sequence[TargetDifference]) -> VarianceComponents | None:
    """Estimate what varies between trainings; None if nothing was trained twice."""
    found = [(d.variances.training, _Size.of(d)) for d in members if d.variances.training.degrees_of_freedom > 0]
    if not found:
        return None
    image_training = _pooled((v.interaction * s.images * s.trainings, v.degrees_of_freedom) for v, s in found)
    training = _pooled((v.column * s.trainings - image_training / s.images, v.degrees_of_freedom) for v, s in found)
    return replace(NOTHING_KNOWN, image_training=image_training, training=training)


def _of_runs(members: Sequence[TargetDifference], known: VarianceComponents) -> VarianceComponents | None:
    """Estimate what varies between pretraining runs, given what is known; None if nothing was pretrained twice."""
    found = [(d.variances.pretraining, _Size.of(d)) for d in members if d.variances.pretraining.degrees_of_freedom > 0]
    if not found:
        return None
    image_training, training = _or_zero(known.image_training), _or_zero(known.training)
    image_run = _pooled(
        (v.interaction * s.images * s.runs - image_training / s.seeds, v.degrees_of_freedom) for v, s in found
    )
    on_one_domain = _pooled(
        (
            v.column * s.runs - (training + image_training / s.images) / s.seeds - image_run / s.images,
            v.degrees_of_freedom,
        )
        for v, s in found
    )
    run = min(_shared_by_domains(members, on_one_domain), on_one_domain)
    return replace(known, image_run=image_run, run_on_domain=on_one_domain - run, run=run)


def _between_images(members: Sequence[TargetDifference], known: VarianceComponents) -> float:
    """Estimate the variance between images; NaN if no difference has an interval over them."""
    found = [(_image_error(d), _Size.of(d)) for d in members if not math.isnan(d.low)]
    image_run, image_training = _or_zero(known.image_run), _or_zero(known.image_training)
    if not found:
        return math.nan
    return _pooled((error**2 * s.images - image_run / s.runs - image_training / s.trainings, 1) for error, s in found)


def _image_error(d: TargetDifference) -> float:
    return (d.high - d.low) / 2.0 / float(special.stdtrit(d.row_degrees_of_freedom, 0.975))


def _or_zero(component: float) -> float:
    """Return zero for an unknown component, which is then counted in those that contain it."""
    return 0.0 if math.isnan(component) else component


def _pooled(estimates: Iterable[tuple[float, int]]) -> float:
    """Return the weighted mean of (estimate, weight), at least zero."""
    values, weights = np.array(list(estimates)).T
    return max(0.0, float(np.average(values, weights=weights)))


def _over_domains(members: Sequence[TargetDifference]) -> list[list[TargetDifference]]:
    """Return the differences of each contrast over the domains of one group, if there are at least two."""
    groups = grouped(members, [(comparison_of(d), d.group) for d in members])
    return [group for group in groups.values() if len(group) > 1]


def _shared_by_domains(members: Sequence[TargetDifference], otherwise: float) -> float:
    """Estimate the variance between pretraining runs that all domains share; all of it, to be safe, if unknown."""
    estimates = []
    for group in _over_domains(members):
        by_run = values_by_run(group)
        if by_run is not None and by_run.shape[1] > 1:
            variance = crossed_variance(by_run)
            runs = by_run.shape[1]
            estimates.append(((variance.column - variance.interaction) * runs, runs - 1))
    return _pooled(estimates) if estimates else otherwise


def _between_domains(members: Sequence[TargetDifference], others: VarianceComponents) -> float:
    """Estimate the variance between domains beyond that of images and runs; NaN with one domain per group."""
    if math.isnan(others.image):
        return math.nan
    known = VarianceComponents(*(_or_zero(component) for component in vars(others).values()))
    estimates = []
    for group in _over_domains(members):
        sizes = [_Size.of(d) for d in group]
        within = [domain_error(known, Design(s.images, max(1, round(s.seeds)), s.runs, domains=1)) ** 2 for s in sizes]
        estimates.append((float(np.var([d.value for d in group], ddof=1) - np.mean(within)), len(group) - 1))
    return _pooled(estimates) if estimates else math.nan
