"""Computing the cells of a comparison: a backbone on a domain, in its pretrained stage and under each protocol."""

import logging
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.subset import AnalysisSettings
from hf_sslgen.domains.loading import Domain
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.study.cells import Cell, cell_folder, compute_once
from hf_sslgen.study.describe import cell_identity, cell_provenance
from hf_sslgen.study.measures import Job, measure
from hf_sslgen.study.protocols import Protocol, protocol_settings
from hf_sslgen.zoo.loading import load_backbone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ComparisonSettings:
    """What every cell of a comparison shares; `geometry` None leaves each backbone its own."""

    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    seed: int = 0
    geometry: Geometry | None = None


def compute_cells(
    name: str, domain: Domain, protocols: Mapping[str, Protocol], settings: ComparisonSettings, output_dir: Path
) -> list[Cell]:
    """The cells of one backbone on one domain: its pretrained stage, then each protocol.

    Cells that `output_dir/cells` already holds are read, not computed again.

    Raises:
        InputError: the backbone can't be loaded, or training it failed (its loss was not finite).
    """
    store, unfinished = output_dir / "cells", output_dir / "unfinished"
    backbone = load_backbone(name, domain.class_names, seed=settings.seed, geometry=settings.geometry)
    cells = []
    stages: dict[str, Protocol | None] = {"pretrained": None, **protocols}
    for stage, protocol in stages.items():
        identity = cell_identity(
            backbone, domain, stage, protocol_settings(protocol), settings.analysis, settings.seed
        )
        scratch = unfinished / cell_folder(store, identity).name
        job = Job(name, domain, protocol, settings.analysis, settings.geometry, settings.seed, scratch)

        def compute(stage: str = stage, job: Job = job) -> tuple[dict[str, Any], Analysis]:
            started = time.perf_counter()
            analysis, selection = measure(job)
            provenance = cell_provenance(backbone, domain, time.perf_counter() - started, selection)
            logger.info("%s on %s, %s: %.1f s", name, domain.name, stage, provenance["seconds"])
            return provenance, analysis

        cells.append(compute_once(store, identity, compute))
        shutil.rmtree(job.scratch, ignore_errors=True)
    with suppress(OSError):  # other backbones' interrupted runs may lie beside
        unfinished.rmdir()
    return [replace(cell, provenance={**cell.provenance, "group": domain.group}) for cell in cells]
