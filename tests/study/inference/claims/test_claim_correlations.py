"""Correlations over backbones: which count, in which settings, and what is planted is found."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.rank_correlation import mean_rank_correlation
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.claims.claim_evidence import Evidence
from hf_sslgen.study.inference.claims.claim_lines import CONTRADICTED, NOT_TESTABLE, SUPPORTED, UNDECIDED, ClaimLine
from hf_sslgen.study.inference.claims.claim_verdicts import judge_claims
from hf_sslgen.study.published_claims import stated_claims

DOMAINS = [f"domain-{index}" for index in range(4)]
BACKBONES = [f"backbone-{index:02}" for index in range(10)]

Value = Callable[[int, int], float]
"""A number by domain and backbone."""


def cells(protocol: str, metric: str, value: Value, labels: str = "100%", **fields: Any) -> list[Cell]:
    """A cell with one number per domain and backbone; `fields` change the number, or `identity` and `provenance` for
    all of them."""
    identity = {"protocol": protocol, "labels": labels, "seed": 0} | fields.pop("identity", {})
    provenance = fields.pop("provenance", {})
    found = []
    for t, domain in enumerate(DOMAINS):
        for k, backbone in enumerate(BACKBONES):
            number = Number(metric, value(t, k), n=100, **fields)
            own = {"backbone": backbone, "domain": domain} | identity
            about = {"objective": f"objective-{k}", "group": "similar", "domain_metric": "accuracy"} | provenance
            found.append(Cell(Path(backbone), own, about, (number,)))
    return found


def lines(found: list[Cell], claim: str) -> tuple[ClaimLine, ...]:
    return judge_claims(stated_claims([claim], "claims"), Evidence(found, (), (), (), {}))


ACCURACIES = np.random.default_rng(0).normal(size=(4, 10)) * 0.1 + np.linspace(0.3, 0.9, 10)
UNRELATED = np.random.default_rng(1).permutation(10)


def invariances(value: Value, **fields: Any) -> list[Cell]:
    return cells("pretrained", "invariance", value, transform="mean", **fields)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (lambda t, k: k / 10, SUPPORTED),
        (lambda t, k: -k / 10, CONTRADICTED),
        (lambda t, k: float(UNRELATED[k]), UNDECIDED),
    ],
)
def test_invariance_and_accuracy(value: Value, verdict: str) -> None:
    found = invariances(value) + cells("linear", "accuracy", lambda t, k: float(ACCURACIES[t, k]))
    (line,) = lines(found, "invariance-explains")
    assert (line.protocol, line.with_protocol, line.with_labels) == ("pretrained", "linear", "100%")
    assert line.verdict == verdict and line.scope == "backbones"
    (part,) = line.parts
    expected = mean_rank_correlation([[value(t, k) for k in range(10)] for t in range(4)], ACCURACIES)
    assert (part.value, part.num_backbones, part.domains) == (expected.value, 10, tuple(DOMAINS))
    assert part.within("backbones").p_value == expected.p_value
    by_hand = [stats.spearmanr([value(t, k) for k in range(10)], ACCURACIES[t]).statistic for t in range(4)]
    assert part.value == pytest.approx(np.mean(by_hand))


def test_copies_of_the_same_weights_count_once() -> None:
    found = invariances(lambda t, k: k / 10) + cells("linear", "accuracy", lambda t, k: float(ACCURACIES[t, k]))
    copied = [
        replace(cell, provenance={**cell.provenance, "weights": "one"}) if cell.backbone in BACKBONES[:2] else cell
        for cell in found
    ]
    ((part,),) = (line.parts for line in lines(copied, "invariance-explains"))
    assert part.num_backbones == 9
    once = np.column_stack([ACCURACIES[:, :2].mean(axis=1), ACCURACIES[:, 2:]])
    expected = mean_rank_correlation([[0.05, *(k / 10 for k in range(2, 10))]] * 4, once)
    assert part.value == pytest.approx(expected.value)


def accuracies(
    protocol: str, noise: float, labels: str = "100%", stage: str = "pretrained", seed: int = 2
) -> list[Cell]:
    drawn = ACCURACIES + noise * np.random.default_rng(seed).normal(size=(4, 10))
    return cells(protocol, "accuracy", lambda t, k: float(drawn[t, k]), labels, stage=stage)


def test_proxies_are_frozen_protocols_and_a_tenth_of_the_labels() -> None:
    found = [
        *accuracies("linear", 0.05),
        *accuracies("linear", 0.05, "10%"),
        *accuracies("knn", 0.1),
        *accuracies("finetune", 0.0, stage="fine-tuned"),
        *accuracies("finetune", 0.03, "10%", "fine-tuned"),
        *accuracies("finetune", 0.03, "1%", "fine-tuned"),
    ]
    tested = lines(found, "in-domain-predicts")
    places = [(line.protocol, line.labels, line.with_protocol, line.with_labels) for line in tested]
    with_tuning = ("finetune", "100%")
    assert places == [
        ("linear", "100%", *with_tuning),
        ("knn", "100%", *with_tuning),
        ("finetune", "10%", *with_tuning),
    ]
    assert {line.verdict for line in tested} == {SUPPORTED}
    (none,) = lines(accuracies("linear", 0.05), "in-domain-predicts")
    assert none.verdict == NOT_TESTABLE and none.reason.startswith("needs at least eight backbones, three domains")


def test_training_seeds_and_pretraining_runs_count_once() -> None:
    """Ten cells are two objectives of five pretraining runs each, and every one was trained with two seeds."""
    found = []
    for seed in (0, 1):
        for cell in accuracies("linear", 0.05, seed=seed) + accuracies("finetune", 0.0, stage="fine-tuned"):
            index = BACKBONES.index(cell.backbone)
            about = {"objective": ("simclr", "supervised")[index % 2], "pretraining_seed": index, "source": "in1k"}
            found.append(Cell(cell.folder, cell.identity | {"seed": seed}, cell.provenance | about, cell.numbers))
    (line,) = lines(found, "in-domain-predicts")
    assert line.parts[0].num_backbones == 2 and line.reason == "2 backbones; 8 are needed"
    without_seed = [Cell(c.folder, c.identity, c.provenance | {"pretraining_seed": None}, c.numbers) for c in found]
    (line,) = lines(without_seed, "in-domain-predicts")
    assert line.parts[0].num_backbones == 10 and line.verdict == SUPPORTED


def test_who_is_left_out() -> None:
    found = invariances(lambda t, k: k / 10) + accuracies("linear", 0.0)
    for cell in found:
        if cell.backbone == BACKBONES[0]:
            cell.provenance["objective"] = "untrained"
    collapsed = next(cell for cell in found if cell.backbone == BACKBONES[1] and cell.protocol == "pretrained")
    found[found.index(collapsed)] = Cell(
        collapsed.folder, collapsed.identity, collapsed.provenance, (*collapsed.numbers, Number("collapsed", 1.0))
    )
    missing = next(cell for cell in found if cell.backbone == BACKBONES[2] and cell.protocol == "linear")
    found.remove(missing)
    (line,) = lines(found, "invariance-explains")
    assert line.parts[0].num_backbones == 7 and line.reason == "7 backbones; 8 are needed"
