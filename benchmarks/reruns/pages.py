"""Pages of a study on which both sides have the same objective, and what the inference decides on them."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, numbers_shown_first
from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.contrasts import compare_all
from hf_sslgen.study.inference.differences import Difference
from hf_sslgen.study.inference.interactions import interactions
from hf_sslgen.study.inference.judgement import HIGHER, LOWER, Judgement
from hf_sslgen.study.inference.multiplicity import judge_together
from hf_sslgen.study.inference.scopes import PRETRAINING, TRAINING, WEIGHTS, scoped_intervals
from hf_sslgen.study.inference.seed_averages import target_differences
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import group_differences, headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

AGAIN, ONE_RUN, THREE_RUNS = QUESTIONS = "trained again", "pretrained again", "three runs each"
SIZE = 3
NETWORKS, DOMAIN, DOMAINS, HEADLINES = LEVELS = (
    *("two networks on one domain", "all networks on one domain", "all networks over domains"),
    "the headlines of a page",
)
SCOPES = (WEIGHTS, TRAINING, PRETRAINING)
ACCURACY = "accuracy"
Side = Sequence[tuple[str, int | None]]
"""The networks of a side: backbone, and the only training seed to take, or None for all."""


@dataclass(frozen=True)
class Page:
    """Cells of one objective, described as those of a self-supervised and of a supervised recipe."""

    question: str
    objective: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Decision:
    """Whether an interval of a page excludes zero, although the recipes are the same.

    Attributes:
        level: what the difference is averaged over; of headlines, `is_decided` says whether the page has any verdict
            among those that it claims in this scope, after the adjustment of all.
    """

    question: str
    objective: str
    level: str
    number: str
    protocol: str
    labels: str
    scope: str
    is_decided: bool


@dataclass(frozen=True)
class Spread:
    """Variances of a difference between two networks of one objective, in squared units of the number."""

    objective: str
    number: str
    protocol: str
    labels: str
    domain: str
    scope: str
    variance: float


def pages_of(cells: Sequence[Cell]) -> Iterator[Page]:
    """Divide a study into all pages on which both sides have the same objective."""
    objectives: dict[str, dict[str, set[int]]] = {}
    for cell in cells:
        seeds = objectives.setdefault(cell.objective, {}).setdefault(cell.backbone, set())
        if cell.protocol != PRETRAINED_PROTOCOL:
            seeds.add(cell.seed)
    for objective, backbones in objectives.items():
        for backbone, seeds in backbones.items():
            for first, second in itertools.combinations(sorted(seeds), 2):
                yield _page(AGAIN, objective, cells, [(backbone, first)], [(backbone, second)])
        if objective == UNTRAINED:  # whose seed decides its weights, too
            continue
        names = sorted(backbones)
        for one, other in itertools.combinations(names, 2):
            yield _page(ONE_RUN, objective, cells, [(one, None)], [(other, None)])
        for chosen in itertools.combinations(names, SIZE):
            others = [name for name in names if name not in chosen][:SIZE]
            if len(others) == SIZE and chosen[0] == min(names):  # each division once
                yield _page(
                    THREE_RUNS, objective, cells, *([(name, None) for name in side] for side in (chosen, others))
                )


def _page(question: str, objective: str, cells: Sequence[Cell], *sides: Side) -> Page:
    return Page(question, objective, tuple(_described(cells, sides)))


def _described(cells: Sequence[Cell], sides: Iterable[Side]) -> Iterator[Cell]:
    for role, side in zip(("again", "supervised"), sides, strict=True):
        for run, (backbone, seed) in enumerate(side):
            for cell in cells:
                if cell.backbone != backbone:
                    continue
                said = {"objective": role, "source": "same", "pretraining_seed": run}
                if seed is None:
                    identity = cell.identity
                elif cell.seed == seed and cell.protocol != PRETRAINED_PROTOCOL:
                    identity = {**cell.identity, "seed": 0}
                else:
                    continue
                yield replace(
                    cell,
                    identity={**identity, "backbone": f"{role}-{run}"},
                    provenance={**cell.provenance, **said},
                )


def infer_page(page: Page) -> StudyResults:
    """Infer what a report prints of a page, but for the cautions."""
    headline_metrics = headline_metrics_of(page.cells)
    differences = compare_all(page.cells)
    targets = target_differences(page.cells, differences)
    groups = group_differences(targets, headline_metrics)
    judged = judge_together(targets, groups, interactions(targets, headline_metrics), headline_metrics)
    return StudyResults(page.cells, tuple(differences), judged.targets, judged.groups, judged.interactions)


def decisions(page: Page, results: StudyResults) -> Iterator[Decision]:
    """Return what the intervals of a page decide, for the numbers that a report shows first."""

    def found(level: str, number: str, protocol: str, labels: str, judgement: Judgement) -> Iterator[Decision]:
        for each in judgement.scopes:
            if not math.isnan(each.low):
                decided = bool(each.low > 0 or each.high < 0)
                yield Decision(page.question, page.objective, level, number, protocol, labels, each.scope, decided)

    if page.question != THREE_RUNS:
        for d in results.differences:
            if is_shown(d.metric, d.transform, d.severity):
                judgement = Judgement(scoped_intervals(d.value, Interval(d.low, d.high), d.variances))
                yield from found(NETWORKS, d.metric, d.protocol, d.labels, judgement)
    for target in results.targets:
        if page.question != AGAIN and is_shown(target.metric, target.transform, target.severity):
            yield from found(DOMAIN, target.metric, target.protocol, target.labels, target.judgement)
    for group in results.groups:
        comparison = group.comparison
        if is_shown(comparison.metric, comparison.transform):
            yield from found(DOMAINS, comparison.metric, comparison.protocol, comparison.labels, group.judgement)
    judgements = [
        *(each.judgement for each in results.targets),
        *(each.judgement for each in results.groups),
        *(each.judgement for each in results.interactions),
    ]
    headlines = [each for each in judgements if each.is_headline]
    for scope in SCOPES:
        claimed = [each.verdict in (HIGHER, LOWER) for each in headlines if each.claimed.scope == scope]
        if claimed:
            yield Decision(page.question, page.objective, HEADLINES, "any", "all", "all", scope, any(claimed))


def spreads(page: Page, results: StudyResults) -> Iterator[Spread]:
    """Return what a page says of the variances: single pairs of networks of images, three runs each of the runs."""

    def found(d: Difference, scope: str, variance: float) -> Spread:
        return Spread(page.objective, d.metric, d.protocol, d.labels, d.domain, scope, variance)

    if page.question == ONE_RUN:
        for d in results.differences:
            if is_shown(d.metric, d.transform, d.severity) and not math.isnan(d.low):
                yield found(d, WEIGHTS, float((d.high - d.low) / 2 / 1.96) ** 2)
    elif page.question == THREE_RUNS:
        for target in results.targets:
            if not is_shown(target.metric, target.transform, target.severity):
                continue
            training, pretraining = target.variances.training, target.variances.pretraining
            seeds, of_training = target.num_seeds // target.num_pretraining_seeds, 0.0
            if training.degrees_of_freedom:
                of_training = (training.column - training.interaction) * target.num_seeds
                yield found(target, TRAINING, of_training)
            if pretraining.degrees_of_freedom:
                of_runs = (pretraining.column - pretraining.interaction) * target.num_pretraining_seeds
                yield found(target, PRETRAINING, of_runs - of_training / seeds)


def is_shown(metric: str, transform: str, severity: str = "") -> bool:
    """Whether a number is an accuracy or one of those that a report shows first."""
    shown = {ACCURACY: "", HEADLINE_ACCURACY: ""} | numbers_shown_first()
    return not severity and shown.get(metric) == transform
