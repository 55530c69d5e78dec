"""A study passes every image through every trunk once, whatever protocols, label budgets and seeds it has."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution.workbench import domain_at_hand
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.protocols.presets import KNNProtocol, LinearProtocol

FROZEN = [
    "linear",
    {"preset": "ssl-transfer-linear", "inverse_regularisations": [0.01, 1.0]},
    {"preset": "dino-knn", "neighbours": [3]},
    {"preset": "few-shot", "ways": 2, "shots": 1, "queries": 1, "episodes": 5},
]
SUBSET = 20


def computed(specs: Sequence[CellSpec], folder: Path, cache_gb: float) -> dict[str, Cell]:
    """Compute a study's cells; returns them by title."""
    store = Store(folder)
    store.prepare()
    store.limit_features(cache_gb)
    assert run_worker(specs, store, num_threads=1)["computed"] > 0
    assert [spec.title for spec in specs if not store.is_finished(spec)] == []
    cells = {cell.folder.name: cell for cell in read_cells(store.cells)}
    return {spec.title: cells[store.indexed(spec) or ""] for spec in specs}


def passes(cells: dict[str, Cell]) -> int:
    return sum({cell.folder: cell.provenance["trunk_passes"] for cell in cells.values()}.values())


def least(specs: Sequence[CellSpec], cells: dict[str, Cell]) -> int:
    """The pictures that each trunk has to see: each of a domain's once, and the transformed versions of the subset."""
    seen: dict[tuple[str, str], set[bytes]] = {}
    versions = 0
    for spec in specs:
        domain = domain_at_hand(spec.domain)
        pictures = seen.setdefault((spec.backbone.location, spec.domain_name), set())
        if spec.protocol is None:
            numbers = cells[spec.title].numbers
            versions += SUBSET * sum(number.metric == "invariance" and number.severity != "" for number in numbers)
        trains = isinstance(spec.protocol, LinearProtocol | KNNProtocol)
        for split in (domain.train, domain.validation, domain.test) if trains else (domain.test,):
            pictures |= {(split.encoded(position) or {})["bytes"] for position in range(len(split))}
    return sum(map(len, seen.values())) + versions


def test_protocols_budgets_and_seeds_share_one_pass(
    study_file: Callable[..., Path], small_backbones: dict[str, str], tmp_path: Path
) -> None:
    specs = expand(
        read_study(
            study_file(
                backbones=[small_backbones["transformers_vit"]],
                protocols=FROZEN,
                samples_per_class=[4, 6],
                seeds=[0, 1],
                analysis={"max_subset": SUBSET, "batch_size": 16},
                geometry={"image_size": 32, "crop_pct": 1.0, "interpolation": "bilinear"},
            )
        )
    )
    kept = computed(specs, tmp_path / "kept", cache_gb=1)
    assert passes(kept) == least(specs, kept)
    of_first = [spec for spec in specs if spec.seed == 0]
    direct = computed(of_first, tmp_path / "direct", cache_gb=0)
    assert passes(direct) > 2 * passes({title: kept[title] for title in direct})
    for title, cell in direct.items():
        assert_same(kept[title], cell)


def assert_same(found: Cell, direct: Cell) -> None:
    assert found.identity == direct.identity
    assert found.provenance["selection"].get("chosen") == direct.provenance["selection"].get("chosen")
    for one, other in zip(found.numbers, direct.numbers, strict=True):
        assert (one.metric, one.transform, one.severity, one.n) == (
            other.metric,
            other.transform,
            other.severity,
            other.n,
        )
        assert one.value == pytest.approx(other.value, rel=1e-3, abs=1e-4, nan_ok=True), one
        np.testing.assert_allclose([one.low, one.high], [other.low, other.high], rtol=1e-3, atol=1e-4)
