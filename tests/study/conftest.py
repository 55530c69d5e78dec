"""Cells of small real networks on the embedded digits, computed once for all tests of this folder."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.backbones import backbone_entry
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import StudyConfig, read_study
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.finished_cells import finished_cells
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.protocols.presets import FineTuningProtocol, LinearProtocol, Protocol

TWIN = "twin-resnet18-supervised"
DIGITS = DomainArguments("digits", samples_per_class=3, max_eval_samples=20, max_test_samples=40)
PROTOCOLS: dict[str, Protocol | None] = {
    "pretrained": None,
    "linear": LinearProtocol(),
    "finetune": FineTuningProtocol(learning_rates=(1e-3,), max_steps=2, batch_size=8),
}
SIDES = {TWIN: 64, "timm_resnet": 64}
OTHER_SIDE = 32


@dataclass(frozen=True)
class Computation:
    """Cells to be computed in a store, again and again if need be."""

    specs: tuple[CellSpec, ...]
    store: Store

    def run(self) -> list[Cell]:
        self.store.prepare()
        run_worker(self.specs, self.store)
        cells, damaged = finished_cells(self.specs, self.store)
        assert damaged == []
        return cells


@pytest.fixture(scope="session")
def computation(
    small_backbones: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Computation]:
    """How the cells of a backbone or of a small network (by its short name) are computed."""
    store = Store(tmp_path_factory.mktemp("store"))

    def of(name: str) -> Computation:
        settings = AnalysisSettings(max_subset=30, num_examples=4, batch_size=20)
        geometry = Geometry(SIDES.get(name.removeprefix("untrained:"), OTHER_SIDE), None, "bilinear")
        backbone = backbone_entry(small_backbones.get(name, name))
        specs = (
            CellSpec(backbone, DIGITS, protocol_name, protocol, 0, settings, geometry)
            for protocol_name, protocol in PROTOCOLS.items()
        )
        return Computation(tuple(specs), store)

    return of


@pytest.fixture(scope="session")
def cells_of(computation: Callable[[str], Computation]) -> Callable[[str], list[Cell]]:
    """The cells of a network: pretrained, linear, finetune; computed when first asked for."""
    found: dict[str, list[Cell]] = {}

    def of(name: str) -> list[Cell]:
        if name not in found:
            found[name] = computation(name).run()
        return found[name]

    return of


@dataclass(frozen=True)
class Study:
    """A study that was run: six cells of two networks, and one protocol that can't be run, on either."""

    config: StudyConfig
    specs: tuple[CellSpec, ...]
    store: Store


@pytest.fixture(scope="session")
def finished_study(study_content: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Not to be written to."""
    store = Store(tmp_path_factory.mktemp("study"))
    store.prepare()
    impossible = {"preset": "few-shot", "name": "impossible", "queries": 1000}
    content = study_content(protocols=["linear", impossible], exclude=[{"protocol": "impossible", "seed": 1}])
    (store.folder / STUDY_FILE).write_text(json.dumps(content), encoding="utf-8")
    config = read_study(store.folder / STUDY_FILE)
    specs = expand(config)
    assert run_worker(specs, store, num_threads=1) == {"computed": 6, "failed": 2}
    return Study(config, specs, store)
