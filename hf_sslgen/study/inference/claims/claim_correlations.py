"""Tests of claims that two numbers rank backbones alike.

There is a line per pair of settings in which the two numbers are measured: Spearman's correlation over backbones
within each domain, averaged over domains, with an interval for other backbones and domains
(`hf_sslgen.metrics.rank_correlation`). Each backbone counts once: training seeds are averaged, and so are pretraining
runs of one objective and copies of the same weights, because they are not other backbones. Left out are the untrained
control, encoders whose invariance is meaningless because they have collapsed, and backbones that lack either number on
one of the domains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, find_metric
from hf_sslgen.metrics.rank_correlation import mean_rank_correlation
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.claims.claim_evidence import Evidence, budget_of, has_collapsed
from hf_sslgen.study.inference.claims.claim_lines import BACKBONES, ClaimLine, ClaimPart, judged
from hf_sslgen.study.inference.scopes import ScopedInterval
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.published_claims import Claim
from hf_sslgen.zoo.backbone_registry import UNTRAINED

TENTH = "10%"

Setting = tuple[str, str]
"""Protocol and label budget."""

Values = Mapping[tuple[str, str], float]
"""A number by domain and backbone."""


def correlation_lines(claim: Claim, evidence: Evidence) -> list[ClaimLine]:
    """Test whether backbones rank alike by the claim's number and the one that it goes with."""
    ((metric, expected),) = claim.numbers.items()
    counted = _counted(evidence.cells, without_collapsed=bool(_transform(metric)))
    cells = [cell for cell in evidence.cells if cell.backbone in counted]
    lines = []
    for setting, with_setting in _pairs_of_settings(claim, metric, cells):
        a = _values(cells, counted, metric, setting)
        b = _values(cells, counted, claim.with_number or metric, with_setting)
        if a and b:
            place = setting if setting == with_setting else (*setting, *with_setting)
            part = _part(metric, expected, a, b)
            lines.append(judged(replace(ClaimLine(claim, "", "", "", *place), parts=(part,))))
    return lines


def _counted(cells: Sequence[Cell], without_collapsed: bool) -> dict[str, str]:
    """Return the trained backbones, each with the one as which it counts.

    That is the first pretraining run of its kind, or the first with the same weights.
    """
    left_out = {cell.backbone for cell in cells if without_collapsed and has_collapsed(cell)}
    trained = [cell for cell in cells if cell.objective != UNTRAINED and cell.backbone not in left_out]
    kinds = grouped(trained, [(cell.objective, cell.source, cell.provenance.get("parameters")) for cell in trained])
    copies = grouped([cell.backbone for cell in trained], [cell.weights for cell in trained])
    counted = {backbone: backbones[0] for backbones in copies.values() for backbone in backbones}
    for members in kinds.values():
        seeds = {cell.backbone: cell.pretraining_seed for cell in members}
        are_runs = None not in seeds.values() and len(set(seeds.values())) == len(seeds)
        counted |= {backbone: members[0].backbone for backbone in seeds if are_runs}
    return counted


def _pairs_of_settings(claim: Claim, metric: str, cells: Sequence[Cell]) -> list[tuple[Setting, Setting]]:
    """Return the settings of the first number, each with that of the second.

    An invariance is that of the published encoder. A number of fine-tuned backbones goes with those of every frozen
    protocol, and of the same fine-tuning with a tenth of the labels. Otherwise both numbers are of one setting.
    """
    stages = {
        (cell.protocol, cell.labels): number.stage
        for cell in cells
        if cell.protocol != PRETRAINED_PROTOCOL and (number := _number(cell, HEADLINE_ACCURACY)) is not None
    }
    budgets = grouped([labels for _, labels in stages], [protocol for protocol, _ in stages])
    largest = [(protocol, max(labels, key=budget_of)) for protocol, labels in budgets.items()]
    if _transform(metric):
        return [((PRETRAINED_PROTOCOL, ALL_LABELS), setting) for setting in largest]
    if claim.with_adaptation is None:
        return [(setting, setting) for setting in largest]
    frozen = [setting for setting in largest if stages[setting] != FINE_TUNED_STAGE]
    pairs = []
    for protocol, labels in largest:
        if stages[protocol, labels] == FINE_TUNED_STAGE and labels == ALL_LABELS:
            proxies = [*frozen, *([(protocol, TENTH)] if (protocol, TENTH) in stages else [])]
            pairs += [(proxy, (protocol, labels)) for proxy in proxies]
    return pairs


def _values(cells: Sequence[Cell], counted: Mapping[str, str], metric: str, setting: Setting) -> Values:
    """Return a number by domain and backbone, averaged over training seeds and then over pretraining runs."""
    found = [
        (cell, number.value)
        for cell in cells
        if (cell.protocol, cell.labels) == setting
        and (number := _number(cell, metric)) is not None
        and not np.isnan(number.value)
    ]
    of_backbones = grouped([value for _, value in found], [(cell.domain, cell.backbone) for cell, _ in found])
    means = [float(np.mean(values)) for values in of_backbones.values()]
    of_counted = grouped(means, [(domain, counted[backbone]) for domain, backbone in of_backbones])
    return {key: float(np.mean(values)) for key, values in of_counted.items()}


def _number(cell: Cell, metric: str) -> Number | None:
    """Return a number of a cell; its headline accuracy is plain accuracy where the protocol has no other kind."""
    if metric == HEADLINE_ACCURACY:
        return cell.number(cell.headline_metric) or cell.number("accuracy")
    return cell.number(metric, _transform(metric))


def _transform(metric: str) -> str:
    row = find_metric(metric)
    return row.transform if row is not None else ""


def _part(metric: str, expected: str, a: Values, b: Values) -> ClaimPart:
    """Correlate two numbers over the backbones that have both on all of their common domains."""
    both = [key for key in a if key in b]
    domains = tuple(dict.fromkeys(domain for domain, _ in both))
    measured = grouped([domain for domain, _ in both], [backbone for _, backbone in both])
    backbones = [backbone for backbone, of_backbone in measured.items() if len(of_backbone) == len(domains)]
    if len(backbones) < 2:
        scoped = ScopedInterval(BACKBONES, np.nan, np.nan, np.nan, np.nan, f"{len(backbones)} backbones")
        return ClaimPart(metric, expected, "", domains, np.nan, (scoped,), len(backbones))
    found = mean_rank_correlation(
        *([[values[domain, backbone] for backbone in backbones] for domain in domains] for values in (a, b))
    )
    scoped = ScopedInterval(BACKBONES, found.low, found.high, found.p_value, np.nan, found.reason)
    return ClaimPart(metric, expected, "", domains, found.value, (scoped,), found.num_backbones)
