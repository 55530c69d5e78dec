"""Tests of claims about the difference between a self-supervised and a supervised backbone.

There is a line per contrast and protocol, at its largest label budget. A confounded contrast tests no claim about
objectives, and its line says so.

- `difference`: the difference has the stated direction in each group of domains, in each number of the claim. A group
  of fewer than `MIN_DOMAINS` domains counts by domain, and the verdict then applies to these domains only.
- `interaction`: the difference on different domains minus that on similar ones has the stated direction.
- `slope`: so has the least-squares slope of the difference against the binary logarithm of the label budget, per
  domain; over domains Student's t, widened by pretraining runs, as for any difference over domains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics import target_mean
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.metrics.run_variance import crossed_variance
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.claims.claim_evidence import Evidence, budget_of, concerns, has_collapsed
from hf_sslgen.study.inference.claims.claim_lines import ClaimLine, ClaimPart, judged
from hf_sslgen.study.inference.interactions import Interaction
from hf_sslgen.study.inference.scopes import UNKNOWN, scoped_domain_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference, grouped
from hf_sslgen.study.inference.target_groups import (
    MIN_DOMAINS,
    Comparison,
    GroupDifference,
    if_enough_domains,
    over_targets,
    too_few_domains,
    unshared_runs,
)
from hf_sslgen.study.published_claims import Claim

ORDER = {"similar": 0, "different": 1}
"""Of the groups of domains; others follow."""

MIN_BUDGETS = 3
"""Minimum number of label budgets; with fewer, a slope could be due to a single one."""

Number = TypeVar("Number", GroupDifference, Interaction)
Contrast = tuple[str, str, str, str]
"""First, second, source, protocol."""


def difference_lines(claim: Claim, evidence: Evidence) -> list[ClaimLine]:
    """Test the differences of each contrast in each group of domains."""
    lines = []
    for (contrast, labels), groups in _at_largest_budget(claim, evidence.groups).items():
        line = ClaimLine(claim, *contrast, labels)
        measured = {g.comparison.metric for g in groups}
        if confounded := groups[0].comparison.confounded_by:
            lines.append(replace(line, reason=_not_twins(confounded)))
        elif missing := [METRICS[number].words.phrase for number in claim.numbers if number not in measured]:
            lines.append(replace(line, reason=f"{' and '.join(missing)} not measured under this protocol"))
        elif "invariance" in claim.numbers and (collapsed := _collapsed(evidence.cells, groups)):
            lines.append(replace(line, reason=collapsed))
        else:
            ordered = sorted(groups, key=lambda g: ORDER.get(g.group, len(ORDER)))
            parts = tuple(part for g in ordered for part in _parts(claim, g))
            lines.append(judged(replace(line, parts=parts)))
    return lines


def interaction_lines(claim: Claim, evidence: Evidence) -> list[ClaimLine]:
    """Test the difference of each contrast between different and similar domains."""
    lines = []
    for (contrast, labels), (found, *_) in _at_largest_budget(claim, evidence.interactions).items():
        if confounded := found.comparison.confounded_by:
            lines.append(ClaimLine(claim, *contrast, labels, reason=_not_twins(confounded)))
            continue
        members = [
            d.domain
            for g in evidence.groups
            if g.comparison == found.comparison and g.group in ("similar", "different")
            for d in g.members
        ]
        expected = claim.numbers[found.comparison.metric]
        part = ClaimPart(found.comparison.metric, expected, "", tuple(members), found.value, found.judgement.scopes)
        lines.append(judged(replace(ClaimLine(claim, *contrast, labels), parts=(part,))))
    return lines


def slope_lines(claim: Claim, evidence: Evidence) -> list[ClaimLine]:
    """Test how the difference of each contrast changes with the label budget."""
    chosen = [d for d in over_targets(evidence.targets, evidence.headline_metrics) if concerns(claim, d)]
    lines = []
    for (contrast, metric), members in grouped(chosen, [(_contrast(d), d.metric) for d in chosen]).items():
        line = ClaimLine(claim, *contrast)
        if confounded := members[0].confounded_by:
            lines.append(replace(line, reason=_not_twins(confounded)))
            continue
        domains = {
            domain: budgets
            for domain, of_domain in grouped(members, [d.domain for d in members]).items()
            if len(budgets := _budgets(of_domain)) >= MIN_BUDGETS
        }
        if not domains:
            most = max(len(_budgets([d for d in members if d.domain == each.domain])) for each in members)
            found = "1 label budget" if most == 1 else f"{most} label budgets"
            lines.append(replace(line, reason=f"{found}; {MIN_BUDGETS} are needed"))
        else:
            part = _slope_part(metric, claim.numbers[metric], domains)
            labels = ", ".join(dict.fromkeys(d.labels for budgets in domains.values() for d in budgets))
            lines.append(judged(replace(line, labels=labels, parts=(part,))))
    return lines


def _not_twins(confounded_by: str) -> str:
    return f"the two also differ in {confounded_by}"


def _at_largest_budget(claim: Claim, numbers: Sequence[Number]) -> dict[tuple[Contrast, str], list[Number]]:
    """Return the numbers that a claim concerns by contrast, each contrast with its largest label budget."""
    chosen = [number for number in numbers if concerns(claim, number.comparison)]
    found = {}
    for contrast, members in grouped(chosen, [_contrast(each.comparison) for each in chosen]).items():
        largest = max((each.comparison.labels for each in members), key=budget_of)
        found[contrast, largest] = [each for each in members if each.comparison.labels == largest]
    return found


def _contrast(number: Comparison | TargetDifference) -> Contrast:
    return number.first, number.second, number.source, number.protocol


def _parts(claim: Claim, g: GroupDifference) -> list[ClaimPart]:
    """Return the part of a group over its domains or, if they are too few, a part per domain."""
    metric, expected = g.comparison.metric, claim.numbers[g.comparison.metric]
    if g.n >= MIN_DOMAINS:
        return [ClaimPart(metric, expected, g.group, g.domains, g.value, g.judgement.scopes)]
    return [ClaimPart(metric, expected, g.group, (d.domain,), d.value, d.judgement.scopes) for d in g.members]


def _collapsed(cells: Sequence[Cell], groups: Sequence[GroupDifference]) -> str:
    """Name an encoder of these contrasts that has collapsed on one of their domains."""
    comparison, domains = groups[0].comparison, {domain for g in groups for domain in g.domains}
    for cell in cells:
        is_compared = {cell.backbone, cell.objective} & {comparison.first, comparison.second}
        if is_compared and cell.domain in domains and cell.source == comparison.source and has_collapsed(cell):
            return f"the encoder of {cell.backbone} has collapsed on {cell.domain}"
    return ""


def _budgets(of_domain: Sequence[TargetDifference]) -> list[TargetDifference]:
    """Return the differences of one domain by rising label budget: in shares of its labels or, if there are more of
    these, in images per class, which can't be put on one scale without the sizes of its classes."""
    kinds = grouped(of_domain, [budget_of(d.labels)[0] for d in of_domain])
    most = max(kinds, key=lambda kind: (len(kinds[kind]), kind))
    return sorted(kinds[most], key=lambda d: budget_of(d.labels))


def _slope_part(metric: str, expected: str, domains: Mapping[str, Sequence[TargetDifference]]) -> ClaimPart:
    slopes, by_run = [], []
    for budgets in domains.values():
        x = np.log2([budget_of(d.labels)[1] for d in budgets])
        slopes.append(_slope(x, [d.value for d in budgets]))
        runs = sorted(set.intersection(*(set(d.run_values) for d in budgets)))
        by_run.append({run: _slope(x, [d.run_values[run] for d in budgets]) for run in runs})
    mean, pretraining = target_mean(slopes), UNKNOWN
    runs, unshared = list(by_run[0]), unshared_runs(by_run)
    if len(slopes) > 1 and runs and not unshared:
        pretraining = crossed_variance([[each[run] for run in runs] for each in by_run])
    scopes = scoped_domain_intervals(
        mean.value, if_enough_domains(mean, mean.n), pretraining, mean.n - 1, too_few_domains(mean.n), unshared
    )
    return ClaimPart(metric, expected, "", tuple(domains), mean.value, scopes)


def _slope(x: NDArray[np.float64], values: Sequence[float]) -> float:
    """Return the least-squares slope; exactly zero for equal values."""
    centred = x - x.mean()
    return float(centred @ (np.array(values) - values[0]) / np.square(centred).sum())
