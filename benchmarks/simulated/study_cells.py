"""Simulated studies as cells with per-image records, for the whole chain from records to a page's verdicts."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.metrics.target_inference import holm
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.held_records import RecordsInMemory
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.study_results import StudyResults, infer
from simulated.networks import ACCURACY, BRIER, GINI, NUMBERS, Domain, Study
from simulated.study_verdicts import (
    DOMAIN,
    INTERACTION,
    Found,
    on_domain,
    over_all_domains,
    values_of,
)

OBJECTIVES = ("simclr", "supervised")
SOURCE = "imagenet"


def cells_of(study: Study, runs: int, seeds: int, domains: int, images: int) -> list[Cell]:
    """The cells of both sides, from the first runs, seeds, domains and images."""
    return [
        _cell(domain, domain_name(index), side, run, seed, images)
        for index, domain in enumerate(study.domains[:domains])
        for side in range(len(OBJECTIVES))
        for run in range(runs)
        for seed in range(seeds)
    ]


def domain_name(index: int) -> str:
    return f"domain-{index:02d}"


def _cell(domain: Domain, name: str, side: int, run: int, seed: int, images: int) -> Cell:
    values = {number: found[side, run, seed, :images].astype(np.float64) for number, found in domain.sides.items()}
    records = pd.DataFrame(
        {
            "sample_id": [f"{index:05d}" for index in range(images)],
            "stage": "finetuned",
            "transform": "",
            "severity": "",
            "correct": values[ACCURACY],
            "reference": np.arange(images) % 2,
            "brier_score": values[BRIER],
            "gini": values[GINI],
        }
    )
    objective = OBJECTIVES[side]
    identity: dict[str, Any] = {
        "backbone": f"{objective}-{run}",
        "domain": name,
        "protocol": "finetune",
        "seed": seed,
    }
    provenance: dict[str, Any] = {
        "objective": objective,
        "group": domain.kind,
        "source": SOURCE,
        "pretraining_seed": run,
        "domain_metric": "accuracy",
        "class_names": ["one", "other"],
        "not_label_preserving": [],
        "parameters": 1,
        "licence": None,
        "seconds": 0.0,
    }
    return Cell(Path(f"{name}-{objective}-{run}-{seed}"), identity, provenance, (), RecordsInMemory(records))


def require_same_verdicts(study: Study, runs: int, seeds: int, domains: int, images: int) -> int:
    """Compare the verdicts of the whole chain with those of `simulated.study_verdicts` on the same values.

    Returns:
        How many differences were compared: on each domain, over those of each kind, and between the kinds.

    Raises:
        RuntimeError: two of them differ.
    """
    results = infer(cells_of(study, runs, seeds, domains, images))
    expected: dict[tuple[str, str, str], tuple[Found, Judgement]] = {}
    for number in NUMBERS:
        for index, domain in enumerate(study.domains[:domains]):
            of_domain = next(d for d in results.targets if (d.metric, d.domain) == (number, domain_name(index)))
            expected[DOMAIN, number, of_domain.domain] = (
                on_domain(domain, number, runs, seeds, images),
                of_domain.judgement,
            )
        values = values_of(study, number, images)[:domains, :runs, :seeds]
        for found in over_all_domains(study, number, values):
            expected[found.level, number, found.kind] = found, _judged(results, found)
    for key, (found, judgement) in expected.items():
        for scoped, theirs in zip(found.scopes, judgement.scopes, strict=True):
            mine = (*scoped.interval, scoped.p_value())
            if not np.allclose(mine, (theirs.low, theirs.high, theirs.p_value), rtol=1e-6, atol=1e-9, equal_nan=True):
                raise RuntimeError(f"the chain gives {theirs} for {key}, and the simulation {mine}")
    headlines = [(f.claimed.p_value(), j) for (level, *_), (f, j) in expected.items() if level != DOMAIN]
    for adjusted, (_, judgement) in zip(holm([p for p, _ in headlines]), headlines, strict=True):
        if not np.isclose(adjusted, judgement.adjusted_p_value, rtol=1e-6):
            raise RuntimeError(f"the chain adjusts {judgement}, and the simulation its p-value to {adjusted}")
    return len(expected)


def _judged(results: StudyResults, found: Found) -> Judgement:
    """What the chain says of a difference over domains."""
    metric = HEADLINE_ACCURACY if found.number == ACCURACY else found.number
    if found.level == INTERACTION:
        return next(each.judgement for each in results.interactions if each.comparison.metric == metric)
    groups = (each for each in results.groups if each.group == found.kind)
    return next(each.judgement for each in groups if each.comparison.metric == metric)
