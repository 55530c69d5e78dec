"""The detectable difference of a planned design, by scope, and the cheapest design that halves it.

A planned design is judged by the same intervals as a measured one, with the variances that its components predict.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scipy import special

from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.variance_components import (
    Design,
    VarianceComponents,
    domain_error,
    image_error,
    pretraining_variance,
    pretraining_variance_over_domains,
    training_variance,
)
from hf_sslgen.study.inference.scopes import (
    PRETRAINING,
    TRAINING,
    RunVariances,
    ScopedInterval,
    scoped_domain_intervals,
    scoped_intervals,
)
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, too_few_domains

NOT_KNOWN = {
    TRAINING: "the variance between training seeds is not known",
    PRETRAINING: "the variance between pretraining runs is not known",
}
MOST_TIMES = 10
"""An extension may cost this many times the plan."""
STEPS = 8
"""Sizes are tried one by one this far above the planned one, and in steps of a fifth beyond."""

Detectable = Callable[[VarianceComponents, Design], tuple[ScopedInterval, ...]]


@dataclass(frozen=True)
class Extension:
    """A larger design, the difference it would find in the same scope, and the cells it adds."""

    design: Design
    minimum_detectable_difference: float
    additional_cells: int


def detectable_on_domain(components: VarianceComponents, design: Design) -> tuple[ScopedInterval, ...]:
    """Return the detectable difference on one domain in each scope, the narrowest scope first."""
    half = float(special.ndtri(0.975)) * image_error(_known(components), design)
    over_images = Interval(math.nan, math.nan) if math.isnan(components.image) else Interval(-half, half)
    variances = RunVariances(
        training_variance(_known(components), design), pretraining_variance(_known(components), design)
    )
    unknown = {TRAINING: components.training, PRETRAINING: components.run}
    return _withdrawn(scoped_intervals(0.0, over_images, variances), unknown)


def detectable_over_domains(components: VarianceComponents, design: Design) -> tuple[ScopedInterval, ...]:
    """Return the detectable mean difference over the domains of a group in each scope, the narrowest first."""
    freedom = design.domains - 1
    enough = design.domains >= MIN_DOMAINS and not math.isnan(components.domain)
    half = float(special.stdtrit(freedom, 0.975)) * domain_error(_known(components), design) if enough else math.nan
    reason = (
        "the variance between domains is not known"
        if math.isnan(components.domain) and design.domains >= MIN_DOMAINS
        else too_few_domains(design.domains)
    )
    pretraining = pretraining_variance_over_domains(_known(components), design)
    found = scoped_domain_intervals(0.0, Interval(-half, half), pretraining, freedom, reason)
    return _withdrawn(found, {PRETRAINING: components.run})  # domains hold the variance between trainings


def _known(components: VarianceComponents) -> VarianceComponents:
    return VarianceComponents(*(0.0 if math.isnan(each) else each for each in vars(components).values()))


def _withdrawn(scopes: Sequence[ScopedInterval], unknown: Mapping[str, float]) -> tuple[ScopedInterval, ...]:
    """Withdraw the intervals of scopes in which something varies by an unknown amount."""
    return tuple(
        ScopedInterval(each.scope, math.nan, math.nan, math.nan, math.nan, NOT_KNOWN[each.scope])
        if math.isnan(unknown.get(each.scope, 0.0)) and not each.reason
        else each
        for each in scopes
    )


def cheapest_extension(
    components: VarianceComponents,
    design: Design,
    detectable: Detectable,
    scope: str,
    cells: Callable[[Design], int],
    most: Design,
) -> Extension | None:
    """Return the design with the fewest cells, at most `MOST_TIMES` as many, that halves the difference found.

    Args:
        components: of the number.
        design: as planned.
        detectable: `detectable_on_domain` or `detectable_over_domains`.
        scope: in which the difference is to be halved; testable as planned.
        cells: the number of cells of the whole study under a design.
        most: the largest size worth trying on each axis: the planned one where it can't be changed.
    """

    def found_by(candidate: Design) -> float:
        scoped = next(each for each in detectable(components, candidate) if each.scope == scope)
        return scoped.minimum_detectable_difference

    wanted, planned = found_by(design) / 2.0, cells(design)
    candidates = [(cells(candidate), candidate) for candidate in _larger(design, most)]
    affordable = [pair for pair in candidates if pair[0] <= MOST_TIMES * planned]
    affordable.sort(key=lambda pair: (pair[0], pair[1].images, pair[1].domains, pair[1].runs, pair[1].seeds))
    for count, candidate in affordable:
        size = found_by(candidate)
        if size <= wanted:
            return Extension(candidate, size, count - planned)
    return None


def _larger(design: Design, most: Design) -> Iterator[Design]:
    images = dict.fromkeys((design.images, max(design.images, most.images)))
    for domains in _sizes(design.domains, most.domains):
        for runs in _sizes(design.runs, most.runs):
            for seeds in _sizes(design.seeds, most.seeds):
                for count in images:
                    yield replace(design, images=count, seeds=seeds, runs=runs, domains=domains)


def _sizes(planned: int, most: int) -> list[int]:
    sizes = list(range(planned, min(most, planned + STEPS) + 1))
    while sizes[-1] < most:
        sizes.append(min(most, math.ceil(sizes[-1] * 1.2)))
    return sizes
