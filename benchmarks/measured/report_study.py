"""Studies of cells whose records are drawn at random, at the sizes of real ones, for measuring reports."""

import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.metrics import expected_calibration_error, invariance_values
from hf_sslgen.metrics.catalogue.rows import CLEAN, compared_on
from hf_sslgen.metrics.intervals import skewed_mean_interval
from hf_sslgen.metrics.shares import per_class_values
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, cell_folder, write_cell

OBJECTIVES = ("supervised", "simclr", "dino")
RUNS, SEEDS = 3, 3
SETTINGS = (("linear", "100%"), ("linear", "10%"), ("finetune", "100%"))
BACKBONES = (*((objective, run) for objective in OBJECTIVES for run in range(RUNS)), ("untrained", None))
CELLS_OF_DOMAIN = len(BACKBONES) * (1 + SEEDS * len(SETTINGS))
TRANSFORMS = (
    *(("rotation", "20"), ("translation", "right 0.1"), ("resized_crop", "0.5"), ("horizontal_flip", "")),
    *(("brightness", "1.4"), ("contrast", "0.7"), ("gaussian_blur", "1"), ("jpeg", "30")),
)
CLASSES = 5
MAX_ANALYSED = 1000
"""Images with attribution and transforms, as in real cells."""

EXAMPLES, SIDE, GRID = 6, 64, 7


@dataclass(frozen=True)
class Planned:
    """A cell to be drawn."""

    domain: int
    objective: str
    run: int | None
    protocol: str
    labels: str
    seed: int

    @property
    def backbone(self) -> str:
        return self.objective if self.run is None else f"{self.objective}-{self.run}"

    @property
    def stage(self) -> str:
        return "fine-tuned" if self.protocol == "finetune" else "pretrained"

    def generator(self, *names: object) -> np.random.Generator:
        return np.random.default_rng(zlib.crc32("/".join(map(str, (self, *names))).encode()))


def planned_cells(count: int) -> list[Planned]:
    """The first cells of a study, all those of a domain together; a domain has `CELLS_OF_DOMAIN`."""
    domains = range(-(-count // CELLS_OF_DOMAIN))
    return list(itertools.islice((cell for domain in domains for cell in _of_domain(domain)), count))


def _of_domain(domain: int) -> Iterator[Planned]:
    for objective, run in BACKBONES:
        yield Planned(domain, objective, run, PRETRAINED_PROTOCOL, "100%", 0)
        for (protocol, labels), seed in itertools.product(SETTINGS, range(SEEDS)):
            yield Planned(domain, objective, run, protocol, labels, seed)


def write_cells(study: Path, cells: list[Planned], images: int) -> None:
    """Write cells of so many test images each into a study's folder."""
    for cell in cells:
        identity = {
            "backbone": cell.backbone,
            "domain": f"domain-{cell.domain:02d}",
            "protocol": cell.protocol,
            "labels": cell.labels,
            "seed": cell.seed,
            "images": images,
        }
        folder = cell_folder(study / "cells", identity)
        if not folder.exists():
            write_cell(folder, identity, _provenance(cell), _analysis(cell, images))


def _provenance(cell: Planned) -> dict[str, Any]:
    return {
        "objective": cell.objective,
        "group": "similar" if cell.domain % 2 else "different",
        "source": "drawn" if cell.run is not None else None,
        "pretraining_seed": cell.run,
        "parameters": 11_000_000,
        "licence": "apache-2.0",
        "seconds": 10.0,
        "domain_metric": "accuracy",
        "class_names": [f"class {index}" for index in range(CLASSES)],
        "not_label_preserving": [],
    }


def _analysis(cell: Planned, images: int) -> Analysis:
    analysed = min(images, MAX_ANALYSED)
    parts: list[pd.DataFrame] = []
    numbers: list[Number] = []
    if cell.protocol != PRETRAINED_PROTOCOL:
        clean = _clean(cell, images, analysed)
        parts.append(clean)
        numbers += _clean_numbers(cell, clean)
    if cell.protocol in (PRETRAINED_PROTOCOL, "finetune"):
        variants = [_transformed(cell, index, analysed) for index in range(len(TRANSFORMS))]
        parts += variants
        numbers += _transform_numbers(cell, variants)
    examples = None if cell.protocol == PRETRAINED_PROTOCOL else _examples(cell, images)
    return Analysis(tuple(numbers), pd.concat(parts, ignore_index=True), examples)


def _references(cell: Planned, images: int) -> np.ndarray:
    return np.random.default_rng(cell.domain).integers(0, CLASSES, images)


def _rows(cell: Planned, count: int, images: int, transform: str = "", severity: str = "") -> dict[str, Any]:
    return {
        "sample_id": np.arange(count),
        "stage": cell.stage,
        "transform": transform,
        "severity": severity,
        "reference": _references(cell, images)[:count],
    }


def _clean(cell: Planned, images: int, analysed: int) -> pd.DataFrame:
    own = cell.generator("clean")
    difficulty = np.random.default_rng([cell.domain, 1]).normal(0, 1, images)
    level = 0.4 if cell.objective == "untrained" else 1.3 + 0.2 * OBJECTIVES.index(cell.objective)
    score = level - difficulty + own.normal(0, 0.5, images)
    rows = _rows(cell, images, images)
    correct = score > 0
    confidence = np.clip(1 / (1 + np.exp(-np.abs(score) - own.normal(0, 0.2, images))), 0.21, 0.999)
    others = (1 - confidence) / (CLASSES - 1)
    wrong = confidence**2 + (1 - others) ** 2 + (CLASSES - 2) * others**2
    maps = {
        "gini": np.clip(own.normal(0.5, 0.1, images), 0.05, 0.95),
        "spatial_spread": np.clip(own.normal(0.8, 0.1, images), 0.05, 1.2),
        "effective_area": np.clip(own.normal(0.7, 0.1, images), 0.05, 1),
        "entropy": own.normal(3.5, 0.2, images),
        "zero_map": np.zeros(images),
    }
    unseen = np.arange(images) >= analysed
    return pd.DataFrame(
        {
            **rows,
            "prediction": np.where(correct, rows["reference"], (rows["reference"] + 1) % CLASSES),
            "correct": correct,
            "confidence": confidence,
            "negative_log_likelihood": -np.log(np.where(correct, confidence, others)),
            "brier_score": np.where(correct, 1.25 * (1 - confidence) ** 2, wrong),
            "top_5_credit": np.nan,
            "confidence_after_temperature": confidence**1.2,
            **{name: np.where(unseen, np.nan, values) for name, values in maps.items()},
        }
    )


def _clean_numbers(cell: Planned, clean: pd.DataFrame) -> list[Number]:
    found = []
    for metric, _ in compared_on(CLEAN):
        if not set(metric.compared_columns) <= set(clean.columns):
            continue
        values = metric.values(clean).astype(float)
        if metric.name == "mean_per_class_accuracy":
            values = per_class_values(values, clean["reference"].to_numpy())
        found.append(_number(metric.name, values, cell.stage))
    error = expected_calibration_error(clean["confidence"], clean["correct"])
    return [
        *found,
        Number("temperature", 1.2, n=100, stage=cell.stage),
        Number("expected_calibration_error", error.expected_calibration_error, n=len(clean), stage=cell.stage),
        Number("ece_if_calibrated", error.ece_if_calibrated, n=len(clean), stage=cell.stage),
    ]


def _transformed(cell: Planned, index: int, count: int) -> pd.DataFrame:
    own = cell.generator(index)
    chance = np.clip(own.normal(0.4, 0.03, count), 0, 0.9)
    kept = 0.75 - 0.04 * index + own.normal(0, 0.1, count)
    return pd.DataFrame(
        {
            **_rows(cell, count, count, *TRANSFORMS[index]),
            "cosine": np.minimum(1, chance + kept * (1 - chance)),
            "chance_cosine": chance,
            "candidate_chance_cosine": chance,
            "relative_distance": own.uniform(0, 1, count),
            "recall_at_1": (own.random(count) < 0.8).astype(float),
            "rank_auc": own.uniform(0.9, 1, count),
        }
    )


def _transform_numbers(cell: Planned, variants: list[pd.DataFrame]) -> list[Number]:
    found: list[Number] = []
    means: list[Number] = []
    for (transform, severity), rows in zip(TRANSFORMS, variants, strict=True):
        within = rows["reference"] if cell.protocol == "finetune" else None
        values = {
            "invariance": invariance_values(
                rows["cosine"], rows["chance_cosine"], rows["candidate_chance_cosine"], within
            ),
            "cosine": rows["cosine"].to_numpy(),
            "recall_at_1": rows["recall_at_1"].to_numpy(),
            "rank_auc": rows["rank_auc"].to_numpy(),
        }
        found += [_number(name, of_name, cell.stage, transform, severity) for name, of_name in values.items()]
    for family, metric in itertools.product(FAMILIES, ("invariance", "recall_at_1")):
        members = [n for n in found if n.metric == metric and family in families_of(n.transform, n.n, ())]
        value, low, high = np.mean([(n.value, n.low, n.high) for n in members], axis=0)
        means.append(Number(metric, float(value), float(low), float(high), members[0].n, cell.stage, family))
    guards = {"covariance_effective_rank": 60.0, "rankme": 90.0, "collapsed": 0.0, "dead_dimension_share": 0.01}
    return [
        *found,
        *means,
        *(Number(name, value, n=len(variants[0]), stage=cell.stage) for name, value in guards.items()),
    ]


def _number(name: str, values: np.ndarray, stage: str, transform: str = "", severity: str = "") -> Number:
    defined = values[~np.isnan(values)]
    low, high = skewed_mean_interval(defined)
    undefined = len(values) - len(defined)
    return Number(name, float(defined.mean()), low, high, len(defined), stage, transform, severity, undefined)


def _examples(cell: Planned, images: int) -> dict[str, np.ndarray]:
    shared, own = np.random.default_rng([cell.domain, 2]), cell.generator("maps")
    coarse = shared.integers(0, 255, (EXAMPLES, 8, 8, 3), dtype=np.uint8)
    return {
        "images": coarse.repeat(SIDE // 8, axis=1).repeat(SIDE // 8, axis=2),
        "maps": own.normal(0.2, 1, (EXAMPLES, GRID, GRID)).astype(np.float32),
        "sample_ids": np.arange(EXAMPLES),
    }
