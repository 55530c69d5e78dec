"""How often intervals miss what is true and verdicts err, over many simulated studies and all designs.

A study is drawn once with as much of everything as the largest design has, and each design sees a part of it.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from hf_sslgen.metrics.target_inference import holm
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS
from simulated.networks import KINDS, NUMBERS, REGIMES, Population, Study
from simulated.study_verdicts import Found, on_domain, over_all_domains, values_of

RUNS, SEEDS, DOMAINS, IMAGES = (1, 2, 3, 5), (1, 3, 5), (1, 4, 8, 12), (500, 5000)
LAYOUTS = ONE_DOMAIN, ONE_KIND, TWO_KINDS = "one domain", "one kind", "two kinds"
CLAIMED, FORMER = "claimed", "former"
"""The widest scope that has an interval, and the interval of one run read as a statement about objectives."""
PAGE, UNADJUSTED, ADJUSTED = "page", "unadjusted", "Holm"
CONTRASTS = 5
"""Contrasts on a large page, each with as many verdicts as a small one has."""
SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Task:
    """Repetitions of one population.

    Attributes:
        layout: `one domain`, or several of `one kind` or of `two kinds`.
        difference, tilt: as for `Population`.
        block: counts the tasks of this population; their seeds differ.
    """

    layout: str
    regime: str
    difference: float
    tilt: float
    block: int
    repetitions: int
    seed: int = 0


@dataclass(frozen=True)
class Key:
    """What is counted: a number (or a page's contrasts) in a scope, in one design."""

    level: str
    number: str
    scope: str
    runs: int
    seeds: int
    domains: int
    images: int


@dataclass
class Counts:
    """How many differences there were, had an interval, missed the truth, were decided, and had the wrong sign."""

    cases: int = 0
    printed: int = 0
    missed: int = 0
    decided: int = 0
    wrong_sign: int = 0

    def add(self, other: "Counts") -> None:
        for name, value in vars(other).items():
            setattr(self, name, vars(self)[name] + value)


Tally = dict[Key, Counts]


def run_task(task: Task) -> Tally:
    """Draw the task's studies and count what is found in all designs."""
    kinds = KINDS if task.layout == TWO_KINDS else ("different",)
    population = Population(REGIMES[task.regime], task.difference, task.tilt, kinds)
    domains = 1 if task.layout == ONE_DOMAIN else max(DOMAINS)
    tally: Tally = {}
    pages: dict[tuple[int, int, int, int], list[list[Found]]] = {}
    names = tuple(REGIMES).index(task.regime), LAYOUTS.index(task.layout)
    for repetition in range(task.repetitions):
        seed = [task.seed, *names, round(task.tilt * 100), task.block, repetition]  # the same for every difference
        study = population.draw(max(RUNS), max(SEEDS), domains, max(IMAGES), np.random.default_rng(seed))
        for design, found in _of_designs(study):
            for each in found:
                _count(tally, each, design)
            pages.setdefault(design, []).append(found)
    for design, found_by_page in pages.items():
        _count_pages(tally, found_by_page, design)
        _count_adjusted(tally, found_by_page, design)
    return tally


def _of_designs(study: Study) -> Iterator[tuple[tuple[int, int, int, int], list[Found]]]:
    if len(study.domains) == 1:
        for runs, seeds, images in product(RUNS, SEEDS, IMAGES):
            yield (
                (runs, seeds, 1, images),
                [on_domain(study.domains[0], number, runs, seeds, images) for number in NUMBERS],
            )
        return
    fewest = MIN_DOMAINS * len(study.over_domains)
    for images in IMAGES:
        means = {number: values_of(study, number, images) for number in NUMBERS}
        for runs, seeds, domains in product(RUNS, SEEDS, [count for count in DOMAINS if count >= fewest]):
            found = []
            for number in NUMBERS:
                found += over_all_domains(study, number, means[number][:domains, :runs, :seeds])
            yield (runs, seeds, domains, images), found


def _count(tally: Tally, found: Found, design: tuple[int, int, int, int]) -> None:
    widest, narrowest = found.claimed, found.scopes[0]
    seen = [(each.scope, each, each.truth) for each in found.scopes]
    seen += [(CLAIMED, widest, widest.truth), (FORMER, narrowest, found.objective)]
    for scope, each, truth in seen:
        low, high = (float(bound) for bound in each.interval)
        is_printed, is_decided = not math.isnan(low), low > 0.0 or high < 0.0
        misses, has_wrong_sign = is_printed and not low <= truth <= high, is_decided and (low > 0.0) != (truth > 0.0)
        seen_once = Counts(1, int(is_printed), int(misses), int(is_decided), int(has_wrong_sign))
        tally.setdefault(Key(found.level, found.number, scope, *design), Counts()).add(seen_once)


def _count_pages(tally: Tally, pages: Sequence[Sequence[Found]], design: tuple[int, int, int, int]) -> None:
    """Count pages with a verdict whose interval, at the family's level, misses what is true in its scope."""
    of_truth = []
    for page in pages:
        p_values = [verdict.p_value(verdict.truth) for verdict in (found.claimed for found in page)]
        of_truth.append([p for p in p_values if not math.isnan(p)])
    for contrasts in (1, CONTRASTS):
        for start in range(0, len(of_truth) - contrasts + 1, contrasts):
            p_values = [p for page in of_truth[start : start + contrasts] for p in page]
            smallest = min(p_values, default=1.0)
            for scope, tests in ((ADJUSTED, len(p_values)), (UNADJUSTED, 1)):  # Holm's first step is Bonferroni's
                counts = Counts(1, int(bool(p_values)), int(tests * smallest < SIGNIFICANCE))
                tally.setdefault(Key(PAGE, str(contrasts), scope, *design), Counts()).add(counts)


def _count_adjusted(tally: Tally, pages: Sequence[Sequence[Found]], design: tuple[int, int, int, int]) -> None:
    """Count the verdicts that are left on pages of one contrast, adjusted together."""
    for page in pages:
        verdicts = [(found, found.claimed) for found in page]
        tested = [(found, verdict, p) for found, verdict in verdicts if not math.isnan(p := verdict.p_value())]
        if not tested:
            continue
        for (found, verdict, _), adjusted in zip(tested, holm([p for *_, p in tested]), strict=True):
            is_decided = bool(adjusted < SIGNIFICANCE)
            has_wrong_sign = is_decided and (verdict.value > 0.0) != (verdict.truth > 0.0)
            counts = Counts(1, 1, 0, int(is_decided), int(has_wrong_sign))
            tally.setdefault(Key(found.level, found.number, ADJUSTED, *design), Counts()).add(counts)
