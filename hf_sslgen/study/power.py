"""What a planned study can find: the smallest difference by number, level and scope, and what would halve it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import harmonic_mean

from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.rows import find_metric, tested_numbers
from hf_sslgen.metrics.variance_components import Design
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.design.assumed_components import Assumption
from hf_sslgen.study.inference.design.design_power import (
    MOST_TIMES,
    Detectable,
    Extension,
    cheapest_extension,
    detectable_on_domain,
    detectable_over_domains,
)
from hf_sslgen.study.inference.design.measured_components import IMAGES, Evidence, measure_components
from hf_sslgen.study.inference.scopes import ScopedInterval, without_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, over_targets
from hf_sslgen.study.planned_design import PlannedDomain, PlannedSetting, PlannedStudy

OF_A_SUBSET = (Subject.MAPS, Subject.OBJECTS, Subject.TRANSFORMED)
"""Subjects measured on at most `max_subset` test images."""

OF_GROUPS = "its images come in groups, and how alike those of a group are is not known"


@dataclass(frozen=True)
class DetectableDifference:
    """The smallest difference in one number that a planned study finds with power 80%, at one level.

    Attributes:
        place: the domain, or the group whose domains are averaged.
        is_over_domains: which of the two.
        scopes: the narrowest first; `minimum_detectable_difference` is NaN where it can't be tested, with a `reason`.
        evidence: the variance components behind it.
    """

    protocol: str
    labels: str
    metric: str
    transform: str
    place: str
    is_over_domains: bool
    design: Design
    scopes: tuple[ScopedInterval, ...]
    evidence: Evidence

    @property
    def widest(self) -> ScopedInterval | None:
        """The widest scope that can be tested; None if none can."""
        testable = [each for each in self.scopes if not math.isnan(each.minimum_detectable_difference)]
        return testable[-1] if testable else None


@dataclass(frozen=True)
class Halving:
    """What halves a detectable difference in its widest scope: None if nothing does at ten times the cells."""

    of: DetectableDifference
    scope: str
    extension: Extension | None


@dataclass(frozen=True)
class Power:
    """All that a planned study can find.

    Attributes:
        without_evidence: numbers about which neither an earlier study nor an assumption says anything.
        assumed_sizes: domains whose number of test images is not known.
    """

    differences: tuple[DetectableDifference, ...]
    halvings: tuple[Halving, ...]
    without_evidence: tuple[str, ...]
    assumed_sizes: tuple[str, ...]


def power_of(
    study: PlannedStudy,
    earlier: Sequence[TargetDifference],
    headline_metrics: Mapping[str, str],
    assumption: Assumption,
    max_subset: int,
) -> Power:
    """Compute what a study can find.

    Args:
        study: as planned.
        earlier: differences of an earlier study; may be empty.
        headline_metrics: the kind of accuracy used for each of its domains.
        assumption: stands in for what the earlier study did not measure.
        max_subset: test images used for attribution and invariance.
    """
    chosen = over_targets(earlier, headline_metrics)
    by_number = grouped(chosen, [(d.metric, d.transform) for d in chosen])
    found: list[DetectableDifference] = []
    halvings: list[Halving] = []
    unknown: dict[str, None] = {}
    for setting in study.settings:
        for metric, transform in tested_numbers():
            if bool(transform) != (setting.protocol == PRETRAINED_PROTOCOL):
                continue
            evidence = _evidence(by_number.get((metric, transform), []), setting, assumption, metric)
            if math.isnan(evidence.components.image):
                unknown[metric] = None
                continue
            of_number = _levels(study, setting, metric, transform, evidence, max_subset)
            found += of_number
            halvings += _halving(study, setting, of_number[-1], max_subset)
    domains = {domain for setting in study.settings for domain in setting.domains}
    measured = {each.metric for each in found}
    return Power(
        tuple(found),
        tuple(halvings),
        tuple(metric for metric in unknown if metric not in measured),
        tuple(sorted(domain.name for domain in domains if domain.is_assumed)),
    )


def _evidence(
    members: Sequence[TargetDifference], setting: PlannedSetting, assumption: Assumption, metric: str
) -> Evidence:
    """Measure on the same protocol and label budget, else on the same protocol, else assume."""
    of_protocol = [d for d in members if d.protocol == setting.protocol]
    alike = [d for d in of_protocol if d.labels == setting.labels]
    return measure_components(alike or of_protocol, assumption.of(metric))


def _levels(
    study: PlannedStudy, setting: PlannedSetting, metric: str, transform: str, evidence: Evidence, max_subset: int
) -> list[DetectableDifference]:
    """Return what is found on the domain of median size and over each group with enough domains, the largest last.

    The domain is one whose images come without groups, if there is any.
    """
    seeds = 1 if evidence.repeats_are_one_run else setting.seeds

    def level(place: str, domains: Sequence[PlannedDomain], detectable: Detectable) -> DetectableDifference:
        images = harmonic_mean([_images(metric, domain.images, max_subset) for domain in domains])
        design = Design(images, seeds, study.runs, len(domains))
        scopes = detectable(evidence.components, design)
        if IMAGES in evidence.assumed and len(domains) == 1 and domains[0].has_groups:
            scopes = without_intervals([each.scope for each in scopes], OF_GROUPS)
        return DetectableDifference(
            *(setting.protocol, setting.labels, metric, transform, place, detectable is detectable_over_domains),
            design,
            scopes,
            evidence,
        )

    alone = [domain for domain in setting.domains if not domain.has_groups]
    by_size = sorted(alone or setting.domains, key=lambda domain: domain.images)
    typical = by_size[(len(by_size) - 1) // 2]
    groups = grouped(setting.domains, [domain.group for domain in setting.domains])
    large = sorted((g for g in groups.items() if len(g[1]) >= MIN_DOMAINS), key=lambda g: len(g[1]))
    return [
        level(typical.name, [typical], detectable_on_domain),
        *(level(group, members, detectable_over_domains) for group, members in large),
    ]


def is_of_subset(metric: str) -> bool:
    """Return whether a number is measured on at most `max_subset` test images."""
    found = find_metric(metric)
    return found is not None and found.subject in OF_A_SUBSET


def _images(metric: str, images: int, max_subset: int) -> int:
    return min(images, max_subset) if is_of_subset(metric) else images


def _halving(study: PlannedStudy, setting: PlannedSetting, of: DetectableDifference, max_subset: int) -> list[Halving]:
    if of.widest is None:
        return []
    members = [d for d in setting.domains if of.place in ((d.group,) if of.is_over_domains else (d.name,))]
    most = Design(
        harmonic_mean([_images(of.metric, d.available, d.available) for d in members]),
        of.design.seeds
        if setting.protocol == PRETRAINED_PROTOCOL or of.evidence.repeats_are_one_run
        else MOST_TIMES * of.design.seeds,
        MOST_TIMES * of.design.runs,
        MOST_TIMES * of.design.domains if of.is_over_domains else of.design.domains,
    )
    detectable = detectable_over_domains if of.is_over_domains else detectable_on_domain
    cells: Callable[[Design], int] = partial(study.cells, of.design)
    extension = cheapest_extension(of.evidence.components, of.design, detectable, of.widest.scope, cells, most)
    return [Halving(of, of.widest.scope, extension)]
