"""Cells in memory, of backbones whose images are classified correctly as drawn."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.shares import credit_interval
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.held_records import RecordsInMemory


def simulated_cell(correct: np.ndarray, backbone: str, domain: str = "digits", **said: Any) -> Cell:
    """A linear probe that classifies these images correctly, (N,); `said` adds to identity and provenance."""
    records = pd.DataFrame(
        {
            "sample_id": np.arange(len(correct)),
            "stage": "pretrained",
            "transform": "",
            "severity": "",
            "reference": np.arange(len(correct)) % 4,
            "correct": correct.astype(float),
        }
    )
    identity = {"backbone": backbone, "domain": domain, "protocol": "linear", "labels": "100%", "seed": 0}
    provenance = {"objective": "simclr", "group": "different", "seconds": 1.0, "not_label_preserving": []}
    identity |= {key: value for key, value in said.items() if key in identity}
    provenance |= {key: value for key, value in said.items() if key not in identity}
    interval = credit_interval(correct)
    numbers = [Number("accuracy", float(correct.mean()), interval.low, interval.high, len(correct), "pretrained")]
    if "brier_score" in provenance:
        numbers.append(Number("brier_score", provenance.pop("brier_score"), n=len(correct), stage="pretrained"))
    return Cell(Path("none"), identity, provenance, tuple(numbers), reader=RecordsInMemory(records))


def equal_backbones(
    generator: np.random.Generator,
    count: int,
    images: int,
    domains: int = 1,
    seeds: int = 1,
    seed_deviation: float = 0.0,
    levels: Sequence[float] | None = None,
) -> list[Cell]:
    """Backbones whose latent scores are alike, or differ by `levels`: about 80% of images are right.

    Args:
        seed_deviation: standard deviation of a training's latent score.
    """
    cells = []
    for domain in range(domains):
        difficulty = generator.normal(0.85, 0.7, images)
        for index in range(count):
            of_backbone = difficulty + generator.normal(0, 0.5, images) + (levels[index] if levels else 0.0)
            for seed in range(seeds):
                score = of_backbone + generator.normal(0, 0.5, images) + generator.normal(0, seed_deviation)
                cells.append(simulated_cell(score > 0, f"backbone-{index}", f"domain-{domain}", seed=seed))
    return cells
